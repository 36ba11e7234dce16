"""The firewall: facts in, exact rules and commands out; ssh is never shut out."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys import steps
from deploys.facts import FileFact, Listener, Observed, SafetyFacts, parse_facts, script
from deploys.outcome import Outcome, Shell
from livefleet.spec import FirewallSettings
from tests.builders.deploys import a_host, a_node

pytestmark = pytest.mark.unit

MANAGED = FirewallSettings(mode="managed")
CAME_IN = ("192.168.7.1", 2222)

RULES = """\
# Written by livefleet; the next apply puts it back. Rules of your own belong in a table of your own.
table inet livefleet
delete table inet livefleet
table inet livefleet {
  chain input {
    type filter hook input priority 10; policy drop;
    ct state established,related accept
    iif "lo" accept
    ct state invalid drop
    meta l4proto { icmp, ipv6-icmp } accept # path MTU, neighbours
    udp sport 67 udp dport 68 accept # DHCP
    udp sport 547 udp dport 546 accept
    tcp dport { 22, 2222 } accept # ssh
    tcp dport 8935 accept # front door
    ip saddr { 10.0.0.5/32, 10.1.0.0/16 } tcp dport 7936 accept # admin port
    ip6 saddr { fd00::/8 } tcp dport 7936 accept # admin port
    tcp dport 9100 accept
    ip saddr { 10.0.0.5/32 } udp dport 161 accept
    counter comment "dropped"
  }
}
"""


def a_safe_host(**safety: Any) -> Observed:
    return a_host(safety=SafetyFacts(**{"nft": True, "ssh_connection": CAME_IN, "ssh_ports": (22,), **safety}))


def text_of(outcome: Outcome) -> str:
    return "\n".join(command.text for command in outcome.commands if isinstance(command, Shell))


def written(outcome: Outcome) -> list[str]:
    (command,) = outcome.commands
    assert isinstance(command, Shell)
    return [base64.b64decode(line).decode() for line in command.stdin]


def settled(settings: FirewallSettings, host: Observed) -> Observed:
    """The host after the step."""
    files = {}
    for path, text in zip(steps.FIREWALL_PATHS, written(steps.firewall(settings, a_node(), host)), strict=True):
        file = steps.HostFile(path, text.encode(), 0o644, None, secret=False)
        files[path] = FileFact(mode=0o644, owner="root", sha256=file.sha256, text=text)
    safety = {"firewall_now": "d1", "firewall_loaded": "d1", "firewall_enabled": True}
    return a_host(files=files, safety=SafetyFacts(nft=True, ssh_connection=CAME_IN, ssh_ports=(22,), **safety))


def test_rules__everything_said__are_exactly_these() -> None:
    settings = FirewallSettings.model_validate(
        {
            "mode": "managed",
            "monitors": ["10.0.0.5", "10.1.0.0/16", "fd00::/8"],
            "ports": [{"port": 9100}, {"port": 161, "protocol": "udp", "sources": ["10.0.0.5"]}],
        }
    )
    node = a_node(monitoring={"admin_listen": "0.0.0.0:7936"})
    assert steps.render_firewall(settings, node, (22, 2222)) == RULES


@pytest.mark.parametrize(
    ("node", "absent"),
    [
        (a_node(), "7936"),  # the admin port is loopback: nothing to let in
        (a_node(monitoring={"admin_listen": "0.0.0.0:7936"}), "7936"),  # and nobody is said to be a monitor
        (a_node(role="worker", orchestrator=None, worker={"orchestrator": "o:8935", "secret": "s"}), "8935"),
        (a_node(role="redeemer", orchestrator=None, redeemer={"key": "k", "listen": "0.0.0.0:8935"}), "8935"),
        (a_node(orchestrator={"service_uri": "https://x:8935", "listen": "127.0.0.1:8935"}), "8935"),
    ],
)
def test_rules__what_is_not_to_be_reached__is_not_named(node: Any, absent: str) -> None:
    assert absent not in steps.render_firewall(MANAGED, node, (22,))


def test_firewall__none__touches_nothing() -> None:
    assert steps.firewall(FirewallSettings(), a_node(), a_safe_host()) == Outcome()


def test_firewall__managed__is_checked_loaded_and_kept_for_the_next_boot() -> None:
    outcome = steps.firewall(MANAGED, a_node(), a_safe_host())
    text = text_of(outcome)
    assert text.index("nft --check") < text.index("systemctl reload-or-restart livefleet-firewall.service")
    assert "systemctl enable --quiet livefleet-firewall.service" in text
    assert "tcp dport { 22, 2222 } accept # ssh" in written(outcome)[0]
    assert outcome.notes == ("let in ssh (22, 2222), the front door (8935) and nothing else",)
    assert any("policy drop" in line for line in outcome.diff)


def test_firewall__as_declared__is_no_change() -> None:
    assert steps.firewall(MANAGED, a_node(), settled(MANAGED, a_safe_host())) == Outcome()


@pytest.mark.parametrize("found", ["", "other"])
def test_firewall__table_flushed_or_edited_by_hand__is_loaded_again(found: str) -> None:
    host = settled(MANAGED, a_safe_host())
    changed = SafetyFacts(
        nft=True, ssh_connection=CAME_IN, ssh_ports=(22,), firewall_now=found, firewall_loaded="d1",
        firewall_enabled=True,
    )  # fmt: skip
    outcome = steps.firewall(MANAGED, a_node(), a_host(files=host.files, safety=changed))
    assert "reload-or-restart" in text_of(outcome)
    assert outcome.notes[0] == "the table is not as it was loaded: load it again"


def test_firewall__declared_no_longer__is_taken_away_whole() -> None:
    outcome = steps.firewall(FirewallSettings(), a_node(), settled(MANAGED, a_safe_host()))
    text = text_of(outcome)
    for word in ("disable --now --quiet livefleet-firewall.service", "delete table inet livefleet", "firewall.nft"):
        assert word in text


@pytest.mark.parametrize(
    ("host", "ports"),
    [
        (a_safe_host(), (22, 2222)),
        (a_safe_host(ssh_ports=()), (2222,)),
        (a_safe_host(ssh_connection=None), (22,)),
        (a_host(listeners=(Listener(2022, 7, own=False, unit="ssh.service", program="sshd"),)), (2022,)),
        (a_host(listeners=(Listener(80, 7, own=False, unit="", program="nginx"),)), ()),
    ],
)
def test_ssh_ports__come_from_the_connection_the_setting_and_who_listens(host: Observed, ports: tuple) -> None:
    assert steps.ssh_ports(host) == ports


def test_firewall__ssh_port_unknown__is_refused_rather_than_guessed() -> None:
    host = a_safe_host(ssh_connection=None, ssh_ports=())
    assert "could lock you out" in (steps.firewall(MANAGED, a_node(), host).refusal or "")
    assert steps.firewall(MANAGED, a_node(), host, local=True).refusal is None


@given(
    st.lists(st.integers(1, 65535), max_size=4),
    st.one_of(st.none(), st.integers(1, 65535)),
    st.lists(st.sampled_from(["10.0.0.0/8", "fd00::/8", "192.168.1.1"]), max_size=3),
)
def test_firewall__whatever_the_host_tells__ssh_gets_in_or_nothing_is_loaded(ports, connection, monitors) -> None:
    came_in = None if connection is None else ("1.2.3.4", connection)
    host = a_safe_host(ssh_ports=tuple(ports), ssh_connection=came_in)
    outcome = steps.firewall(MANAGED.model_copy(update={"monitors": tuple(monitors)}), a_node(), host)
    known = {*ports, *([connection] if connection else [])}
    if not known:
        assert outcome.refusal is not None
        return
    (line,) = [line for line in written(outcome)[0].splitlines() if line.endswith("# ssh")]
    assert {int(port) for port in line.split("{")[1].split("}")[0].split(",")} == known


@pytest.mark.parametrize(
    ("node", "host", "words"),
    [
        (a_node(), a_host(systemd=False), "needs a host with systemd"),
        (a_node(root="/srv/x"), a_safe_host(), "`root: /`"),
        (a_node(), a_safe_host(nft=False), "apt-get install nftables"),
    ],
)
def test_firewall__cannot_be__is_refused_with_what_to_do(node: Any, host: Observed, words: str) -> None:
    assert words in (steps.firewall(MANAGED, node, host).refusal or "")


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        (("ufw",), "`ufw allow 8935/tcp`"),
        (("firewalld",), "firewalld decides too"),
        (("docker",), "ports that docker publishes are forwarded and not filtered here"),
    ],
)
def test_firewall__others_filter_here_too__is_told(filters: tuple, words: str) -> None:
    outcome = steps.firewall(MANAGED, a_node(), a_safe_host(filters=filters))
    assert any(words in note for note in outcome.notes)
    assert outcome.refusal is None


def test_packages__nft_missing__is_installed_before() -> None:
    assert steps.needs_nft(MANAGED, a_safe_host(nft=False))
    assert not steps.needs_nft(FirewallSettings(), a_safe_host(nft=False))
    assert "install --no-install-recommends nftables" in text_of(steps.packages(a_host(), also=["nftables"]))


def test_observe__this_machine__tells_its_safety() -> None:
    done = subprocess.run(
        ["sh", "-c", script("/", [], [])],
        env={"PATH": "/usr/bin:/bin", "SSH_CONNECTION": "10.9.8.7 51000 10.0.0.1 2222"},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    found = parse_facts(done.stdout.splitlines())
    assert found is not None
    assert found.safety.ssh_connection == ("10.9.8.7", 2222)
    kept = Path("/proc/sys/fs/suid_dumpable").read_text().strip()
    assert found.safety.sysctl["fs.suid_dumpable"].value == int(kept)
