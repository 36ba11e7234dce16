"""Which key sits on which host, what it can do there, and what is wrong with that. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from livefleet.spec import Fleet, KeyRef, KeyRole, NodeSpec, Role, does_media_work, key_uses
from livefleet.spec.amounts import eth_text, lpt_text

__all__ = ["KeyFacts", "KeyOnChain", "KeyPlan", "KeySeat", "Verdict", "plan_keys"]

_CAN = {
    KeyRole.IDENTITY: "sign results",
    KeyRole.RECIPIENT: "everything: stake, fees, cuts",
    KeyRole.REWARD_CALLER: "call reward",
    KeyRole.REDEEMER: "send redemptions",
    KeyRole.COLD: "everything, by hand",
}


class Verdict(StrEnum):
    """What the plan thinks of a key where it is."""

    GOOD = "good"
    REMARK = "remark"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class KeyOnChain:
    """What an address holds."""

    stake: int  # LPTU bonded by it, rewards included
    balance: int  # wei


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What was found out about a key beyond its declaration; None where nobody looked."""

    address: str | None = None  # that its file says, checksummed
    encrypted: bool | None = None
    mode: int | None = None  # of its file on the operator's machine
    trouble: str = ""  # why its file could not be looked at


@dataclass(frozen=True, slots=True)
class KeySeat:
    """One key on one host, or on none."""

    host: str  # empty: no host has it
    host_role: str
    key: str
    address: str | None
    roles: tuple[KeyRole, ...]
    place: str
    can: str
    verdict: Verdict = Verdict.GOOD
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """Every key of a fleet."""

    seats: tuple[KeySeat, ...] = field(default_factory=tuple)

    @property
    def refused(self) -> tuple[KeySeat, ...]:
        """Keys that must not be where they are."""
        return tuple(seat for seat in self.seats if seat.verdict is Verdict.REFUSED)


def plan_keys(
    fleet: Fleet,
    facts: Mapping[str, KeyFacts],
    *,
    on_chain: Mapping[str, KeyOnChain] | None = None,
    max_balance: int = 0,
) -> KeyPlan:
    """The plan of a fleet that has passed its checks.

    Args:
        fleet: What is declared.
        facts: What key files say, by key name.
        on_chain: What addresses hold, by address in small letters. None: the chain was not asked.
        max_balance: Wei from which on a GPU host's key holds too much. 0: no limit.
    """
    nodes = {host: fleet.node(host) for host in fleet.hosts}
    holders = Counter(name for node in nodes.values() for name in node.keys)
    seats: list[KeySeat] = []
    for host, node in nodes.items():
        for name in node.keys:
            facts_of = facts.get(name, KeyFacts())
            seats.append(_seat(host, node, name, fleet.spec.keys[name], facts_of, on_chain, max_balance, holders[name]))
    for name, key in fleet.spec.keys.items():
        if name not in holders:
            seats.append(_at_no_host(name, key, facts.get(name, KeyFacts())))
    return KeyPlan(tuple(seats))


def _seat(
    host: str,
    node: NodeSpec,
    name: str,
    key: KeyRef,
    facts: KeyFacts,
    on_chain: Mapping[str, KeyOnChain] | None,
    max_balance: int,
    holders: int,
) -> KeySeat:
    used = {role: None for use in key_uses(node) if use.name == name for role in use.roles}
    roles = tuple(dict.fromkeys((*used, *(key.roles or ()))))
    address = key.address or facts.address
    held = on_chain.get(address.lower()) if on_chain is not None and address is not None else None
    judged = [
        *_of_stake(node, key, roles, held, max_balance),
        *_of_file(key, facts),
        *_of_way(key),
        *_of_sharing(roles, holders),
        *([(Verdict.REMARK, "its address is not known here: declare `address`")] if address is None else []),
    ]
    return KeySeat(
        host=host,
        host_role=node.role.value,
        key=name,
        address=address,
        roles=roles,
        place=_place(name, key),
        can=_can(roles),
        verdict=max((verdict for verdict, _ in judged), key=list(Verdict).index, default=Verdict.GOOD),
        findings=tuple(text for _, text in judged),
    )


