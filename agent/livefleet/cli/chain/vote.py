"""`livefleet chain vote`: a vote on a treasury proposal or in a protocol poll, for the key that holds the stake."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livefleet.cli.chain.governance import find, pick_poll, pick_proposal
from livefleet.cli.chain.showing import print_proposal, sent_json, write_file
from livefleet.cli.chain.signing_key import SigningKey, signing_key_options
from livefleet.cli.chain.where import Where, where_options
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, OutsideWorld, SystemClock, Terminal

if TYPE_CHECKING:
    from livefleet.chain import ChainClient, PreparedProposal, Sent, SignedProposal
    from livefleet.chain.ballot import Ballot

__all__ = ["command"]

_SUPPORTS = ("against", "for", "abstain")  # in the order of their numbers
_CHOICES = ("yes", "no")  # likewise
_ADDRESS_LENGTH = 42


@click.command("vote")
@click.argument("subject", metavar="ID|POLL")
@click.argument("choice", metavar="for|against|abstain|yes|no")
@click.option("--reason", default="", help="A public sentence that stands beside the vote on a proposal.")
@click.option("--as", "account", metavar="ADDRESS", help="Who votes; the spec's orchestrator unless given.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file to write; vote-<id>.json.")
@click.option("--yes", is_flag=True, help="With a key: sign and send without asking.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@signing_key_options
@where_options
def command(
    subject: str,
    choice: str,
    *,
    where: Callable[[str | None], Where],
    key: SigningKey,
    reason: str,
    account: str | None,
    out: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Vote on treasury proposal ID (for, against, abstain) or in the poll at address POLL (yes, no).

    A vote on a proposal is cast once and cannot be changed; in a poll the last one counts. Only the key that holds the
    stake can vote: without --keystore or --remote the vote is written as a proposal file for `livefleet chain sign`;
    with one of them it is signed and sent at once. What could not be counted is refused before anything is written.
    Exit code 2 for wrong input, 3 when the chain says no.
    """
    is_poll = subject.startswith("0x") and len(subject) == _ADDRESS_LENGTH
    _check(choice, reason, is_poll=is_poll)
    place = where(account)
    has_key = key.keystore is not None or key.remote is not None
    if has_key:
        key.check(place.address)
        if not yes and not sys.stdin.isatty():
            raise BadInput("without a terminal there is nobody to ask: give --yes to sign and send")
    told = asyncio.run(_vote(place, subject, choice, reason, key if has_key else None, out, yes=yes))
    if as_json:
        print_json(told)
    elif told["sent"]:
        console().print(f"voted {told['says']} on {told['subject']}: {told['sent'][0]['tx']}", markup=False)
    else:
        console().print(f"{told['file']}: sign it with `livefleet chain sign {told['file']}`", markup=False)


def _check(choice: str, reason: str, *, is_poll: bool) -> None:
    allowed = _CHOICES if is_poll else _SUPPORTS
    if choice not in allowed:
        what = "in a poll" if is_poll else "on a proposal"
        raise BadInput(f"{choice!r}: {what} one votes {', '.join(allowed[:-1])} or {allowed[-1]}")
    if reason and is_poll:
        raise BadInput("--reason: a poll takes none")


async def _vote(
    place: Where, subject: str, choice: str, reason: str, key: SigningKey | None, out: Path | None, *, yes: bool
) -> dict[str, Any]:
    from livefleet.chain import connect, prepare

    clock = SystemClock()
    async with await connect(place.network) as client:
        ballot = await _ballot(client, place, subject, choice, reason)
        proposal = ballot.proposal(chain_id=client.chain_id, made_at=clock.now())
        told = {
            "voter": ballot.voter,
            "subject": ballot.subject,
            "says": ballot.says,
            "weight_lptu": str(ballot.weight),
        }
        target = out or Path(f"vote-{proposal.id}.json")
        if key is None:
            write_file(target, proposal.to_json())
            return told | {"file": str(target), "sent": []}
        prepared = await prepare(client, proposal, clock=clock)
        print_proposal(proposal, {**prepared.contracts, ballot.call.to: _place(ballot, prepared)}, prepared)
        if not yes and not click.confirm("Sign and send this?", default=False, err=True):
            raise BadInput("nothing is signed")
        sent = await _send(client, await _signed(prepared, key))
        return told | {"file": None, "sent": sent_json(sent)}


async def _ballot(client: "ChainClient", place: Where, subject: str, choice: str, reason: str) -> "Ballot":
    from livefleet.chain.ballot import in_poll, on_proposal
    from livefleet.chain.contracts import Choice, Support

    found = await find(client, place.network, everything=False)
    if choice in _CHOICES:
        poll = pick_poll(found, subject)
        return await in_poll(client, found.governance, poll, voter=place.address, choice=Choice(_CHOICES.index(choice)))
    support = Support(_SUPPORTS.index(choice))
    proposal = pick_proposal(found, subject)
    return await on_proposal(client, found.governance, proposal, voter=place.address, support=support, reason=reason)


def _place(ballot: "Ballot", prepared: "PreparedProposal") -> str:
    """The contract's name; a poll has none in the Controller, and was found by the PollCreator's own word."""
    return prepared.contracts.get(ballot.call.to, "Poll")


async def _signed(prepared: "PreparedProposal", key: SigningKey) -> "SignedProposal":
    from livefleet.chain import sign_prepared

    try:
        async with key.opened(prepared.proposal.signer) as signer:
            return await sign_prepared(prepared, signer)
    except Terminal as error:
        raise OutsideWorld(f"{error}; nothing is signed") from error


async def _send(client: "ChainClient", signed: "SignedProposal") -> "tuple[Sent, ...]":
    from livefleet.chain import broadcast

    return await broadcast(client.rpc, signed, poll_s=0.2)
