"""`livefleet why`: what it is told, and what it makes of a host's own word."""

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.cli.why import _find, _network, _own_view, _suspensions
from livefleet.control import Condition, HostStatus, NodeReport
from livefleet.kernel import BadInput
from livefleet.spec import NetworkName
from livefleet.wire.gateway.selection import Verdict
from tests.builders.spec import a_fleet

pytestmark = pytest.mark.unit

FLEET = """\
name: demo
network: {name: arbitrum-one-mainnet, rpc: [https://arb1.example.com/rpc]}
keys: {orchestrator: {env: KEY, address: "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"}}
secrets: {pool: {env: POOL}}
hosts:
  o-1: {address: 203.0.113.1, role: orchestrator, gpus: none, duties: [transcoding], \
orchestrator: {service_uri: "https://o-1.example.org:8935", key: orchestrator}}
  w-1: {address: 203.0.113.2, role: worker, gpus: none, duties: [transcoding], \
worker: {orchestrator: "pool.example.net:8935", secret: pool}}
"""


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["https://127.0.0.1/path"],
        ["https://o:8935", "--max-price", "1 USD"],
        ["https://o:8935", "--max-price", "dear"],
        ["https://o:8935", "--model", "no-such/model"],
        ["https://o:8935", "--model", "llm/m", "--profile", "P144p30fps16x9"],
        ["https://o:8935", "--profile", "4K"],
        ["https://o:8935", "--address", "0x12"],
        ["https://o:8935", "--controller", "0x" + "11" * 20],
        ["https://o:8935", "--key-file", "nowhere.hex"],
        ["o-1", "--fleet", "nowhere.yaml"],
    ],
)
def test_why__nonsense__is_refused_with_2_before_anything_is_asked(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIVEFLEET_SPEC", raising=False)
    done = CliRunner().invoke(main, ["why", *arguments])
    assert done.exit_code == 2, done.output
    assert done.stderr.strip()
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("target", "host"), [(None, "o-1"), ("o-1", "o-1"), ("https://O-1.example.org:8935/", "o-1"), ("https://x:1", None)]
)
def test_find__names_the_orchestrator_and_what_the_fleet_says_of_it(tmp_path, target, host):
    fleet = a_fleet(tmp_path, FLEET)
    found = _find(target, fleet.path)
    assert found.host == host
    assert found.network is not None
    assert found.network.name is NetworkName.ARBITRUM_ONE
    assert found.address == ("0x70997970C51812dc3A010C7d01b50e0d17dc79C8" if host else None)
    assert found.url == ("https://o-1.example.org:8935" if host else target)


@pytest.mark.parametrize(("target", "says"), [("w-1", "worker"), ("o1", "o-1")])
def test_find__no_orchestrator__says_what_it_is(tmp_path, target, says):
    fleet = a_fleet(tmp_path, FLEET)
    with pytest.raises(BadInput, match=says):
        _find(target, fleet.path)


def test_find__two_orchestrators_and_no_name__lists_them(tmp_path):
    line = next(line for line in FLEET.splitlines() if line.startswith("  o-1"))
    fleet = a_fleet(tmp_path, f"{FLEET}{line.replace('o-1', 'o-2').replace('113.1', '113.3')}\n")
    with pytest.raises(BadInput, match="o-1, o-2"):
        _find(None, fleet.path)


def test_network__an_rpc_alone_is_arbitrum_ones():
    assert _network((), None) is None
    assert _network(("https://rpc",), None).name is NetworkName.ARBITRUM_ONE
    assert _network(("https://rpc",), "0x" + "11" * 20).controller == "0x" + "11" * 20


def of(**changes):
    fields = {"host": "o-1", "role": "orchestrator", "declared_digest": "d", "report": report()}
    return _own_view(HostStatus(**(fields | changes)))


def report(*, ready=True, digest="d", conditions=()):
    return NodeReport(
        version="1", name="o-1", role="orchestrator", digest=digest, ready=ready, conditions=tuple(conditions)
    )


FAULT = Condition(name="ChainReachable", status="false", reason="NoAnswer", message="no endpoint answers")


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, Verdict.OK, "ready, version 1"),
        ({"report": None, "error": "refused"}, Verdict.WARN, "refused"),
        ({"report": report(digest="other")}, Verdict.WARN, "another spec"),
        ({"report": report(conditions=[FAULT])}, Verdict.WARN, "ChainReachable (NoAnswer): no endpoint answers"),
        (
            {"report": report(ready=False, conditions=[FAULT])},
            Verdict.FAIL,
            "not ready: ChainReachable (NoAnswer): no endpoint answers",
        ),
    ],
)
def test_own_view__the_hosts_word(changes, verdict, says):
    row = of(**changes)
    assert row.verdict is verdict
    assert says in row.found


TOLD = {"at": 1_000_000.0, "gateway": "0xG", "error": "TranscoderBusy"}


@pytest.mark.parametrize(
    ("suspensions", "now", "verdict", "says"),
    [
        (None, 0.0, Verdict.SKIP, "does not say"),
        ([], 0.0, Verdict.OK, "no gateway had a reason"),
        ([TOLD, TOLD], 1_000_120.0, Verdict.WARN, "2 within the hour; last, 2 min ago, to 0xG: TranscoderBusy"),
        ([TOLD], 1_007_200.0, Verdict.OK, "none within the hour; last, 120 min ago"),
        ([TOLD | {"gateway": ""}], 1_000_000.0, Verdict.WARN, "to a gateway: TranscoderBusy"),
    ],
)
def test_suspensions__what_the_node_remembers(suspensions, now, verdict, says):
    server = None if suspensions is None else {"sessions": 0, "max_sessions": 1, "suspensions": suspensions}
    told = NodeReport.model_validate(report().model_dump() | {"server": server})
    row = _suspensions(HostStatus(host="o-1", role="orchestrator", declared_digest="d", report=told), now)
    assert row.verdict is verdict
    assert says in row.found
