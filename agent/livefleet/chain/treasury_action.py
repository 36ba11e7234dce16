"""What a treasury proposal would do, in words: calldata decoded where its function is known, shown raw where not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from livefleet.chain.abi import Function
from livefleet.chain.argument_text import to_text
from livefleet.chain.stack import eth_abi
from livefleet.kernel import Address, Wei
from livefleet.spec.amounts import eth_text, lpt_text, percent_text

__all__ = ["TreasuryAction", "describe"]

_PRECISE_TO_PARTS: Final = 10**21  # parts of 10**27 to parts of 1,000,000


@dataclass(frozen=True, slots=True)
class TreasuryAction:
    """One call that the treasury would make."""

    target: Address
    value: Wei
    data: bytes
    text: str  # a sentence without its subject: `pays 100 LPT to 0x…`
    is_known: bool  # False: the text only shows the calldata, and a reader has to find out


def describe(target: Address, value: Wei, data: bytes, names: Mapping[Address, str]) -> TreasuryAction:
    """What one call does. `names`: the protocol's contracts by address.

    A known function on an unexpected contract is not trusted to mean the same: it is shown as a call with its
    arguments and counts as unknown.
    """
    name = names.get(target, "")
    if not data:
        return TreasuryAction(target, value, data, f"pays {eth_text(value)} to {_place(target, name)}", is_known=True)
    known = _KNOWN.get(data[:4])
    values = None if known is None else _arguments(known.function, data)
    paid = f" and pays it {eth_text(value)}" if value else ""
    if known is None or values is None:
        text = f"calls selector 0x{data[:4].hex()} of {_place(target, name)} with 0x{data[4:].hex()}{paid}"
        return TreasuryAction(target, value, data, text, is_known=False)
    if name not in known.contracts:
        shown = ", ".join(to_text(kind, one) for kind, one in zip(known.function.inputs, values, strict=True))
        text = f"calls {known.function.name}({shown}) of {_place(target, name)}{paid}"
        return TreasuryAction(target, value, data, text, is_known=False)
    return TreasuryAction(target, value, data, known.words(*values) + paid, is_known=True)


@dataclass(frozen=True, slots=True)
class _Known:
    function: Function
    contracts: tuple[str, ...]  # names in the Controller on which it means this
    words: Callable[..., str]


def _address(value: str) -> str:
    return to_text("address", value)


def _table(*rows: tuple[str, tuple[str, ...], Callable[..., str]]) -> dict[bytes, _Known]:
    parsed = [_Known(Function.parse(signature), contracts, words) for signature, contracts, words in rows]
    return {known.function.selector: known for known in parsed}


_TOKEN, _BONDING, _MINTER = ("LivepeerToken",), ("BondingManager",), ("Minter",)
_GOVERNOR, _TREASURY = ("LivepeerGovernor",), ("Treasury",)
_KNOWN: Final = _table(
    ("transfer(address,uint256)", _TOKEN, lambda to, amount: f"pays {lpt_text(amount)} to {_address(to)}"),
    (
        "approve(address,uint256)",
        _TOKEN,
        lambda spender, amount: f"lets {_address(spender)} take {lpt_text(amount)} of the treasury",
    ),
    ("bond(uint256,address)", _BONDING, lambda amount, to: f"stakes {lpt_text(amount)} with {_address(to)}"),
    (
        "setTreasuryRewardCutRate(uint256)",
        _BONDING,
        lambda rate: f"sets the treasury's share of rewards to {_precise(rate)} from the next round on",
    ),
    (
        "setTreasuryBalanceCeiling(uint256)",
        _BONDING,
        lambda ceiling: f"stops the treasury's share of rewards once it holds {lpt_text(ceiling)}",
    ),
    ("setUnbondingPeriod(uint64)", _BONDING, lambda rounds: f"sets the unbonding period to {rounds} rounds"),
    ("setNumActiveTranscoders(uint256)", _BONDING, lambda size: f"sets the size of the active set to {size}"),
    ("setInflationChange(uint256)", _MINTER, lambda parts: f"sets inflation's change a round to {parts} / 10^9"),
    ("setTargetBondingRate(uint256)", _MINTER, lambda parts: f"sets the target bonding rate to {parts} / 10^9"),
    ("setVotingDelay(uint256)", _GOVERNOR, lambda rounds: f"sets the voting delay to {rounds} rounds"),
    ("setVotingPeriod(uint256)", _GOVERNOR, lambda rounds: f"sets the voting period to {rounds} rounds"),
    (
        "setProposalThreshold(uint256)",
        _GOVERNOR,
        lambda votes: f"lets accounts with votes of {lpt_text(votes)} propose",
    ),
    (
        "updateQuorumNumerator(uint256)",
        _GOVERNOR,
        lambda parts: f"sets the quorum to {percent_text(parts)} of all stake",
    ),
    ("updateTimelock(address)", _GOVERNOR, lambda to: f"puts {_address(to)} in the treasury's place"),
    ("updateDelay(uint256)", _TREASURY, lambda seconds: f"makes decided payments wait {seconds} s"),
    (
        "grantRole(bytes32,address)",
        _TREASURY,
        lambda role, to: f"gives {_address(to)} the role 0x{role.hex()} over the treasury",
    ),
    (
        "revokeRole(bytes32,address)",
        _TREASURY,
        lambda role, to: f"takes the role 0x{role.hex()} over the treasury from {_address(to)}",
    ),
)


def _precise(parts: int) -> str:
    whole, rest = divmod(parts, _PRECISE_TO_PARTS)
    return percent_text(whole) if not rest else f"{parts} / 10^27"


def _arguments(function: Function, data: bytes) -> tuple[Any, ...] | None:
    """The arguments; None unless they are what all of the calldata says."""
    try:
        values = tuple(eth_abi.abi.decode(list(function.inputs), data[4:]))
    except eth_abi.exceptions.DecodingError:
        return None
    return values if function.encode(*values) == data else None


def _place(target: Address, name: str) -> str:
    return f"{name} ({target})" if name else target
