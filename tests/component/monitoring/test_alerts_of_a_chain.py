"""What whole agents on two chains have people told: about rewards, gas, tickets, payments and endpoints.

Each alert from its cause on the chain, or between the agent and it, to a receiver and back: see
tests/builders/alert_watch.py.
"""

import asyncio
import math
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from livefleet.kernel import Wei
from livefleet.wire.gateway import Payer
from tests.builders.agents import RunningAgent, an_agent, free_port
from tests.builders.alert_watch import OF_A_CHAIN, Watch, alerting, target
from tests.builders.alerting import until
from tests.builders.chain_troubles import (
    GWEI,
    PLENTY,
    FullDisk,
    Purse,
    answer_of_feed,
    begin_round_with_dear_gas,
    declare,
    end_dear_gas,
    move_lpt_silently,
    rewrite,
)
from tests.builders.gateways import ForgedSigner, SingleRequests, write_key
from tests.builders.host_troubles import WrongClock
from tests.builders.paid_nodes import ORCHESTRATOR, PaidNode, a_paid_node, network_of
from tests.builders.redeeming import evict
from tests.builders.unruly_rpc import UnrulyRpc, an_unruly_rpc
from tests.builders.web3signer import Web3Signer, a_web3signer
from tests.devchain.accounts import dev_secret, dev_signer
from tests.devchain.deploy import LPT

pytestmark = [pytest.mark.component, pytest.mark.timeout(240)]

EARNS = "earns"  # calls rewards and keeps books
PAID = "paid"  # takes tickets and redeems them
REDEEMS = "redeems"  # what the first has won
SMALL, RICHER, DELEGATOR, REDEEMER = 2, 3, 5, 6  # accounts of the public test mnemonic
ROUND_LENGTH = 200
LONG_BLOCK_S = 100.0  # a round takes more than five hours, of which the last three are near its end
NEAR_THE_END = 110  # blocks after which they have begun
PARAMS_VALID_BLOCKS = 40
MOST_GAS_PRICE = 10 * GWEI
MOST_PAYMENTS = 20  # three tickets of four win
ELSEWHERE = "https://o.example:8935"
USUAL, DEAR = Wei(1000), Wei(100 * GWEI)
LATER_S = 88_200.0  # a day after which losses are told no more, and the price feed's answer is not stale yet
BESIDES = {("KeyBalanceLow", PAID)}
"""What else comes of these troubles."""


