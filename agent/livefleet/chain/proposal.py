"""Calls that an agent may not sign itself: written down for the holder of the key, who checks, signs and sends them.

A proposal is only as good as what its reader can verify. So the file carries function and arguments as text *and* the
calldata, which must be each other's encoding; the function must be one of those in `MEANINGS`, since anybody can find
an innocent-looking name with another function's selector; and the id is the hash of everything that is said.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints, ValidationError

from livefleet.chain.abi import Function
from livefleet.chain.argument_text import from_text, to_text
from livefleet.chain.models import Call
from livefleet.chain.signature import checksum_address
from livefleet.chain.stack import eth_abi
from livefleet.kernel import Address, BadInput, Wei
from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress

__all__ = ["MEANINGS", "Argument", "Meaning", "Proposal", "ProposedCall", "propose", "proposed_call"]

MEANINGS: Final = {
    Function.parse(text).signature: (tuple(names.split()), meaning)
    for text, names, meaning in (
        ("transcoder(uint256,uint256)", "rewardCut feeShare", "sets the orchestrator's cuts, parts of 1,000,000"),
        ("transcoderWithHint(uint256,uint256,address,address)", "rewardCut feeShare prev next", "sets the cuts"),
        ("setServiceURI(string)", "serviceURI", "tells gateways where the orchestrator is"),
        ("setRewardCaller(address)", "rewardCaller", "lets another key call reward; 0x00… takes that back"),
        ("approve(address,uint256)", "spender amount", "lets the spender take that many LPTU (10^-18 LPT)"),
        ("bond(uint256,address)", "amount to", "stakes LPTU (10^-18 LPT) with an orchestrator"),
        (
            "bondWithHint(uint256,address,address,address,address,address)",
            "amount to oldPrev oldNext newPrev newNext",
            "stakes LPTU (10^-18 LPT) with an orchestrator",
        ),
        (
            "transferBond(address,uint256,address,address,address,address)",
            "delegator amount oldPrev oldNext newPrev newNext",
            "gives staked LPTU (10^-18 LPT) to another account",
        ),
        ("unbond(uint256)", "amount", "begins to take LPTU (10^-18 LPT) out of the stake"),
        ("rebond(uint256)", "lock", "puts an unbonding lock back into the stake"),
        ("withdrawStake(uint256)", "lock", "takes the LPT of an unbonding lock out"),
        ("withdrawFees(address,uint256)", "recipient amount", "pays earned wei out to the recipient"),
        ("reward()", "", "mints the round's reward"),
        ("rewardWithHint(address,address)", "prev next", "mints the round's reward"),
        ("initializeRound()", "", "initialises the round"),
        ("castVote(uint256,uint8)", "proposal support", "votes: 0 against, 1 for, 2 abstain"),
        ("castVoteWithReason(uint256,uint8,string)", "proposal support reason", "votes: 0 against, 1 for, 2 abstain"),
        ("vote(uint256)", "choice", "votes in a poll: 0 yes, 1 no"),
        ("checkpointBondingState(address)", "account", "repairs an account's voting checkpoints"),
    )
}
"""Every function that a proposal may call, with its arguments' names and what it does."""

