"""Proposals as they are shown before somebody signs or sends them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livefleet.cli.output import console
from livefleet.kernel import Address, BadInput
from livefleet.kernel.durable_file import write_new

if TYPE_CHECKING:
    from livefleet.chain import CallWords, PreparedProposal, Proposal, Sent

__all__ = ["print_proposal", "proposal_json", "read_file", "sent_json", "unknown_contracts", "write_file"]


def read_file(path: Path) -> str:
    """A file's text. Raises BadInput where it cannot be read."""
    try:
        return path.read_text()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is no text") from error


def write_file(path: Path, text: str) -> None:
    """Write a new file, on the disk when this returns. Raises BadInput where it is there or cannot be written."""
    try:
        write_new(path, text.encode(), mode=None)
    except FileExistsError as error:
        raise BadInput(f"{path}: is there already; nothing is overwritten, choose another with --out") from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error


def unknown_contracts(proposal: "Proposal", contracts: Mapping[Address, str]) -> tuple[Address, ...]:
    """Addresses that the proposal calls and that are none of the protocol's."""
    from livefleet.chain import describe

    return tuple(dict.fromkeys(call.to for call in proposal.calls if not describe(call, contracts).is_known))


def print_proposal(
    proposal: "Proposal", contracts: Mapping[Address, str], prepared: "PreparedProposal | None" = None
) -> None:
    """Say on stderr what each call does, decoded from what would be signed, and what all of it may cost."""
    from livefleet.chain import describe

    out = console(stderr=True)
    out.print(f"proposal {proposal.id}: {proposal.title}", markup=False)
    out.print(f"  why     {proposal.reason}", markup=False)
    out.print(f"  signer  {proposal.signer}", markup=False)
    out.print(f"  chain   {proposal.chain_id}", markup=False)
    for number, call in enumerate(proposal.calls, 1):
        for line in _lines(number, describe(call, contracts), bool(contracts)):
            out.print(line, markup=False)
    if prepared is not None:
        _print_cost(prepared)


def proposal_json(proposal: "Proposal", contracts: Mapping[Address, str]) -> dict[str, Any]:
    """The same for machines."""
    from livefleet.chain import describe

    words = [describe(call, contracts) for call in proposal.calls]
    return {
        "id": proposal.id,
        "title": proposal.title,
        "signer": proposal.signer,
        "chain_id": proposal.chain_id,
        "calls": [
            {
                "contract": word.contract or None,
                "to": word.to,
                "does": word.does,
                "arguments": dict(word.arguments),
                "value_wei": call.value,
            }
            for word, call in zip(words, proposal.calls, strict=True)
        ],
    }


def sent_json(sent: "tuple[Sent, ...]") -> list[dict[str, Any]]:
    """Mined calls for machines."""
    return [
        {
            "call": one.number,
            "tx": "0x" + one.tx_hash.hex(),
            "block": one.block_number,
            "gas_used": one.gas_used,
            "cost_wei": one.cost,
            "was_there": one.was_there,
        }
        for one in sent
    ]


def _lines(number: int, words: "CallWords", names_known: bool) -> Iterator[str]:
    place = f"{words.contract} {words.to}" if words.contract else words.to
    if not words.is_known and names_known:
        place += "  NOT one of the protocol's contracts"
    yield f"  call {number}  {place}"
    yield f"          {words.does}"
    for name, value in words.arguments:
        yield f"          {name} = {value}"
    if words.value:
        yield f"          sends along {words.value}"


def _print_cost(prepared: "PreparedProposal") -> None:
    from livefleet.spec.amounts import eth_text

    out = console(stderr=True)
    last = prepared.nonce + len(prepared.gas) - 1
    out.print(f"  nonce   {prepared.nonce}" + (f" to {last}" if last > prepared.nonce else ""), markup=False)
    out.print(
        f"  fees    at most {json.dumps(prepared.fees.max_fee)} wei a gas, gas {', '.join(map(str, prepared.gas))}",
        markup=False,
    )
    if prepared.assumed:
        numbers = ", ".join(str(index + 1) for index in prepared.assumed)
        out.print(f"          call {numbers}: gas assumed, since it works only after the calls before it", markup=False)
    out.print(f"  cost    at most {eth_text(prepared.most)}, what goes along included", markup=False)
