"""Signing away from the network: prepared where the chain is seen, signed where the key is, sent from anywhere.

Three files, each complete by itself: a proposal (what is wanted), a prepared proposal (with nonce, fees and gas), a
signed one (raw transactions). Each is checked when it is read: calls say what they do, and signed transactions are the
calls of their proposal by the proposal's signer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field, JsonValue, StringConstraints, ValidationError

from livefleet.chain.account import Signer
from livefleet.chain.envelope import SignedTransaction, parse_signed
from livefleet.chain.fees import Fees
from livefleet.chain.proposal import Proposal
from livefleet.chain.signature import checksum_address
from livefleet.kernel import Address, BadInput, Wei
from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress

__all__ = ["PreparedProposal", "SignedProposal", "read_proposal", "sign_prepared"]

_PREPARED: Final = "livefleet prepared proposal"
_SIGNED: Final = "livefleet signed proposal"

_Number = Annotated[int, Field(ge=0)]
_Raw = Annotated[str, StringConstraints(pattern=r"^0x02([0-9a-f]{2})+$", max_length=200_000)]


@dataclass(frozen=True, slots=True)
class PreparedProposal:
    """A proposal with all that signing needs and only a node knows."""

    proposal: Proposal
    nonce: int  # of the first call; the others follow
    fees: Fees
    gas: tuple[int, ...]  # limit of each call
    assumed: tuple[int, ...]  # indices of calls whose gas could not be measured before the ones before them
    contracts: Mapping[Address, str]  # the protocol's contracts, as the preparing machine found them
    prepared_at: float  # unix seconds

    @property
    def most(self) -> Wei:
        """Wei that all of it may take: gas at the highest fee, and what goes along."""
        return Wei(sum(self.gas) * self.fees.max_fee + sum(call.value for call in self.proposal.calls))

    def to_json(self) -> str:
        """The file's text."""
        body: dict[str, Any] = {
            "kind": _PREPARED,
            "version": 1,
            "proposal": json.loads(self.proposal.to_json()),
            "nonce": self.nonce,
            "max_fee": self.fees.max_fee,
            "tip": self.fees.tip,
            "gas": list(self.gas),
            "assumed": list(self.assumed),
            "contracts": dict(self.contracts),
            "prepared_at": self.prepared_at,
        }
        return json.dumps(body, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "PreparedProposal":
        """The file's content, checked. Raises BadInput."""
        try:
            file = _PreparedFile.model_validate_json(text)
        except ValidationError as error:
            raise BadInput(f"this is no prepared proposal: {_first(error)}") from error
        proposal = Proposal.from_json(json.dumps(file.proposal))
        if len(file.gas) != len(proposal.calls):
            raise BadInput(f"the file has gas for {len(file.gas)} calls, its proposal has {len(proposal.calls)}")
        return PreparedProposal(
            proposal=proposal,
            nonce=file.nonce,
            fees=Fees(Wei(file.max_fee), Wei(file.tip)),
            gas=file.gas,
            assumed=file.assumed,
            contracts={_address(address): name for address, name in file.contracts.items()},
            prepared_at=file.prepared_at,
        )


@dataclass(frozen=True, slots=True)
class SignedProposal:
    """A proposal's transactions, in their order, ready to be sent."""

    proposal: Proposal
    raw: tuple[bytes, ...]

    @property
    def transactions(self) -> tuple[SignedTransaction, ...]:
        """The transactions as read back from their bytes."""
        return tuple(parse_signed(raw) for raw in self.raw)

    def check(self) -> "SignedProposal":
        """This, known to be the proposal's calls by its signer. Raises BadInput."""
        proposal, transactions = self.proposal, self.transactions
        if len(transactions) != len(proposal.calls):
            raise BadInput(f"{len(transactions)} transactions are signed, the proposal has {len(proposal.calls)} calls")
        for number, (signed, call) in enumerate(zip(transactions, proposal.calls, strict=True), 1):
            if signed.sender != proposal.signer:
                raise BadInput(f"transaction {number} is signed by {signed.sender}, wanted is {proposal.signer}")
            if signed.chain_id != proposal.chain_id:
                raise BadInput(f"transaction {number} is for chain {signed.chain_id}, wanted is {proposal.chain_id}")
            if (signed.to, signed.data, signed.value) != (call.to, call.data, call.value):
                raise BadInput(f"transaction {number} is not call {number} of proposal {proposal.id}; do not send it")
            if signed.nonce != transactions[0].nonce + number - 1:
                raise BadInput(f"transaction {number} has nonce {signed.nonce}, which does not follow the one before")
        return self

    def to_json(self) -> str:
        """The file's text."""
        body = {
            "kind": _SIGNED,
            "version": 1,
            "proposal": json.loads(self.proposal.to_json()),
            "raw": ["0x" + raw.hex() for raw in self.raw],
        }
        return json.dumps(body, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "SignedProposal":
        """The file's content, checked. Raises BadInput."""
        try:
            file = _SignedFile.model_validate_json(text)
        except ValidationError as error:
            raise BadInput(f"this is no signed proposal: {_first(error)}") from error
        proposal = Proposal.from_json(json.dumps(file.proposal))
        return SignedProposal(proposal, tuple(bytes.fromhex(raw[2:]) for raw in file.raw)).check()


def read_proposal(text: str | bytes) -> Proposal | PreparedProposal:
    """What a file to be signed holds. Raises BadInput for anything else, a signed proposal included."""
    try:
        kind = json.loads(text).get("kind")
    except (ValueError, AttributeError) as error:
        raise BadInput("this is no proposal: it is not whole JSON") from error
    if kind == _SIGNED:
        raise BadInput("this is signed already: send it with `livefleet chain broadcast`")
    return PreparedProposal.from_json(text) if kind == _PREPARED else Proposal.from_json(text)


async def sign_prepared(prepared: PreparedProposal, signer: Signer) -> SignedProposal:
    """Every call signed, with consecutive nonces. Raises BadInput for another signer, and what signing raises."""
    proposal = prepared.proposal
    if signer.address != proposal.signer:
        raise BadInput(f"the key is that of {signer.address}, the proposal is for {proposal.signer}; nothing is signed")
    raw = [
        await signer.sign_transaction(
            {
                "type": 2,
                "chainId": proposal.chain_id,
                "nonce": prepared.nonce + index,
                "to": call.to,
                "data": call.data,
                "value": int(call.value),
                "gas": prepared.gas[index],
                "maxFeePerGas": int(prepared.fees.max_fee),
                "maxPriorityFeePerGas": int(prepared.fees.tip),
            }
        )
        for index, call in enumerate(proposal.calls)
    ]
    return SignedProposal(proposal, tuple(raw)).check()


class _PreparedFile(SpecModel):
    kind: Annotated[str, StringConstraints(pattern=f"^{_PREPARED}$")]
    version: Annotated[int, Field(ge=1, le=1)]
    proposal: JsonValue
    nonce: _Number
    max_fee: Annotated[int, Field(gt=0, lt=2**64)]
    tip: _Number
    gas: tuple[Annotated[int, Field(ge=21_000, le=100_000_000)], ...]
    assumed: tuple[_Number, ...]
    contracts: dict[EthAddress, Annotated[str, StringConstraints(max_length=60)]]
    prepared_at: float


class _SignedFile(SpecModel):
    kind: Annotated[str, StringConstraints(pattern=f"^{_SIGNED}$")]
    version: Annotated[int, Field(ge=1, le=1)]
    proposal: JsonValue
    raw: tuple[_Raw, ...]


def _first(error: ValidationError) -> str:
    item = error.errors()[0]
    where = ".".join(str(part) for part in item["loc"]) or "the file"
    return f"{where}: {item['msg']}"


def _address(text: str) -> Address:
    return checksum_address(bytes.fromhex(text[2:]))
