import pytest

from livefleet.spec import SpecError, load_fleet

pytestmark = pytest.mark.unit

FLEET = """\
name: f
network: offchain
secrets: {pool: {file: s}}
hosts:
  door:
    address: "@local"
    role: orchestrator
    orchestrator: {service_uri: "https://127.0.0.1:8935", discovery_only: true%s}
    duties: [%s]
"""


def load(tmp_path, settings="", duties=""):
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET % (settings, duties))
    return load_fleet(path).node("door")


def test_discovery_only__with_nodes__is_fine(tmp_path):
    node = load(tmp_path, ', nodes: ["https://n:8935"]')
    assert node.orchestrator.discovery_only


@pytest.mark.parametrize(
    ("settings", "duties", "says"),
    [
        ("", "", "8:75: a node that only answers discovery has no `orchestrator.nodes` to tell of"),
        (
            ', nodes: ["https://n:1"]',
            "transcoding",
            "9:14: duty `transcoding` is declared for a node that only answers",
        ),
        (', nodes: ["https://n:1"], worker_secret: pool', "", "workers would have nothing to do"),
    ],
)
def test_discovery_only__with_work__is_refused(tmp_path, settings, duties, says):
    with pytest.raises(SpecError) as error:
        load(tmp_path, settings, duties)
    assert says in str(error.value)
