"""A proposal in words that a person can decide by: everything is decoded from what would be signed. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from livefleet.chain.proposal import Argument, Meaning, ProposedCall
from livefleet.kernel import ZERO_ADDRESS, Address
from livefleet.spec.amounts import eth_text, lpt_text, percent_text

__all__ = ["CallWords", "describe"]

_LPT: Final = {
    ("approve", "amount"),
    ("bond", "amount"),
    ("bondWithHint", "amount"),
    ("transferBond", "amount"),
    ("unbond", "amount"),
}
_ETH: Final = {("withdrawFees", "amount")}
_PARTS: Final = {"rewardCut", "feeShare"}
_EVERYTHING: Final = 2**256 - 1


@dataclass(frozen=True, slots=True)
class CallWords:
    """One call as it is shown."""

    contract: str  # its name, else empty
    to: Address
    does: str
    arguments: tuple[tuple[str, str], ...]  # name and value with its unit
    value: str  # ETH that goes along; empty for none

    @property
    def is_known(self) -> bool:
        """Whether it goes to one of the protocol's contracts, or is a plain transfer of ETH."""
        return bool(self.contract) or not self.arguments


def describe(call: ProposedCall, contracts: Mapping[Address, str]) -> CallWords:
    """What a call does. `contracts`: the protocol's by address. Raises BadInput where its text is not its calldata."""
    meaning = call.meaning()
    return CallWords(
        contract=contracts.get(call.to, ""),
        to=call.to,
        does=f"{meaning.function}: {meaning.does}" if meaning.function else meaning.does,
        arguments=tuple((argument.name, _value(meaning, argument, contracts)) for argument in meaning.arguments),
        value=eth_text(call.value) if call.value else "",
    )


def _value(meaning: Meaning, argument: Argument, contracts: Mapping[Address, str]) -> str:
    text = argument.text
    if argument.kind == "address":
        if text == ZERO_ADDRESS:
            return f"{text} (nobody)"
        name = contracts.get(Address(text))
        return f"{text} ({name})" if name else text
    if not argument.kind.startswith("uint"):
        return repr(text) if argument.kind == "string" else text
    amount = int(text)
    if (meaning.function, argument.name) in _LPT:
        return f"all of it, now and later ({text})" if amount == _EVERYTHING else lpt_text(amount)
    if (meaning.function, argument.name) in _ETH:
        return eth_text(amount)
    if argument.name == "feeShare":
        kept = f", that is a fee cut of {percent_text(1_000_000 - amount)}" if amount <= 1_000_000 else ""
        return f"{percent_text(amount)} of the fees to delegators{kept}"
    if argument.name in _PARTS:
        return percent_text(amount)
    return text
