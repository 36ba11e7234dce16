"""Only ssh and the front door come in: a table of livefleet's own in nftables.

It is replaced whole by one transaction, so that no packet meets half of it, and it knows the port that this very
connection came in by before it is loaded. What other tables drop stays dropped; what they accept has to pass here too.
"""

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse, sh
from deploys.steps.files import HostFile, changed_files, difference, put_script
from livefleet.spec import FirewallSettings, NodeSpec, OpenPort, Role

__all__ = [
    "FIREWALL_PATHS",
    "firewall",
    "firewall_files",
    "forget_firewall",
    "needs_nft",
    "render_firewall",
    "ssh_ports",
]

RULES_PATH: Final = "/etc/livefleet/firewall.nft"
UNIT_PATH: Final = "/etc/systemd/system/livefleet-firewall.service"
FIREWALL_PATHS: Final = (RULES_PATH, UNIT_PATH)
"""Files that are compared; neither holds a secret."""

_LISTING: Final = "/opt/livefleet/firewall.listing"
_UNIT: Final = Path(__file__).parent.parent / "files/firewall.service"
_LOOPBACK: Final = ("127.", "[::1]", "localhost", "::1")


def needs_nft(settings: FirewallSettings, facts: Observed) -> bool:
    """Whether nftables has to be installed first."""
    return settings.mode == "managed" and not facts.safety.nft


def firewall(
    settings: FirewallSettings, node: NodeSpec, facts: Observed, *, local: bool = False, nft_comes: bool = False
) -> Outcome:
    """Load the table where it is not as declared, or take an earlier one away.

    `local`: nobody comes in by ssh. `nft_comes`: the step before installs nftables.
    """
    if settings.mode == "none":
        return _without(facts)
    if node.root != "/" or not facts.systemd:
        return refuse("`firewall: managed` needs a host with systemd and `root: /`; write `firewall: none` here")
    if not (facts.safety.nft or nft_comes):
        return refuse("nft is missing: `apt-get install nftables`, then apply again")
    ports = ssh_ports(facts)
    if not ports and not local:
        return refuse(
            "it cannot be told which port ssh comes in by, and a firewall could lock you out: run `sshd -T` on the host"
            " to see why it does not say its port, or write `firewall: none`"
        )
    rules, unit = firewall_files(settings, node, ports)
    changed = changed_files((rules, unit), facts)
    safety = facts.safety
    is_loaded = bool(safety.firewall_now) and safety.firewall_now == safety.firewall_loaded
    if not changed and is_loaded and safety.firewall_enabled:
        return Outcome()
    put, stdin = put_script(changed)
    lines = [
        "umask 022; mkdir -p /etc/livefleet /opt/livefleet",
        *put,
        f"nft --check --file {RULES_PATH}",
        *(["systemctl daemon-reload"] if unit in changed else []),
        "systemctl enable --quiet livefleet-firewall.service",
        "systemctl reload-or-restart livefleet-firewall.service",
        "umask 022",
        f"nft -s list table inet livefleet | sha256sum | cut -d' ' -f1 > {_LISTING}",
    ]
    notes = [_what_comes_in(settings, node, ports), *_others(facts, node)]
    if not changed and not is_loaded:
        notes.insert(0, "the table is not as it was loaded: load it again")
    return Outcome(commands=(sh(lines, stdin=stdin),), notes=tuple(notes), diff=difference(changed, facts))


def firewall_files(settings: FirewallSettings, node: NodeSpec, ports: tuple[int, ...]) -> tuple[HostFile, HostFile]:
    """The rules and the unit that loads them at each boot. `ports`: those that ssh comes in by."""
    rules = HostFile(RULES_PATH, render_firewall(settings, node, ports).encode(), 0o644, None, secret=False)
    return rules, HostFile(UNIT_PATH, _UNIT.read_bytes(), 0o644, None, secret=False)


def forget_firewall() -> list[str]:
    """Shell lines that leave nothing of it behind."""
    return [
        f"if [ -e {UNIT_PATH} ]; then systemctl disable --now --quiet livefleet-firewall.service;",
        f"rm -f {UNIT_PATH}; systemctl daemon-reload; fi",
        "if command -v nft >/dev/null; then nft delete table inet livefleet 2>/dev/null || true; fi",
        f"rm -f {RULES_PATH} {_LISTING}",
    ]


def ssh_ports(facts: Observed) -> tuple[int, ...]:
    """Every port by which ssh comes in, as far as the host tells: this connection's, sshd's setting, who listens."""
    safety = facts.safety
    own = () if safety.ssh_connection is None else (safety.ssh_connection[1],)
    listening = (listener.port for listener in facts.listeners if listener.program == "sshd")
    return tuple(sorted({*own, *safety.ssh_ports, *listening}))


