"""From processes to hosts and one fleet file: who joins whom, what is one machine, and what is no part of a fleet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from livefleet.control.importer.addresses import eth_address, host_of, is_inner_name, is_private
from livefleet.control.importer.chain_side import (
    map_network,
    map_redeemer,
    map_reward_node,
    map_rewards,
    recipient_of,
)
from livefleet.control.importer.companions import Companions
from livefleet.control.importer.doors import map_door, map_hooks, map_reports
from livefleet.control.importer.draft import CHANGE_ME, Draft, NodeKind, kind_of
from livefleet.control.importer.findings import Finding, Outcome
from livefleet.control.importer.keys import ChainBook, map_key
from livefleet.control.importer.one_machine import find_redeemer, give_ports, merge_worker, orchestrator_of, rejoin
from livefleet.control.importer.prices import map_prices, map_tickets
from livefleet.control.importer.process import Process
from livefleet.control.importer.secret_book import SecretBook
from livefleet.control.importer.settings import Settings
from livefleet.control.importer.tree import Line, Tree
from livefleet.control.importer.work import map_devices, map_joining, map_models, map_sessions, map_worker_secret

__all__ = ["Composed", "Wishes", "compose"]

_ADMIN_PORT: Final = 7936
_ROLE_FLAGS: Final = ("redeemer", "orchestrator", "transcoder", "aiWorker")
_ROLES: Final[Mapping[NodeKind, Mapping[str, str]]] = {
    NodeKind.ORCHESTRATOR: {
        "orchestrator": "role: orchestrator",
        "transcoder": "duties.transcoding",
        "aiWorker": "duties.ai",
    },
    NodeKind.TRANSCODER: {"transcoder": "role: worker, duties.transcoding", "aiWorker": "duties.ai"},
    NodeKind.AI_WORKER: {"aiWorker": "role: worker, duties.ai"},
    NodeKind.REDEEMER: {"redeemer": "role: redeemer, duties.redemption"},
}
"""What the flags that make a node what it is become."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator says beside the sources."""

    name: str = "imported"
    addresses: Mapping[str, str] = field(default_factory=dict)  # host to address; the empty name is for every host
    split: bool = False  # processes of one machine become hosts of their own
    secrets: str = "secrets"  # folder of secrets, as the fleet file is to say it
    folder: Path = Path()  # of the fleet file


@dataclass(frozen=True, slots=True)
class Composed:
    """The fleet, and all that there is to say."""

    tree: Tree  # empty: there is no host
    hosts: tuple[str, ...]
    findings: tuple[Finding, ...]
    secrets: Mapping[str, str] = field(repr=False)  # those in plain text, by file name


def compose(started: Sequence[tuple[Process, Settings]], companions: Companions, wishes: Wishes) -> Composed:
    """Make hosts of processes, each with its settings."""
    return _Composition(companions, wishes).composed([_draft(*each) for each in started])


def _draft(process: Process, settings: Settings) -> Draft:
    draft = Draft(process, settings, kind_of(settings))
    for name in _ROLE_FLAGS:
        said = settings.said.get(name)
        if said is None or draft.kind.is_outside:
            continue
        if not said.is_true:
            draft.taken(said, "off, which is the default")
        elif (field := _ROLES.get(draft.kind, {}).get(name)) is not None:
            draft.taken(said, field)
    return draft


