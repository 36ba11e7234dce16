"""A fleet repository of an operator's own, as text: what `livefleet init` writes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from livefleet.spec import NetworkName, Role

__all__ = ["Choices", "StarterHost", "folders_of", "starter_files"]


@dataclass(frozen=True, slots=True)
class StarterHost:
    """One machine of the fleet."""

    name: str
    address: str
    role: Role

    @property
    def is_local(self) -> bool:
        """Whether it is the operator's own machine."""
        return self.address == "@local"


@dataclass(frozen=True, slots=True)
class Choices:
    """What the operator has said; the rest are comments in the file."""

    name: str
    network: NetworkName
    hosts: tuple[StarterHost, ...]
    profile: str
    orchestrator: str | None = None  # `host:port` that workers join; None: the fleet's own
    root: str | None = None  # folder for the tree of hosts that are this machine

    @property
    def on_chain(self) -> bool:
        """Whether tickets, keys and prices are wanted."""
        return self.network is not NetworkName.OFFCHAIN

    @property
    def has_workers(self) -> bool:
        """Whether somebody joins by a secret."""
        return any(host.role is Role.WORKER for host in self.hosts)

    @property
    def has_orchestrator(self) -> bool:
        """Whether somebody faces gateways."""
        return any(host.role is Role.ORCHESTRATOR for host in self.hosts)

    @property
    def needs_key(self) -> bool:
        """Whether an Ethereum key is wanted."""
        return self.on_chain and self.has_orchestrator


def starter_files(choices: Choices) -> dict[str, str]:
    """Texts by path in the repository."""
    return {
        "fleet.yaml": "".join(f"{line}\n" for line in _fleet(choices)),
        ".gitignore": _gitignore(choices),
        "README.md": _README,
    }


def folders_of(choices: Choices) -> tuple[str, ...]:
    """Folders that are to be there, closed to others: what the spec refers to goes into them."""
    return (
        *(("keys",) if choices.needs_key else ()),
        *(("secrets",) if choices.needs_key or choices.has_workers else ()),
    )


def _fleet(choices: Choices) -> Iterator[str]:
    yield f"# The fleet {choices.name}: `livefleet apply` makes hosts as they are declared here, and keeps them so."
    yield "# Every field is explained by `livefleet schema`; `livefleet validate` says what is wrong or still missing."
    yield f"name: {_text(choices.name)}"
    yield ""
    yield from _network(choices)
    if choices.needs_key:
        yield from _KEYS
    if choices.has_workers:
        yield from _SECRETS
    yield ""
    yield "# For every host. Values of a profile, a group or a host win, in this order."
    yield "defaults:"
    yield "  # What the hardware wants; `livefleet profiles list` has one for each common card and for what hosts do,"
    yield "  # and an own profiles/NAME.yaml may build on them. Several: [solo, rtx-3060]."
    yield f"  profile: {_text(choices.profile)}"
    if any(not host.is_local for host in choices.hosts):
        yield "  ssh: {user: root} # or {user: deploy, sudo: true, key: ~/.ssh/id_ed25519}"
    if choices.needs_key:
        yield "  prices: {video: 1200 wei} # per pixel; `livefleet price` explains what gateways are asked for"
    yield ""
    yield "hosts:"
    for host in choices.hosts:
        yield from _host(choices, host)


def _network(choices: Choices) -> Iterator[str]:
    if not choices.on_chain:
        why = "nothing is paid and nothing checked" if choices.has_orchestrator else "workers touch no chain"
        yield f"network: offchain # {why}; the real one is arbitrum-one-mainnet"
        return
    yield "network:"
    yield f"  name: {choices.network.value}"
    yield "  rpc: # JSON-RPC endpoints, two or more of different providers; a key in the URL is never shown"
    yield "    - https://arb1.example.com/rpc"
    yield "    - https://arb1-spare.example.com/rpc"


_KEYS = (
    "",
    "# Where keys are, never what they are. `livefleet keys new --out keys/orchestrator.json` makes one, and",
    "# `livefleet keys plan` shows which host would hold which.",
    "keys:",
    "  orchestrator:",
    "    file: keys/orchestrator.json",
    "    password: {file: secrets/orchestrator-passphrase}",
    "    # password: {env: ORCHESTRATOR_PASSPHRASE} # a variable of your shell at apply",
    "    # password: {command: [pass, show, livepeer/orchestrator]} # what a program prints: pass, op, sops, age",
)