@dataclass(frozen=True)
class Earning:
    """Calls rewards, with ETH of its own, and keeps books. First of two in the pool; another redeems what it wins."""

    node: PaidNode
    redeemer: RunningAgent
    redeemer_at: str

    @property
    def purse(self) -> Purse:
        """Of its only key."""
        return Purse(self.node.chain, self.node.agent, self.node.orchestrator.address, "orchestrator")

    async def troubles(self, watch: Watch) -> None:
        """Those of rounds begin when the ticket that was won is where it should be: it would not outlive them."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._troubles_of_books(watch))
            await self._troubles_of_winners(watch)
            await self._troubles_of_rounds(watch)

    async def _troubles_of_winners(self, watch: Watch) -> None:
        """A stranger gets the redeemer's port while that is down."""
        await asyncio.to_thread(self.redeemer.kill)
        host, _, port = self.redeemer_at.rpartition(":")
        closed = [("RedeemerClosed", REDEEMS), ("WinnersStuck", EARNS)]
        with socket.create_server((host, int(port))) as stranger:
            await watch.turns(by=self._win_and_start_redeemer, begins=closed)
            await watch.turns(by=lambda: self._hand_over(stranger), ends=closed)

    async def _win_and_start_redeemer(self) -> None:
        await win_a_ticket(self.node)
        await self.node.chain.mine()  # the node looks
        await asyncio.to_thread(self.redeemer.start, ready=False)

    async def _hand_over(self, stranger: socket.socket) -> None:
        """The port is free; a block has the node look, and another one look at what came of that.

        Rounds may go on only when the ticket is redeemed, which its parameters' end must come before.
        """
        stranger.close()
        await asyncio.to_thread(self.redeemer.until_condition, "RedeemerOpen", "Serving")
        await self.node.chain.mine()
        await asyncio.to_thread(self.redeemer.until, "the ticket", lambda status: status["redeemer"]["queued"])
        await self.node.chain.mine(PARAMS_VALID_BLOCKS + 1)
        await asyncio.to_thread(self.redeemer.until, "its redemption", _is_redeemed)

    async def _troubles_of_books(self, watch: Watch) -> None:
        chain, owner = self.node.chain, self.node.orchestrator.address
        await watch.through(
            "LedgerOff", EARNS, lambda: move_lpt_silently(chain, owner, LPT), lambda: move_lpt_silently(chain, owner, 0)
        )

    async def _troubles_of_rounds(self, watch: Watch) -> None:
        """One after another, since each takes rounds."""
        chain = self.node.chain
        await chain.next_round()
        await until("a reward's cost is seen", lambda: self.purse.lasts_s < math.inf)
        await watch.fires(EARNS, "KeyBalanceLow", "ActiveSetDanger", by=self._fall_back)
        await watch.clears(EARNS, "KeyBalanceLow", "ActiveSetDanger", by=self._catch_up)
        await watch.fires(EARNS, "GasLow", "TransactionsStuck", by=self._begin_round_with_dear_gas)
        await watch.clears(EARNS, "GasLow", "TransactionsStuck", by=self._end_dear_gas)
        await watch.fires(EARNS, "RewardCallsFail", "GasNearlyOut", by=self._next_round_with_nothing)
        await watch.clears(EARNS, "RewardCallsFail")
        await watch.fires(EARNS, "RewardNearDeadline", by=lambda: chain.mine(NEAR_THE_END))
        near, missed, broke = ((name, EARNS) for name in ("RewardNearDeadline", "RewardMissed", "GasNearlyOut"))
        await watch.turns(by=chain.next_round, ends=[near], begins=[missed])
        await self.purse.hold(PLENTY)
        await self._reward_of_now()
        await watch.turns(by=chain.next_round, ends=[missed, broke])

    async def _reward_of_now(self) -> None:
        """Until it is called."""
        agent = self.node.agent
        round_ = await self.node.chain.client.rounds.current_round()
        await asyncio.to_thread(agent.until, "the reward", lambda s: _says(s, "RewardCalled", f"round {round_}"))

    async def _fall_back(self) -> None:
        """Somebody with more stake takes the last place, which is then this one's; and the key has little."""
        await evict(self.node.chain, dev_signer(SMALL), dev_signer(RICHER), stake=50_000 * LPT)
        await self._next_round_with(days=30)

    async def _catch_up(self) -> None:
        chain, delegator = self.node.chain, dev_signer(DELEGATOR)
        bonding, token, stake = chain.client.bonding, chain.client.token, 200_000 * LPT
        await chain.bring_up_to(delegator.address, eth=PLENTY, lpt=stake)
        bond = bonding.bond_call(stake, self.node.orchestrator.address)
        await chain.sender.send(delegator, token.approve_call(bonding.address, stake), bond)
        await self._next_round_with_plenty()

    async def _begin_round_with_dear_gas(self) -> None:
        await self.purse.last_for(5)
        await begin_round_with_dear_gas(self.node.chain, self.node.orchestrator.address, price=DEAR)

    async def _end_dear_gas(self) -> None:
        await end_dear_gas(self.node.chain, price=USUAL)
        await self._next_round_with_plenty()

    async def _next_round_with(self, *, days: float) -> None:
        await self.purse.last_for(days)
        await self.node.chain.next_round()

    async def _next_round_with_plenty(self) -> None:
        await self.purse.hold(PLENTY)
        await self.node.chain.next_round()

    async def _next_round_with_nothing(self) -> None:
        await self.purse.hold(Wei(0))
        await self.node.chain.next_round()