class _Composition:
    """One fleet in the making."""

    def __init__(self, companions: Companions, wishes: Wishes) -> None:
        self._companions = companions
        self._wishes = wishes
        self._secrets = SecretBook(wishes.secrets, wishes.folder)
        self._chain = ChainBook(self._secrets)
        self._findings: list[Finding] = []

    def composed(self, drafts: list[Draft]) -> Composed:
        inside = [draft for draft in drafts if not draft.kind.is_outside]
        for draft in drafts:
            if draft.kind.is_outside:
                self._outside(draft)
        for draft in inside:
            self._map(draft)
        hosts = [draft for draft in inside if not self._is_merged(draft, inside) and draft.tree]
        for draft in hosts:
            rejoin(draft, hosts)
        give_ports(hosts)
        for draft in hosts:
            find_redeemer(draft, hosts, split=self._wishes.split)
        if len(self._chain.rpc) == 1:
            chained = next(draft for draft in hosts if draft.on_chain and not draft.kind.is_worker)
            text = "add a second endpoint of another provider to `network.rpc`: with one, its outage stops the node"
            chained.advise(text, chained.get("ethUrl"), subject="-ethUrl")
        self._one_reward(hosts)
        tree = self._tree(hosts) if hosts else {}
        for draft in drafts:
            draft.finish()
            self._findings += draft.report
        return Composed(tree, tuple(draft.name for draft in hosts), tuple(self._findings), self._secrets.plain)

    def _outside(self, draft: Draft) -> None:
        match draft.kind:
            case NodeKind.NOTHING:
                text = (
                    "no service is switched on (-orchestrator, -transcoder, -aiWorker, -redeemer, -reward): not a host"
                )
            case _:
                text = f"a {draft.kind} is no part of a fleet: it stays as it is"
        finding = Finding(draft.process.spot, Outcome.NO_COUNTERPART, draft.name, text, draft.name)
        draft.findings.append(finding)

    def _map(self, draft: Draft) -> None:
        if not draft.kind.is_worker:
            map_network(draft, self._chain)
        match draft.kind:
            case NodeKind.ORCHESTRATOR:
                self._orchestrator(draft)
            case NodeKind.TRANSCODER | NodeKind.AI_WORKER:
                draft.put("role", "worker")
                map_joining(draft, self._secrets)
                map_sessions(draft)
                map_devices(draft)
                map_models(draft, self._companions, self._secrets)
                map_reports(draft)
            case NodeKind.REDEEMER | NodeKind.REWARD:
                self._keeper(draft)
            case _:
                pass

    def _orchestrator(self, draft: Draft) -> None:
        draft.put("role", "orchestrator")
        map_sessions(draft)
        recipient = recipient_of(draft)
        address = _own_address(draft)
        if draft.on_chain:
            key = map_key(draft, self._chain, "orchestrator" if recipient in (None, address) else "identity")
            draft.put("orchestrator.key", key)
        map_rewards(draft, address, recipient)
        map_door(draft)
        if recipient is not None:
            said = draft.get("ethOrchAddr")
            assert said is not None
            if address is not None and recipient.lower() == address.lower():
                draft.adapt(said, "the key's own address, which is the default of `orchestrator.recipient`")
            elif draft.on_chain:
                draft.take(said, "orchestrator.recipient", recipient)
        elif draft.on_chain and (draft.on("transcoder") or draft.on("aiWorker")):
            draft.danger(
                "the key that stake is bonded from lies on a machine that does media work; `livefleet keys plan` shows "
                "how a cheaper key takes its place",
                draft.get("ethAcctAddr"),
                subject="" if draft.get("ethAcctAddr") else "-ethAcctAddr",
            )
        map_worker_secret(draft, self._secrets)
        map_prices(draft, self._companions)
        map_tickets(draft)
        map_devices(draft)
        map_models(draft, self._companions, self._secrets)
        map_hooks(draft, self._secrets)
        map_reports(draft)

    def _keeper(self, draft: Draft) -> None:
        if not draft.on_chain:
            text = f"a {draft.kind} has nothing to do off chain: not a host"
            draft.findings.append(Finding(draft.process.spot, Outcome.NO_COUNTERPART, draft.name, text, draft.name))
            return
        is_redeemer = draft.kind is NodeKind.REDEEMER
        draft.put("role", "redeemer" if is_redeemer else "keykeeper")
        key = map_key(draft, self._chain, "redeemer" if is_redeemer else "orchestrator")
        if is_redeemer:
            map_redeemer(draft, key)
        else:
            map_reward_node(draft, key, _own_address(draft))
        map_reports(draft)

    def _is_merged(self, draft: Draft, inside: list[Draft]) -> bool:
        """Whether a worker is taken into the orchestrator of its own machine."""
        if not draft.kind.is_worker or self._wishes.split:
            return False
        host = orchestrator_of(draft, inside)
        if host is None or host.process.machine != draft.process.machine:
            return False
        merge_worker(draft, host)
        return True

    def _one_reward(self, hosts: list[Draft]) -> None:
        calling = [draft for draft in hosts if "reward" in draft.tree.get("duties", {})]
        for draft in calling[1:]:
            text = f"`{calling[0].name}` calls reward as well; one host a key is enough, the other pays gas for nothing"
            draft.danger(text, draft.settings.said.get("reward"), subject="-reward")
        chained = [draft for draft in hosts if draft.kind is NodeKind.ORCHESTRATOR and draft.on_chain]
        if chained and not calling:
            text = (
                "no host calls reward: be sure that another node does, each round without it loses what would be minted"
            )
            chained[0].advise(text, chained[0].settings.said.get("reward"), subject="-reward")

    def _tree(self, hosts: list[Draft]) -> Tree:
        tree: Tree = {"name": Line(self._wishes.name)}
        tree["network"] = self._chain.network if "name" in self._chain.network else Line("offchain")
        if self._chain.keys:
            tree["keys"] = self._chain.keys
        used = {name for draft in hosts for name in _names_in(draft.tree)}
        references = [each for each in self._secrets.references.items() if each[0] in used]
        if references:
            tree["secrets"] = {name: {reference.field: Line(_plain(reference.value))} for name, reference in references}
        is_chained = "name" in self._chain.network
        tree["hosts"] = {}
        machines: dict[str, list[Draft]] = {}
        for draft in hosts:
            others = machines.setdefault(draft.process.machine, [])
            tree["hosts"][draft.name] = self._host(draft, others, hosts, own_network=is_chained and not draft.on_chain)
            others.append(draft)
        return tree

    def _host(self, draft: Draft, others: list[Draft], hosts: list[Draft], *, own_network: bool) -> Tree:
        address, remark = self._address(draft, others, hosts)
        host: Tree = {"address": Line(address, remark)}
        if others and not self._wishes.split:
            host["root"] = Line(f"/srv/livefleet/{draft.name}", f"on one machine with `{others[0].name}`")
            draft.put(
                "monitoring.admin_listen", f"127.0.0.1:{_ADMIN_PORT + len(others)}", f"7936 is `{others[0].name}`'s"
            )
        if own_network and draft.kind is NodeKind.ORCHESTRATOR:
            host["network"] = Line("offchain", "no -network")
        for section in ("role", "gpus", "driver", "duties", "orchestrator", "worker", "redeemer", "keykeeper"):
            if section in draft.tree:
                host[section] = draft.tree[section]
        host |= {section: value for section, value in draft.tree.items() if section not in host}
        return host

    def _address(self, draft: Draft, others: list[Draft], hosts: list[Draft]) -> tuple[str, str]:
        wished = self._wishes.addresses.get(draft.name) or self._wishes.addresses.get("")
        if wished:
            return wished, ""
        for near in (
            [draft] if self._wishes.split else [each for each in hosts if each.process.machine == draft.process.machine]
        ):
            if (host := _public_host(near)) is not None:
                return host, "of the service address; how ssh reaches the machine"
        if others and not self._wishes.split:
            return self._address(others[0], [], hosts)
        draft.to_do(f"write how ssh reaches this machine as `hosts.{draft.name}.address`", subject="address")
        return f"{CHANGE_ME}-{draft.name}.example.com", "not said in the source: how ssh reaches the machine"


def _names_in(tree: Tree) -> Iterator[str]:
    """Every text of a host: names of secrets are among them."""
    for value in tree.values():
        if isinstance(value, dict):
            yield from _names_in(value)
        elif isinstance(value.value, list):
            yield from (str(text) for entry in value.value if isinstance(entry, dict) for text in entry.values())
        else:
            yield str(value.value)


def _public_host(draft: Draft) -> str | None:
    """The host of an orchestrator's service address, where everybody reaches it."""
    orchestrator = draft.tree.get("orchestrator")
    if orchestrator is None or "discovery_only" in orchestrator:
        return None
    host = host_of(orchestrator["service_uri"].value)
    is_public = bool(host) and not (is_private(host) or is_inner_name(host) or CHANGE_ME in host)
    return host if is_public else None


def _own_address(draft: Draft) -> str | None:
    said = draft.get("ethAcctAddr")
    found = eth_address(said.value.known or "") if said is not None else None
    return found[0] if found is not None else None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
