"""What must hold between the parts of `on_chain`, and key names resolved to addresses."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from livefleet.spec.amounts import lpt_text
from livefleet.spec.explain import dotted
from livefleet.spec.node import NodeSpec
from livefleet.spec.on_chain import NOBODY, SAME, OnChain
from livefleet.spec.problem import Problem, did_you_mean
from livefleet.spec.profile import Origin, Origins, Trail

__all__ = ["check_on_chain", "with_addresses"]

_ROLES: Final = ("orchestrator", "keykeeper")
_ACCOUNTS: Final = (("orchestrator",), ("reward_caller",), ("withdraw_fees", "to"), ("transfer_stake", "to"))


def check_on_chain(node: NodeSpec, origins: Origins, keys: Mapping[str, Any]) -> Iterator[Problem]:
    """What a node's section lacks or contradicts. `keys`: the fleet's, as written."""
    declared = node.on_chain
    if declared is None:
        return

    def say(path: Trail, message: str, hint: str) -> Problem:
        origin = origins.nearest(path) or origins.of(("name",)) or Origin("", "", 1, 1)
        return Problem(origin.file, origin.line, origin.column, message, hint, dotted(path))

    if node.role.value not in _ROLES:
        yield say(("on_chain",), f"`on_chain` is for orchestrators, not for a {node.role}", "take it away")
    elif not node.network.on_chain:
        yield say(("on_chain",), "`on_chain` needs a chain, and the network is offchain", "name a network")
    yield from _accounts(declared, keys, say)
    yield from _activation(declared, say)
    yield from _transfers(declared, say)
    if node.orchestrator is None:
        for field in ("service_uri", "ai_service_uri"):
            if getattr(declared, field) == SAME or (declared.activate and getattr(declared, field) is None):
                hint = "write the URI"
                yield say(("on_chain", field), "`same` as what: this host has no `orchestrator.service_uri`", hint)


def with_addresses(declared: OnChain, keys: Mapping[str, Any]) -> OnChain:
    """The section with the address of each key that it names. `keys`: the fleet's, parsed or as the node has them."""
    changed: dict[str, Any] = {}
    for path in _ACCOUNTS:
        value = _at(declared, path)
        if value is None or value == NOBODY or value.startswith("0x"):
            continue
        address = keys[value].address
        if len(path) == 1:
            changed[path[0]] = address
        else:
            changed[path[0]] = getattr(declared, path[0]).model_copy(update={path[1]: address})
    return declared.model_copy(update=changed)


def _accounts(declared: OnChain, keys: Mapping[str, Any], say: Any) -> Iterator[Problem]:
    for path in _ACCOUNTS:
        value = _at(declared, path)
        if value is None or value.startswith("0x") or (value == NOBODY and path == ("reward_caller",)):
            continue
        at = ("on_chain", *path)
        if value not in keys:
            hint = did_you_mean(value, keys) or "write a 0x address, or declare the key"
            yield say(at, f"no key `{value}` under `keys`", hint)
        elif not (isinstance(keys[value], dict) and keys[value].get("address")):
            yield say(at, f"key `{value}` has no `address`", f"say `keys.{value}.address`, or write the address here")


def _activation(declared: OnChain, say: Any) -> Iterator[Problem]:
    if not declared.max_change:
        yield say(
            ("on_chain", "max_change"), "`max_change` of 0% would never change anything", "allow at least 0.0001%"
        )
    if not declared.activate:
        return
    for field in ("reward_cut", "fee_cut", "min_self_stake"):
        if getattr(declared, field) is None:
            hint = f"declare `on_chain.{field}`"
            yield say(("on_chain", "activate"), f"an orchestrator cannot be activated without `{field}`", hint)


def _transfers(declared: OnChain, say: Any) -> Iterator[Problem]:
    for field in ("withdraw_fees", "transfer_stake"):
        section = getattr(declared, field)
        if section is not None and section.to is None:
            yield say(("on_chain", field), f"`{field}` has no `to`", "name the address that it goes to")
    transfer = declared.transfer_stake
    if transfer is None:
        return
    if transfer.keep is None and declared.min_self_stake is None:
        message = "`transfer_stake` does not say how much stake stays"
        yield say(("on_chain", "transfer_stake"), message, "declare its `keep`, or `min_self_stake`")
    elif transfer.keep is not None and transfer.keep < (declared.min_self_stake or 0):
        message = f"`keep` is below `min_self_stake`, {lpt_text(declared.min_self_stake or 0)}"
        yield say(("on_chain", "transfer_stake", "keep"), message, "keep at least as much")


def _at(declared: OnChain, path: tuple[str, ...]) -> Any:
    value: Any = declared
    for part in path:
        value = None if value is None else getattr(value, part)
    return value
