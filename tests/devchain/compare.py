"""Our contracts beside the protocol's own: `python -m tests.devchain.compare DIR [--seeds N] [--acts N] [--pool N]`.

DIR is a clone of github.com/livepeer/protocol. Two chains live through the same random acts of staking, rewards and
tickets, good and bad; after each, both must have given the same answer and be in the same state, to the unit.
"""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from livefleet.chain import Call, Reverted, Signer
from livefleet.chain.abi import Function
from livefleet.chain.governance import Governance
from livefleet.kernel import ZERO_ADDRESS, Address, ExitCode, Wei
from tests.builders.chain import a_ticket
from tests.devchain.accounts import DEPLOYER, KEEPER, dev_signer
from tests.devchain.chain import Devchain, ProtocolVersion
from tests.devchain.deploy import LPT

__all__ = ["main"]

ROUND_LENGTH = 25
PEOPLE = tuple(dev_signer(index) for index in range(1, 8))
GATEWAY = dev_signer(8)
LOCKS = 4  # of each person, that are compared
VIEWS = tuple(
    Function.parse(text)
    for text in (
        "getTranscoder(address)",
        "getDelegator(address)",
        "transcoderTotalStake(address)",
        "isActiveTranscoder(address)",
        "isRegisteredTranscoder(address)",
        "delegatorStatus(address)",
        "getNextTranscoderInPool(address)",
    )
)
POOL = tuple(
    Function.parse(f"{name}()")
    for name in (
        "getFirstTranscoderInPool",
        "getTranscoderPoolSize",
        "currentRoundTotalActiveStake",
        "nextRoundTotalActiveStake",
    )
)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do: a call of the BondingManager, a ticket, or blocks."""

    who: int
    signature: str = ""
    args: tuple[Any, ...] = ()
    blocks: int = 0  # to mine, and then to initialise the round
    ticket: int = 0  # nonce of a ticket to `who`


@click.command()
@click.argument("sources", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--seeds", default=5, show_default=True, help="How many lives.")
@click.option("--first", default=1, show_default=True, help="The first seed.")
@click.option("--acts", default=150, show_default=True, help="How long each.")
@click.option("--pool", default=3, show_default=True, help="Places in the pool.")
def main(sources: Path, seeds: int, first: int, acts: int, pool: int) -> None:
    """Exit code 1 at the first difference, which is printed."""
    for seed in range(first, first + seeds):
        answers = asyncio.run(_live(sources, random.Random(seed), acts, pool))
        if answers is None:
            raise SystemExit(ExitCode.PARTLY_FAILED)
        refusals = len(answers) - ("" in answers)
        print(f"seed {seed}: {answers.total()} acts alike, {answers['']} done, {refusals} kinds of refusal", flush=True)


async def _live(sources: Path, chance: random.Random, acts: int, pool: int) -> Counter[str] | None:
    """How often each answer was given; None after a difference."""
    answers: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        ours, theirs = [await _begin(stack, pool, one) for one in (None, sources)]
        await _align(ours, theirs)
        for act in _acts(chance, acts):
            told = [await _do(chain, act) for chain in (ours, theirs)]
            states = [await _state(chain) for chain in (ours, theirs)]
            if told[0] != told[1] or states[0] != states[1]:
                print(f"{act}\n  ours: {told[0] or 'done'}\n  theirs: {told[1] or 'done'}")
                for name, value in states[0].items():
                    if value != states[1][name]:
                        print(f"  {name}\n    ours   {value}\n    theirs {states[1][name]}")
                return None
            answers[told[0]] += 1
    return answers


async def _begin(stack: AsyncExitStack, pool: int, sources: Path | None) -> Devchain:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    stack.push_async_callback(Devchain.down, folder)
    chain = await stack.enter_async_context(
        await Devchain.up(
            folder,
            round_length=ROUND_LENGTH,
            pool_max_size=pool,
            protocol=ProtocolVersion.EARLY_2024,
            sources=sources,
        )
    )
    client = chain.client
    for person in PEOPLE:
        await chain.give_lpt(person.address, 5_000 * LPT)
        await chain.sender.send(person, client.token.approve_call(client.bonding.address, 4_000 * LPT))
    await chain.fund_gateway(GATEWAY.address, deposit=Wei(10**16), reserve=Wei(10**17))
    rate = Function.parse("setTreasuryRewardCutRate(uint256)").encode(10**26)
    await chain.sender.send(dev_signer(DEPLOYER), Call(client.bonding.address, rate))
    return chain


async def _align(*chains: Devchain) -> None:
    """Bring them to the same block, in the same initialised round."""
    highest = max([await chain.client.rpc.block_number() for chain in chains])
    for chain in chains:
        await chain.mine(highest + ROUND_LENGTH - await chain.client.rpc.block_number())
        await chain.initialize_round()


async def _do(chain: Devchain, act: Act) -> str:
    """Why it was refused; empty where it was done."""
    if act.blocks:
        await chain.mine(act.blocks)
        return await _send(chain, dev_signer(KEEPER), chain.client.rounds.initialize_round_call())
    if act.ticket:
        recipient, worth = PEOPLE[act.who].address, Wei(10**12 * act.ticket)
        ticket = await a_ticket(chain.client, GATEWAY, recipient, face_value=worth, sender_nonce=act.ticket)
        return await _send(chain, PEOPLE[0], ticket.redeem_call(chain.client.broker))
    data = Function.parse(act.signature).encode(*act.args)
    return await _send(chain, PEOPLE[act.who], Call(chain.client.bonding.address, data))


async def _send(chain: Devchain, signer: Signer, call: Call) -> str:
    try:
        await chain.client.rpc.simulate(call, signer.address)
        await chain.sender.send(signer, call)
    except Reverted as error:
        return error.reason or "no reason"
    return ""


def _acts(chance: random.Random, count: int) -> Iterator[Act]:
    for number in range(1, count + 1):
        who, other = chance.randrange(len(PEOPLE)), chance.choice(PEOPLE).address
        own = PEOPLE[who].address
        to = own if chance.random() < 0.5 else other
        hints = [chance.choice([ZERO_ADDRESS, chance.choice(PEOPLE).address]) for _ in range(4)]
        stake = chance.choice([0, 1, LPT, 30 * LPT, 100 * LPT, chance.randrange(300) * LPT])
        lock, parts = chance.randrange(LOCKS), chance.choice([0, 10**6, chance.randrange(10**6 + 2)])
        yield chance.choices(
            [
                Act(who, blocks=chance.choice([3, 10, ROUND_LENGTH])),
                Act(who, ticket=number),
                Act(who, "bondWithHint(uint256,address,address,address,address,address)", (stake, to, *hints)),
                Act(who, "rewardWithHint(address,address)", tuple(hints[:2])),
                Act(who, "transcoder(uint256,uint256)", (parts, chance.randrange(10**6 + 2))),
                Act(who, "unbondWithHint(uint256,address,address)", (stake, *hints[:2])),
                Act(who, "rebondWithHint(uint256,address,address)", (lock, *hints[:2])),
                Act(who, "rebondFromUnbondedWithHint(address,uint256,address,address)", (to, lock, *hints[:2])),
                Act(who, "transferBond(address,uint256,address,address,address,address)", (other, stake, *hints)),
                Act(who, "claimEarnings(uint256)", (0,)),
                Act(who, "withdrawStake(uint256)", (lock,)),
                Act(who, "withdrawFees(address,uint256)", (chance.choice([own, ZERO_ADDRESS]), parts)),
                Act(
                    who,
                    "bondForWithHint(uint256,address,address,address,address,address,address)",
                    (stake, other, chance.choice([other, own]), *hints),
                ),
            ],
            weights=[3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        )[0]


async def _state(chain: Devchain) -> dict[str, Any]:
    """Everything that can be asked, by question."""
    client, governance = chain.client, await Governance.find(chain.client)
    bonding, votes = client.bonding.address, governance.votes.address
    round_ = await client.rounds.current_round()
    questions: dict[str, tuple[Address, bytes]] = {pool.name: (bonding, pool.encode()) for pool in POOL}
    for person in PEOPLE:
        for view in VIEWS:
            questions[f"{view.name} {person.address}"] = (bonding, view.encode(person.address))
        for text, place, arguments in (
            ("pendingStake(address,uint256)", bonding, (0,)),
            ("pendingFees(address,uint256)", bonding, (0,)),
            ("getTranscoderEarningsPoolForRound(address,uint256)", bonding, range(round_ - 1, round_ + 2)),
            ("getDelegatorUnbondingLock(address,uint256)", bonding, range(LOCKS)),
            ("getPastVotes(address,uint256)", votes, range(max(round_ - 2, 0), round_)),
        ):
            function = Function.parse(text)
            for argument in arguments:
                name = f"{function.name} {person.address} {argument}"
                questions[name] = (place, function.encode(person.address, argument))
        for text in ("getVotes(address)", "delegates(address)"):
            function = Function.parse(text)
            questions[f"{function.name} {person.address}"] = (votes, function.encode(person.address))
    answers: dict[str, Any] = {
        "block": await client.rpc.block_number(),
        "LPT of the Minter": await client.token.balance(client.minter.address),
        "ETH of the Minter": await client.rpc.balance(client.minter.address),
        "LPT of the treasury": await client.token.balance(governance.treasury.address),
    }
    asked = [("eth_call", ({"to": to, "data": "0x" + data.hex()}, "latest")) for to, data in questions.values()]
    return answers | dict(zip(questions, await client.rpc.batch(asked), strict=True))


if __name__ == "__main__":
    main()