def _of_stake(
    node: NodeSpec, key: KeyRef, roles: tuple[KeyRole, ...], held: KeyOnChain | None, max_balance: int
) -> Iterator[tuple[Verdict, str]]:
    """Whether somebody who breaks into the host gets stake or savings."""
    gpu = does_media_work(node)
    if gpu and key.remote is not None:
        verdict, how = Verdict.REMARK, "whoever breaks in has the signing service sign: let its policy allow little"
    else:
        verdict, how = (Verdict.REFUSED if gpu else Verdict.REMARK), "whoever breaks in can take it"
    where = "a GPU host" if gpu else "a host with a network"
    better = (
        "give the host an identity key and say the address as `orchestrator.recipient`"
        if node.role is Role.ORCHESTRATOR
        else "rewards need only a LIP-118 reward caller's key"
    )
    if held is not None and held.stake > 0:
        yield verdict, f"{lpt_text(held.stake)} of stake are bonded by a key on {where}: {how}; {better}"
    elif held is None and KeyRole.RECIPIENT in roles and node.network.on_chain:
        yield verdict, f"the orchestrator's own key, which stake is bonded from, is on {where}: {how}; {better}"
    if held is not None and max_balance and held.balance > max_balance and gpu:
        much = f"it holds {eth_text(held.balance)}, more than {eth_text(max_balance)}"
        yield verdict, f"{much}, on a GPU host: move the rest to a cold key"
    if held is not None and held.balance == 0 and _sends(roles):
        yield Verdict.REMARK, "it holds no ETH and cannot pay for gas: send it some"


def _of_file(key: KeyRef, facts: KeyFacts) -> Iterator[tuple[Verdict, str]]:
    if facts.trouble:
        yield Verdict.REMARK, facts.trouble
    if key.address is not None and facts.address is not None and key.address.lower() != facts.address.lower():
        yield Verdict.REFUSED, f"its file is the key of {facts.address}, declared is {key.address}"
    if facts.encrypted is False:
        yield Verdict.REMARK, "its file is not encrypted: `livefleet keys new` makes a V3 keystore"
    if facts.mode is not None and facts.mode & 0o077:
        yield Verdict.REMARK, f"others on this machine can read its file (mode {facts.mode:04o}): chmod 600"


def _of_way(key: KeyRef) -> Iterator[tuple[Verdict, str]]:
    if key.remote is None or key.remote.url.startswith("https:"):
        return
    host = urlsplit(key.remote.url).hostname or ""
    if host != "localhost" and not host.startswith("127.") and host != "::1":
        yield Verdict.REMARK, "its signing service is reached without TLS: whoever is on the way can have it sign"


def _of_sharing(roles: tuple[KeyRole, ...], holders: int) -> Iterator[tuple[Verdict, str]]:
    if holders > 1 and _sends(roles):
        text = f"{holders} hosts have it and may send at once: share their store in PostgreSQL, or give each its own"
        yield Verdict.REMARK, text


def _at_no_host(name: str, key: KeyRef, facts: KeyFacts) -> KeySeat:
    roles = key.roles or ()
    judged = list(_of_file(key, facts))
    if not roles:
        judged.append((Verdict.REMARK, "no host uses it: say its `roles`, or take it out"))
    return KeySeat(
        host="",
        host_role="",
        key=name,
        address=key.address or facts.address,
        roles=roles,
        place="nowhere" if key.is_nowhere else f"the operator's: {_source(key)}",
        can=_can(roles),
        verdict=max((verdict for verdict, _ in judged), key=list(Verdict).index, default=Verdict.GOOD),
        findings=tuple(text for _, text in judged),
    )


def _place(name: str, key: KeyRef) -> str:
    if key.remote is not None:
        return f"signer {key.remote.url}"
    return f"its own {key.host_file}" if key.host_file is not None else f"keys/{name}, from {_source(key)}"


def _source(key: KeyRef) -> str:
    if key.file is not None:
        return key.file
    if key.env is not None:
        return f"${key.env}"
    if key.command is not None:
        return f"the program {key.command[0]}"
    return key.host_file or (key.remote.url if key.remote is not None else "nowhere")


def _can(roles: tuple[KeyRole, ...]) -> str:
    if KeyRole.RECIPIENT in roles:
        return _CAN[KeyRole.RECIPIENT]
    return "; ".join([_CAN[role] for role in roles] + (["spend its ETH"] if _sends(roles) else [])) or "spend its ETH"


def _sends(roles: tuple[KeyRole, ...]) -> bool:
    return bool({KeyRole.RECIPIENT, KeyRole.REWARD_CALLER, KeyRole.REDEEMER}.intersection(roles))