@dataclass(frozen=True)
class Paid:
    """Takes tickets at a price in dollars, redeems them, signs at a service, and sees the chain in two ways."""

    node: PaidNode
    signer: Web3Signer
    endpoint: UnrulyRpc
    clock: WrongClock

    async def troubles(self, watch: Watch) -> None:
        """What its payments and their gateway have to do with goes one after another, the rest beside."""
        await asyncio.gather(
            watch.through("RpcEndpointAway", PAID, lambda: self.endpoint.become(refuses=True), self.endpoint.behave),
            watch.through("PriceStale", PAID, lambda: self._price(9000), lambda: self._price(3000)),
            watch.through("DecisionAwaited", PAID, lambda: self._want(ELSEWHERE), lambda: self._want(None)),
            self._troubles_of_payments(watch),
        )

    async def _troubles_of_payments(self, watch: Watch) -> None:
        await watch.through("SignerLost", PAID, lambda: self._sign(broken=10_000), lambda: self._sign(broken=0))
        disk = FullDisk(self.node.agent)
        await watch.fires(PAID, "PaymentsNotWritten", by=lambda: self._pay_in_vain(disk))
        await watch.clears(PAID, "PaymentsNotWritten", by=lambda: self._pay_again(disk))
        async with asyncio.TaskGroup() as tasks:
            forging = tasks.create_task(self._forge())
            await watch.fires(PAID, "PaymentsRefused", by=lambda: None)
            forging.cancel()
        await asyncio.gather(watch.clears(PAID, "PaymentsRefused"), self._troubles_of_tickets(watch))

    async def _troubles_of_tickets(self, watch: Watch) -> None:
        """Tickets won, and no ETH to redeem them until it is too late."""
        chain = self.node.chain
        await self.purse.hold(Wei(0))
        await watch.fires(PAID, "RedemptionsFail", by=lambda: chain.mine(PARAMS_VALID_BLOCKS + 1))
        await watch.fires(PAID, "TicketsExpiring", by=self._begin_last_hour)
        lost, passed = ("TicketsLost", PAID), [("TicketsExpiring", PAID), ("RedemptionsFail", PAID)]
        await watch.turns(by=chain.next_round, begins=[lost], ends=passed)
        await watch.clears(PAID, "TicketsLost", by=lambda: self.clock.be_off(LATER_S))
        self.clock.be_off(0)

    @property
    def purse(self) -> Purse:
        """Of its only key."""
        return Purse(self.node.chain, self.node.agent, self.node.orchestrator.address, "orchestrator")

    async def _price(self, usd_per_eth: int) -> None:
        await answer_of_feed(self.node.chain, usd_per_eth)

    def _want(self, service_uri: str | None) -> None:
        """An address in the registry that somebody else has to sign for."""
        wanted = None if service_uri is None else {"service_uri": service_uri, "signed_by": "proposal"}
        declare(self.node.agent, on_chain=wanted)

    async def _sign(self, *, broken: int) -> None:
        """The service answers so many requests by an error; a block has the node look."""
        self.signer.broken_answers = broken
        await self.node.chain.mine()

    async def _pay_in_vain(self, disk: FullDisk) -> None:
        async with self._gateway() as gateway:
            payment = gateway.payment()
            disk.fill()
            assert (await gateway.pay(payment))[0] == 500

    async def _pay_again(self, disk: FullDisk) -> None:
        disk.clear()
        await win_a_ticket(self.node)

    async def _forge(self) -> None:
        """Payments in another's name, until cancelled."""
        forger = Payer(ForgedSigner(self.node.gateway.address))
        while True:
            async with self._gateway() as gateway:
                status, _ = await gateway.pay(gateway.payment(payer=forger))
            assert status == 400
            await asyncio.sleep(0.3)

    def _gateway(self) -> SingleRequests:
        return SingleRequests(self.node.agent.service_uri, self.node.gateway)

    async def _begin_last_hour(self) -> None:
        """The round after the one in which the tickets were made, and more than half of that."""
        await self.node.chain.next_round()
        await self.node.chain.mine(ROUND_LENGTH // 2 + 5)


@asynccontextmanager
async def an_earning_node(folder: Path) -> AsyncIterator[Earning]:
    """Its chain has another orchestrator, which has the last of two places."""
    redeemer_at = f"127.0.0.1:{free_port()}"
    reward = {"check_every_s": 0.3, "max_gas_price": MOST_GAS_PRICE, "urgent_max_gas_price": MOST_GAS_PRICE}
    async with a_paid_node(
        folder, start=False, round_length=ROUND_LENGTH, pool_max_size=2, name=EARNS,
        duties={"transcoding": {"encoder": "software"}, "reward": reward, "ledger": {"check_every_s": 2}},
        on_chain={"gas": {"warn_below": "1 eth"}}, orchestrator={"redeemer": redeemer_at},
    ) as node:  # fmt: skip
        await node.chain.activate_orchestrator(dev_signer(SMALL), stake=100 * LPT, advance=False)
        network = network_of(node.chain.info) | {"l1_block_s": LONG_BLOCK_S}
        rewrite(node.agent, network=network)
        root = folder / "redeemer"
        write_key(root / "var/lib/livefleet/keys/redeemer.hex", dev_secret(REDEEMER))
        with an_agent(
            root, start=False, role="redeemer", name=REDEEMS, network=network, gpus="none",
            keys={"redeemer": {"file": "keys/redeemer.hex"}}, duties={"redemption": {"check_every_s": 0.5}},
            redeemer={"listen": redeemer_at, "key": "redeemer", "recipient": node.orchestrator.address},
        ) as redeemer:  # fmt: skip
            yield Earning(node, redeemer, redeemer_at)


@asynccontextmanager
async def a_paid_one(folder: Path) -> AsyncIterator[Paid]:
    """Its key is at a service, and the first of its endpoints may be troubled."""
    clock, address = WrongClock.right(folder / "clock"), dev_signer(ORCHESTRATOR).address
    with a_web3signer(dev_secret(ORCHESTRATOR)) as signer:
        keys = {"orchestrator": {"address": address, "remote": {"url": signer.url, "timeout_s": 2.0}}}
        async with a_paid_node(
            folder, start=False, round_length=ROUND_LENGTH, name=PAID, keys=keys, env=clock.env,
        ) as node, an_unruly_rpc(node.chain.info.rpc) as endpoint:  # fmt: skip
            await answer_of_feed(node.chain, 3000)
            feed = {"address": node.chain.info.price_feed, "poll_s": 0.1}
            rewrite(
                node.agent, network=network_of(node.chain.info) | {"rpc": [endpoint.url, node.chain.info.rpc]},
                prices={"video": "2 USD per 1e9 pixels", "feed": feed},
            )  # fmt: skip
            yield Paid(node, signer, endpoint, clock)


async def test_every_alert_of_a_chain__its_cause_comes_and_goes__is_told_and_taken_back(short_path, capsys):
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        earning, paid = await enter(an_earning_node(short_path / "a")), await enter(a_paid_one(short_path / "b"))
        agents = {EARNS: earning.node.agent, PAID: paid.node.agent, REDEEMS: earning.redeemer}
        await asyncio.gather(*(asyncio.to_thread(agent.start) for agent in agents.values()))
        await asyncio.to_thread(earning.node.agent.until_condition, "RewardCalled", "Called")
        telling = await enter(alerting(short_path))
        await enter(telling.reading([target(name, agent.admin) for name, agent in agents.items()]))
        watch = await telling.watch()
        before = set(watch.cases)
        await asyncio.gather(earning.troubles(watch), paid.troubles(watch))

    with capsys.disabled():
        print(watch.table())
    assert before == set()
    assert {alert for alert, _ in watch.proven()} == OF_A_CHAIN
    strangers = watch.strangers(watch.proven() | BESIDES)
    assert {case for case in strangers if case[0] in OF_A_CHAIN - {"RpcEndpointAway"}} == set()


async def win_a_ticket(node: PaidNode) -> None:
    """Pay until one has won, and waits."""
    for _ in range(MOST_PAYMENTS):
        async with SingleRequests(node.agent.service_uri, node.gateway) as gateway:
            status, text = await gateway.pay(gateway.payment())
        assert status == 200, text
        if node.agent.status()["payments"]["tickets"]["pending"]["count"]:
            return
    raise AssertionError("no ticket has won")


def _is_redeemed(status: dict) -> bool:
    tickets = status["redeemer"]["tickets"]
    return tickets["redeemed"]["count"] > 0 and not tickets["pending"]["count"]


def _says(status: dict, name: str, text: str) -> bool:
    return any(c["name"] == name and c["status"] == "true" and text in c["message"] for c in status["conditions"])