def render_firewall(settings: FirewallSettings, node: NodeSpec, ports: tuple[int, ...]) -> str:
    """The table's text: deletes what there was and makes it anew, in one transaction."""
    rules = "\n".join(f"    {line}" for line in _rules(settings, node, ports))
    return f"""\
# Written by livefleet; the next apply puts it back. Rules of your own belong in a table of your own.
table inet livefleet
delete table inet livefleet
table inet livefleet {{
  chain input {{
    type filter hook input priority 10; policy drop;
{rules}
  }}
}}
"""


def _rules(settings: FirewallSettings, node: NodeSpec, ports: tuple[int, ...]) -> Iterator[str]:
    yield "ct state established,related accept"
    yield 'iif "lo" accept'
    yield "ct state invalid drop"
    yield "meta l4proto { icmp, ipv6-icmp } accept # path MTU, neighbours"
    yield "udp sport 67 udp dport 68 accept # DHCP"
    yield "udp sport 547 udp dport 546 accept"
    if ports:
        yield f"tcp dport {{ {', '.join(map(str, ports))} }} accept # ssh"
    if (door := _front_door(node)) is not None:
        yield f"tcp dport {door} accept # front door"
    if (pushed := _push_port(node)) is not None:
        yield f"tcp dport {pushed} accept # hosts that push"
    for port, name in _monitors_ports(node):
        yield from _from(settings.monitors, f"tcp dport {port} accept # {name}") if settings.monitors else ()
    for opened in settings.ports:
        yield from _opened(opened)
    yield 'counter comment "dropped"'


def _opened(opened: OpenPort) -> Iterator[str]:
    rule = f"{opened.protocol} dport {opened.port} accept"
    if opened.sources:
        yield from _from(opened.sources, rule)
    else:
        yield rule


def _from(sources: tuple[str, ...], rule: str) -> Iterator[str]:
    networks = [ipaddress.ip_network(source) for source in sources]
    for version, word in ((4, "ip"), (6, "ip6")):
        listed = [str(network) for network in sorted(set(networks), key=str) if network.version == version]
        if listed:
            yield f"{word} saddr {{ {', '.join(listed)} }} {rule}"


def _front_door(node: NodeSpec) -> int | None:
    if node.role is not Role.ORCHESTRATOR or node.orchestrator is None:
        return None
    host, _, port = node.orchestrator.listen.rpartition(":")
    return None if host.startswith(_LOOPBACK) else int(port)


def _push_port(node: NodeSpec) -> int | None:
    """Of a monitor's door, which hosts from anywhere come to."""
    if node.role is not Role.MONITOR or node.monitor is None or node.monitor.listen is None:
        return None
    return _port(node.monitor.listen)


def _monitors_ports(node: NodeSpec) -> Iterator[tuple[int, str]]:
    """What monitors ask, with its name."""
    if (admin := _port(node.monitoring.admin_listen)) is not None:
        yield admin, "admin port"
    if node.monitoring.scrape is not None and (door := _port(node.monitoring.scrape.listen)) is not None:
        yield door, "scrape door"


def _port(listen: str) -> int | None:
    host, _, port = listen.rpartition(":")
    return None if host.startswith(_LOOPBACK) else int(port)


def _what_comes_in(settings: FirewallSettings, node: NodeSpec, ports: tuple[int, ...]) -> str:
    listed = [f"ssh ({', '.join(map(str, ports))})"] if ports else []
    listed += [f"the front door ({door})"] if (door := _front_door(node)) is not None else []
    if (pushed := _push_port(node)) is not None:
        listed.append(f"hosts that push ({pushed})")
    if settings.monitors:
        for port, name in _monitors_ports(node):
            listed.append(f"the {name} ({port}) from {', '.join(settings.monitors)}")
    listed += [f"{opened.protocol} {opened.port}" for opened in settings.ports]
    return f"let in {', '.join(listed) or 'nothing'} and nothing else"


def _others(facts: Observed, node: NodeSpec) -> Iterator[str]:
    """What else decides on packets here, and what that means."""
    filters = facts.safety.filters
    for name, how in (("ufw", f"ufw allow {_front_door(node) or 22}/tcp"), ("firewalld", "firewall-cmd --add-port")):
        if name in filters:
            yield f"{name} decides too: a connection has to pass both (`{how}`); `firewall: none` leaves it to {name}"
    if "docker" in filters:
        yield (
            "ports that docker publishes are forwarded and not filtered here; containers reach ports of this host only"
            " as far as `firewall.ports` says"
        )
    if node.role is Role.REDEEMER:
        yield "the redeemer's port knows no authentication and is not opened: `firewall.ports` says who may reach it"


def _without(facts: Observed) -> Outcome:
    there = bool(facts.safety.firewall_now) or any(path in facts.files for path in FIREWALL_PATHS)
    if not there:
        return Outcome()
    return Outcome(commands=(sh(forget_firewall()),), notes=("take livefleet's firewall away: `firewall: none`",))