_SECRETS = (
    "",
    "# Other secrets, named the same way. Workers join with this one: `openssl rand -hex 24 > secrets/join`.",
    "secrets:",
    "  join: {file: secrets/join} # or {env: JOIN_SECRET}, or {command: [op, read, op://fleet/join/password]}",
)


def _host(choices: Choices, host: StarterHost) -> Iterator[str]:
    yield f"  {_text(host.name)}:"
    yield f"    address: {_text(host.address)}{' # this machine' if host.is_local else ''}"
    if host.is_local and choices.root is not None:
        yield f"    root: {_text(choices.root)} # the node's whole tree, in this folder"
    yield f"    role: {host.role.value}"
    if host.role is Role.WORKER:
        yield "    duties: [transcoding]"
        yield "    worker:"
        yield f"      orchestrator: {_text(_joined(choices))}"
        yield "      secret: join"
        return
    yield from _orchestrator(choices, host)


def _orchestrator(choices: Choices, host: StarterHost) -> Iterator[str]:
    chain_duties = ["reward", "redemption"] if choices.on_chain else []
    duties = chain_duties if choices.has_workers else ["transcoding", *chain_duties]
    if choices.has_workers:
        yield "    profile: cpu # workers do the work; give it `transcoding` and a GPU's profile to work as well"
    yield f"    duties: [{', '.join(duties)}]"
    yield "    orchestrator:"
    yield f"      service_uri: {_text(f'https://{_public(choices, host)}:8935')} # as gateways reach it"
    if choices.on_chain:
        yield "      key: orchestrator"
    if choices.has_workers:
        yield "      worker_secret: join"


def _public(choices: Choices, host: StarterHost) -> str:
    if not host.is_local:
        return f"[{host.address}]" if ":" in host.address else host.address
    return "orchestrator.example.com" if choices.on_chain else "127.0.0.1"


def _joined(choices: Choices) -> str:
    if choices.orchestrator is not None:
        return choices.orchestrator
    own = next((host for host in choices.hosts if host.role is Role.ORCHESTRATOR), None)
    return f"{_public(choices, own)}:8935" if own else "orchestrator.example.com:8935"


def _text(value: str) -> str:
    """A YAML scalar; quoted where anything but plain words is in it."""
    plain = value.replace("-", "").replace(".", "").replace("/", "")
    starts_as_word = value[:1].isalpha()
    return value if plain.isascii() and plain.isalnum() and starts_as_word else json.dumps(value)


def _gitignore(choices: Choices) -> str:
    here = [f"/{Path(choices.root).parts[0]}/"] if choices.root and not Path(choices.root).is_absolute() else []
    return "\n".join([*_IGNORED, *here, ""])


_IGNORED = (
    "# Keys and secrets: kept elsewhere, never here.",
    "/keys/",
    "/secrets/",
    "/certificates/",
    "*.key",
    "*.hex",
    "*.pem",
    "*.p12",
    "*passphrase*",
    "*password*",
    ".env",
    ".env.*",
    "",
    "# What commands leave behind: journals, plans, diagnostics.",
    "/.livefleet/",
    "*.enrolled.sqlite3*",  # tokens' hashes, and hosts that have asked
    "*.plan",
    "*.plan.json",
    "livefleet-diag-*.tar.gz",
    "pyinfra-debug.log",
    "__pycache__/",
)

_README = """\
# A livefleet repository

`fleet.yaml` declares the machines; these commands, run here, make them so. Keys and secrets are named in it and kept in
`keys/` and `secrets/`, which git leaves out: back them up elsewhere.

```sh
livefleet validate            # what is wrong, and what is still missing
livefleet plan                # what would change on hosts, in hardware and on chain
livefleet apply               # change it; again: nothing to do
livefleet status              # how every host is, by its own word
livefleet logs -f             # what the agents say
livefleet exec -- uptime      # one command on every host
livefleet diag                # a bundle for whoever helps, without secrets
livefleet drain --host NAME   # empty a host before working on it
```

`livefleet COMMAND --help` tells the rest. Own profiles go into `profiles/NAME.yaml`.

The same with pyinfra's own command line, which then takes `--limit`, `-v` and all its other options:

```sh
export LIVEFLEET_SPEC=$PWD/fleet.yaml PYTHONPATH=$(livefleet init --where)
pyinfra --dry inventory.fleet deploys.site
pyinfra -y inventory.fleet deploys.site
```
"""