_Text = Annotated[str, StringConstraints(max_length=4_000)]
_Data = Annotated[str, StringConstraints(pattern=r"^0x([0-9a-f]{2})*$", max_length=40_000)]
_Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """One contract call as text and as calldata. Of a plain transfer of ETH both are empty."""

    to: Address
    function_signature: str  # canonical: `transcoder(uint256,uint256)`
    arguments: tuple[str, ...]  # as `to_text` writes them
    data: bytes
    value: Wei = Wei(0)

    def call(self) -> Call:
        """What a transaction is made of."""
        return Call(to=self.to, data=self.data, value=self.value)

    def meaning(self) -> "Meaning":
        """What the calldata really does, decoded from it. Raises BadInput where the text says something else."""
        if not self.function_signature and not self.arguments and not self.data:
            return Meaning("", f"sends {self.value} wei to {self.to}", ())
        known = MEANINGS.get(self.function_signature)
        if known is None:
            raise BadInput(f"{self.function_signature!r} is none of the functions that a proposal may call")
        names, does = known
        function = Function.parse(self.function_signature)
        if len(self.arguments) != len(function.inputs):
            raise BadInput(
                f"{self.function_signature} takes {len(function.inputs)} arguments, not {len(self.arguments)}"
            )
        values = [from_text(kind, text) for kind, text in zip(function.inputs, self.arguments, strict=True)]
        try:
            expected = function.encode(*values)
        except (eth_abi.exceptions.EncodingError, OverflowError) as error:
            raise BadInput(f"{self.function_signature}: its arguments do not fit: {error}") from error
        if expected != self.data:
            found = self.data[:4].hex() or "none"
            raise BadInput(
                f"the calldata (selector 0x{found}) is not {self.function_signature} with {list(self.arguments)}; "
                "somebody changed one of them: do not sign"
            )
        arguments = zip(names, function.inputs, _decoded(function, self.data), strict=True)
        return Meaning(function.name, does, tuple(Argument(*parts) for parts in arguments))


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument as decoded from calldata."""

    name: str
    kind: str  # ABI type
    text: str


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a call does, in words."""

    function: str  # empty: a plain transfer
    does: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody with the key of `signer` is asked to do. Make it with `propose`, which knows the id."""

    id: str  # 16 hex digits: the start of the sha256 of all else but the time
    chain_id: int
    signer: Address
    title: str
    reason: str
    calls: tuple[ProposedCall, ...]  # in this order; each needs the ones before it mined
    made_at: float  # unix seconds
    topic: str = ""  # what it is about: proposals of one topic replace each other

    def check(self) -> Self:
        """This proposal, known to say what it does. Raises BadInput for one that was tampered with."""
        expected = _id_of(self)
        if expected != self.id:
            raise BadInput(f"proposal {self.id}: its content hashes to {expected}; it was changed after it was made")
        if not self.calls:
            raise BadInput(f"proposal {self.id}: it calls nothing")
        for number, call in enumerate(self.calls, 1):
            try:
                call.meaning()
            except BadInput as error:
                raise BadInput(f"proposal {self.id}, call {number}: {error}") from error
        return self

    def to_json(self) -> str:
        """The file's text."""
        body: dict[str, Any] = {"version": 1, "id": self.id, **_content(self), "made_at": self.made_at}
        return json.dumps(body, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Proposal":
        """The proposal in a file's text, checked. Raises BadInput."""
        try:
            file = _File.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise BadInput(f"this is no proposal: {where}: {first['msg']}") from error
        return Proposal(
            id=file.id,
            chain_id=file.chain_id,
            signer=_address(file.signer),
            title=file.title,
            reason=file.reason,
            calls=tuple(
                ProposedCall(
                    to=_address(call.to),
                    function_signature=call.function_signature,
                    arguments=call.arguments,
                    data=bytes.fromhex(call.data[2:]),
                    value=Wei(int(call.value)),
                )
                for call in file.calls
            ),
            made_at=file.made_at,
            topic=file.topic,
        ).check()


def proposed_call(call: Call, function: Function) -> ProposedCall:
    """An encoded call of `function` with its text. Raises BadInput where it is none that a proposal may call."""
    made = ProposedCall(call.to, function.signature, _decoded(function, call.data), call.data, call.value)
    made.meaning()
    return made


def propose(
    *,
    chain_id: int,
    signer: Address,
    topic: str,
    title: str,
    reason: str,
    calls: Iterable[ProposedCall],
    made_at: float,
) -> Proposal:
    """A proposal with its id. Keep `reason` free of what changes by the minute: another text is another proposal."""
    bare = Proposal("", chain_id, signer, title, reason, tuple(calls), made_at, topic)
    return replace(bare, id=_id_of(bare)).check()


class _CallInFile(SpecModel):
    to: EthAddress
    function_signature: _Text
    arguments: tuple[_Text, ...]
    data: _Data
    value: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,78}$")]


class _File(SpecModel):
    version: Annotated[int, Field(ge=1, le=1)]
    id: _Id
    chain_id: Annotated[int, Field(gt=0)]
    signer: EthAddress
    topic: _Text
    title: _Text
    reason: _Text
    calls: tuple[_CallInFile, ...]
    made_at: float


def _content(proposal: Proposal) -> dict[str, Any]:
    """All that the id stands for."""
    return {
        "chain_id": proposal.chain_id,
        "signer": proposal.signer,
        "topic": proposal.topic,
        "title": proposal.title,
        "reason": proposal.reason,
        "calls": [asdict(call) | {"data": "0x" + call.data.hex(), "value": str(call.value)} for call in proposal.calls],
    }


def _id_of(proposal: Proposal) -> str:
    text = json.dumps(_content(proposal), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _decoded(function: Function, data: bytes) -> tuple[str, ...]:
    try:
        values = eth_abi.abi.decode(list(function.inputs), data[4:])
    except eth_abi.exceptions.DecodingError as error:
        raise BadInput(f"the calldata is no call of {function.signature}") from error
    return tuple(to_text(kind, value) for kind, value in zip(function.inputs, values, strict=True))


def _address(text: str) -> Address:
    return checksum_address(bytes.fromhex(text[2:]))
