"""Which chain and which orchestrator a command looks at: of the fleet's spec, or as said on the command line."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from livefleet.kernel import Address, BadInput
from livefleet.spec import Network, NetworkName, NodeSpec

__all__ = ["Where", "find_where", "orchestrator_of", "where_options"]


@dataclass(frozen=True, slots=True)
class Where:
    """A chain, and an orchestrator on it where one is named."""

    network: Network
    orchestrator: Address | None
    fleet: Path | None = None  # the spec that says so

    @property
    def address(self) -> Address:
        """The orchestrator. Raises BadInput where none is named."""
        if self.orchestrator is None:
            raise BadInput("no orchestrator is known: give its address as argument")
        return self.orchestrator

    def subgraph_key(self) -> str | None:
        """The declared subgraph's API key, from the operator's own file, variable or command. Raises BadInput."""
        from livefleet.spec import SecretToSend, load_fleet

        subgraph = self.network.subgraph
        if subgraph is None or subgraph.key is None or self.fleet is None:
            return None
        loaded = load_fleet(self.fleet)
        secret = SecretToSend(f"secrets.{subgraph.key}", "", loaded.spec.secrets[subgraph.key], loaded.path.parent)
        return secret.read(os.environ).decode().strip()


def where_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --fleet, --host, --rpc and --controller, and hands the command `where`: a function of an address or None."""

    @functools.wraps(function)
    def wrapped(
        *args: Any, fleet: Path, host: str | None, rpc: tuple[str, ...], controller: str | None, **kwargs: Any
    ) -> Any:
        def where(address: str | None = None) -> Where:
            return find_where(fleet, host, rpc, controller, address)

        return function(*args, where=where, **kwargs)

    decorated: Callable[..., Any] = wrapped
    for option in (
        click.option("--controller", metavar="ADDRESS", help="The Controller, with --rpc. None: Arbitrum One's."),
        click.option("--rpc", multiple=True, metavar="URL", help="A JSON-RPC endpoint, in place of the spec's."),
        click.option("--host", metavar="NAME", help="Whose network and orchestrator, where the hosts' differ."),
        click.option(
            "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", default="fleet.yaml", help="The spec."
        ),
    ):
        decorated = option(decorated)
    return decorated


def orchestrator_of(node: NodeSpec) -> str | None:
    """The orchestrator's address that a node works for, as far as its spec says; in whatever case."""
    if node.keykeeper is not None:
        return node.keykeeper.orchestrator
    if node.orchestrator is None:
        return None
    if node.orchestrator.recipient is not None:
        return node.orchestrator.recipient
    key = node.keys.get(node.orchestrator.key or "")
    return key.address if key is not None else None


def find_where(
    fleet: Path, host: str | None, rpc: tuple[str, ...], controller: str | None, address: str | None
) -> Where:
    """The chain and orchestrator that the options and the spec name. Raises BadInput with what to say."""
    named = None if address is None else _checked(address)
    if rpc:
        name = NetworkName.ARBITRUM_ONE if controller is None else NetworkName.DEVCHAIN
        return Where(
            Network(name=name, rpc=rpc, controller=None if controller is None else _checked(controller)), named
        )
    if controller is not None:
        raise BadInput("--controller goes with --rpc: whose contracts are these?")
    nodes = _nodes(fleet, host)
    networks = list(dict.fromkeys(node.network for node in nodes))
    if not networks:
        raise BadInput(f"{fleet}: no host is on a chain; declare `network`, or give --rpc")
    found = list(dict.fromkeys(_checked(own) for node in nodes if (own := orchestrator_of(node)) is not None))
    if len(networks) > 1 or (named is None and len(found) > 1):
        what = "networks" if len(networks) > 1 else f"orchestrators ({', '.join(found)})"
        raise BadInput(f"{fleet}: the hosts have several {what}; say which host with --host")
    return Where(networks[0], named or (found[0] if found else None), fleet)


def _nodes(fleet: Path, host: str | None) -> list[NodeSpec]:
    from livefleet.spec import load_fleet

    loaded = load_fleet(fleet)
    names = [host] if host is not None else list(loaded.hosts)
    return [node for node in map(loaded.node, names) if node.network.on_chain]


def _checked(text: str) -> Address:
    """The address as everybody writes it. Raises BadInput for what is none, or has its checksum wrong."""
    from livefleet.chain import checksum_address

    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if not text.startswith("0x") or len(raw) != 20:
        raise BadInput(f"{text!r} is no address: expected 0x and 40 hex digits")
    address = checksum_address(raw)
    if text[2:] not in (address[2:], address[2:].lower(), address[2:].upper()):
        raise BadInput(f"{text} has its checksum wrong, a digit may be mistyped; with these digits it is {address}")
    return address
