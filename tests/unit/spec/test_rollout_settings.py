"""How a rollout is declared, and what is told of mistakes in it."""

import pytest

from livefleet.spec import SpecError, load_fleet

pytestmark = pytest.mark.unit

FLEET = """\
name: f
network: {name: offchain}
groups: {rack: {}}
rollout:
ROLLOUT
hosts:
  m: {address: 10.0.0.1, role: monitor, groups: [rack]}
"""


def load(tmp_path, rollout):
    lines = "\n".join(f"  {line}" for line in rollout.splitlines())
    (tmp_path / "fleet.yaml").write_text(FLEET.replace("ROLLOUT", lines))
    return load_fleet(tmp_path / "fleet.yaml").spec.rollout


def test_rollout__every_setting__is_read(tmp_path):
    settings = load(
        tmp_path,
        "max_unavailable: 25%\nmax_unavailable_of: {worker: 2, rack: 10%}\ncanary: [m]\n"
        "bake_s: 5\ndrain_s: 0\nsmoke: false",
    )
    assert (settings.max_unavailable, settings.max_unavailable_of) == ("25%", {"worker": 2, "rack": "10%"})
    assert (settings.canary, settings.bake_s, settings.drain_s, settings.smoke) == (("m",), 5, 0, False)


@pytest.mark.parametrize(
    ("rollout", "where", "said"),
    [
        ("canary: [n]", "5:11", "no host `n`; known: m"),
        ("max_unavailable_of: {wrker: 1}", "5:23", "`wrker` is neither a role nor a group; did you mean `worker`"),
        ("max_unavailable: 0", "5:20", "at least 1"),
        ("max_unavailable: 101%", "5:20", "neither a count"),
        ("max_unavailable_of: {worker: half}", "5:32", "neither a count"),
        ("canary: -1", "5:11", "greater than or equal to 0"),
        ("bake_s: -1", "5:11", "greater than or equal to 0"),
    ],
)
def test_rollout__mistake__is_told_where_it_stands(tmp_path, rollout, where, said):
    with pytest.raises(SpecError) as raised:
        load(tmp_path, rollout)
    assert f"fleet.yaml:{where}" in str(raised.value)
    assert said in str(raised.value)
