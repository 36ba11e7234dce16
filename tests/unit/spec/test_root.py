"""Where a node's tree lies."""

import pytest

from livefleet.kernel import BadInput
from livefleet.spec import load_fleet

FLEET = """\
name: home
hosts:
  one:
    address: "{address}"
    root: {root}
    role: worker
    worker: {{orchestrator: "a.example.com:8935", secret: join}}
secrets: {{join: {{env: JOIN}}}}
"""


def write(folder, address, root):
    path = folder / "fleet.yaml"
    path.write_text(FLEET.format(address=address, root=root))
    return path


def test_root__relative_on_this_machine__starts_at_the_fleet_file(tmp_path):
    assert load_fleet(write(tmp_path, "@local", "node")).node("one").root == str(tmp_path / "node")


def test_root__absolute_on_this_machine__stays(tmp_path):
    assert load_fleet(write(tmp_path, "@local", "/srv/node")).node("one").root == "/srv/node"


def test_root__relative_on_another_machine__is_refused_where_it_stands(tmp_path):
    with pytest.raises(BadInput, match=r"fleet\.yaml:5:\d+: .*relative root.*absolute path"):
        load_fleet(write(tmp_path, "a.example.com", "node"))
