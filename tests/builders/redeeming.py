"""A redeemer for tests: over a chain that says what it is told, or over a local one."""

import asyncio
from contextlib import AsyncExitStack
from fractions import Fraction

from livefleet.chain import ChainWatcher, Reverted, Transactions
from livefleet.chain.contracts.ticket_broker import SignedTicket
from livefleet.kernel import MAX_WIN_PROB, BlockNumber, Round, SessionId, SystemClock, Wei, to_u256
from livefleet.payments import (
    BrokerRedemption,
    Mined,
    Redeemer,
    Redemption,
    RedemptionPolicy,
    RoundTimes,
    SenderFunds,
    SenderMonitor,
    SqliteStore,
    Survey,
    Ticket,
    Trial,
    WinningTicket,
    read_tickets,
)
from livefleet.payments.recipient import commitment
from livefleet.payments.records import PaymentRecord
from livefleet.spec import BatchMode
from tests.builders.payments import ETH, HandClock, ToldChain, a_winner
from tests.devchain.accounts import dev_signer
from tests.devchain.deploy import LPT

__all__ = [
    "EXPIRED_AT",
    "FACE",
    "LocalRedeeming",
    "ToldBroker",
    "ToldRedeeming",
    "a_local_winner",
    "evict",
    "evict_barely",
    "hold_blocks",
    "let_blocks_go",
    "put",
    "send_raw",
    "signed_ticket",
    "some_times",
    "until_sent",
]

ROUND_LENGTH = 6377
SINGLE_GAS = 200_000
SESSION = SessionId("aabbccdd")
SINGLY = RedemptionPolicy(batch=BatchMode.NEVER)
FACE = Wei(12 * 10**15)
EXPIRED_AT = BlockNumber(21_000_000)  # parameters of `a_winner`


def some_times(**fields):
    """The round of `a_head`, whose block is its first hundredth."""
    values = {"round": Round(3500), "start_block": BlockNumber(20_999_900), "length": ROUND_LENGTH, "validity": 2}
    return RoundTimes(**(values | fields))


async def put(store, *winners):
    """Have a store hold these as won."""
    record = PaymentRecord(
        account=(winners[0].ticket.sender, SESSION),
        recipient_rand_hash=winners[0].ticket.recipient_rand_hash,
        expiration_block=winners[0].expiration_block,
        nonces=(),
        ticket_value=Fraction(0),
        winners=winners,
        fixed_price=None,
        at=1.0,
    )
    await store.take(record, lambda _: None)


class ToldBroker:
    """A RedemptionChain: takes and pays each ticket in full unless told otherwise by sender nonce."""

    def __init__(self):
        self.clock = some_times()
        self.used = {}  # ticket hash -> Redemption or None (somebody else's)
        self.by_others = {}  # ticket hash -> Redemption, or error to raise
        self.searched = []  # since when, of each search
        self.trials = {}  # nonce -> reason of the contract when asked
        self.refusals = {}  # nonce -> error to raise when sent
        self.starved = set()  # nonces that a batch does not redeem
        self.held = {}  # nonce -> event to wait for
        self.paying = {}  # nonce -> wei
        self.sent = []  # nonces of each transaction
        self.limits = []  # of each transaction
        self.active = True
        self.funds = SenderFunds(Wei(ETH), Wei(ETH))
        self.live_hashes = frozenset()  # of one transaction
        self.allowed = []  # (tickets, limit)
        self.asked = 0  # questions that a real chain would be asked
        self.pending_seen = []
        self.monitor = None

    async def times(self, current_round):
        self.asked += 1
        return self.clock

    async def is_used(self, ticket_hash):
        self.asked += 1
        return ticket_hash in self.used

    async def survey(self, winners):
        self.asked += 1
        return Survey(
            active={w.ticket.recipient: self.active for w in winners},
            funds={(w.ticket.sender, w.ticket.recipient): self._funds_of(w.ticket.sender) for w in winners},
            trials={w.ticket.hash: self._trial(w) for w in winners},
        )

    def _funds_of(self, sender):
        return self.funds[sender] if isinstance(self.funds, dict) else self.funds

    def _trial(self, winner):
        if winner.ticket.hash in self.used:
            return Trial(refusal="ticket is used")
        refusal = self.trials.get(winner.ticket.sender_nonce)
        return Trial(refusal=refusal) if refusal is not None else Trial(gas=SINGLE_GAS)

    async def live(self):
        return (self.live_hashes,) if self.live_hashes else ()

    async def allow(self, tickets, limit):
        self.allowed.append((tickets, limit))

    async def redeem(self, winners, *, gas, limit):
        nonces = [winner.ticket.sender_nonce for winner in winners]
        if self.monitor is not None:
            self.pending_seen.append(self.monitor.pending(winners[0].ticket.sender))
        for nonce in nonces:
            if nonce in self.held:
                await self.held[nonce].wait()
        for nonce in nonces:
            if nonce in self.refusals and (len(nonces) == 1 or not isinstance(self.refusals[nonce], Reverted)):
                raise self.refusals[nonce]
        self.sent.append(nonces)
        self.limits.append((gas, limit))
        paid = {}
        for winner in winners:
            nonce = winner.ticket.sender_nonce
            if len(winners) > 1 and (nonce in self.starved or nonce in self.refusals):
                continue
            paid[winner.ticket.hash] = Wei(self.paying.get(nonce, winner.ticket.face_value))
            self.used[winner.ticket.hash] = Redemption(winner.ticket.hash, paid[winner.ticket.hash])
        return Mined(winners[0].ticket.hash, SINGLE_GAS * len(winners), Wei(SINGLE_GAS * len(winners)), paid)

    async def earlier(self, winner):
        return self.used.get(winner.ticket.hash)

    async def by_anyone(self, winner, *, since):
        self.searched.append(since)
        found = self.by_others.get(winner.ticket.hash) or self.used.get(winner.ticket.hash)
        if isinstance(found, Exception):
            raise found
        return found


class ToldRedeeming:
    """A real store, a chain and a broker that answer as told, and the redeemer over them."""

    def __init__(self, store, path):
        self.path = path
        self.store = store
        self.clock = HandClock()
        self.chain = ToldChain()
        self.broker = ToldBroker()
        self.monitor = self.broker.monitor = SenderMonitor(self.chain)
        self.expected = []

    def redeemer(self, policy=SINGLY, **fields):
        return Redeemer(
            self.store,
            self.chain,
            self.broker,
            self.monitor,
            clock=self.clock,
            policy=policy,
            expect=self.expected.append,
            **fields,
        )

    async def run_once(self, policy=SINGLY, **fields):
        async with self.redeemer(policy, **fields) as redeemer:
            return await redeemer.run_once()

    async def won(self, *nonces, **fields):
        """Have the store hold a winner for each nonce."""
        winners = tuple(a_winner(**({"sender_nonce": nonce, "face_value": FACE} | fields)) for nonce in nonces)
        await put(self.store, *winners)
        return winners

    def states(self):
        """State, note and what it was paid, of each ticket by its nonce."""
        return {t.winner.ticket.sender_nonce: (t.state, t.note, t.paid) for t in read_tickets(self.path)}


async def a_local_winner(client, gateway, recipient, *, nonce=1, face_value=10**16, rand=7, expiration_block=0):
    """A ticket of the current round that wins for sure, with what redeems it."""
    round_ = await client.rounds.last_initialized_round()
    ticket = Ticket(
        recipient=recipient,
        sender=gateway.address,
        face_value=Wei(face_value),
        win_prob=MAX_WIN_PROB,
        sender_nonce=nonce,
        recipient_rand_hash=commitment(rand),
        aux_data=to_u256(round_) + await client.rounds.block_hash_for_round(Round(round_)),
    )
    return WinningTicket(ticket, gateway.sign_message(ticket.hash), rand, expiration_block)


def signed_ticket(winner):
    """The same, as the contract names it."""
    ticket = winner.ticket
    return SignedTicket(
        ticket.recipient,
        ticket.sender,
        ticket.face_value,
        ticket.win_prob,
        ticket.sender_nonce,
        ticket.recipient_rand_hash,
        ticket.aux_data,
        winner.signature,
        winner.recipient_rand,
    )


async def send_raw(chain, signer, call, *, gas=1_000_000, tip=0):
    """Hand a local chain somebody's transaction, with no estimate and no waiting for its block; its hash."""
    nonce = int(await chain.client.rpc.request("eth_getTransactionCount", signer.address, "latest"), 16)
    raw = await signer.sign_transaction(
        {
            "type": 2,
            "chainId": chain.client.chain_id,
            "nonce": nonce,
            "to": call.to,
            "data": call.data,
            "value": 0,
            "gas": gas,
            "maxFeePerGas": 500 * 10**9,
            "maxPriorityFeePerGas": tip,
        }
    )
    return await chain.client.rpc.request("eth_sendRawTransaction", "0x" + raw.hex())


async def hold_blocks(chain):
    """Mine none for transactions any more: they stay in the node's pool."""
    await chain.client.rpc.request("evm_setAutomine", False)  # noqa: FBT003 -- the method's only parameter


async def let_blocks_go(chain):
    """Mine what has gathered, and a block for each transaction again."""
    await chain.client.rpc.request("evm_setAutomine", True)  # noqa: FBT003 -- the method's only parameter
    await chain.mine()


async def evict(chain, loser, winner, *, stake=5_000 * LPT):
    """Have `winner` bond most: in a full pool it takes the place of `loser`, who is active till the round ends."""
    client = chain.client
    await chain.give_eth(winner.address, Wei(10**20))
    await chain.give_lpt(winner.address, stake)
    await chain.sender.send(
        winner,
        client.token.approve_call(client.bonding.address, stake),
        client.bonding.bond_call(stake, winner.address),
    )
    transcoder = await client.bonding.transcoder(loser.address)
    assert transcoder.deactivation_round == await client.rounds.current_round() + 1


async def evict_barely(chain, loser, winner):
    """The same with so little more that the loser's own reward would take the place back."""
    await evict(chain, loser, winner, stake=await chain.client.bonding.total_stake(loser.address) + 1)


async def until_sent(transactions):
    """Wait until something is recorded and in no block yet."""
    async with asyncio.timeout(20):
        while not await transactions.pending():
            await asyncio.sleep(0.02)


class LocalRedeeming:
    """Store, watcher, transactions and redeemer over a local chain; an async context manager."""

    def __init__(self, devchain, folder, recipient, *, signer=None, policy=None, clock=None, sending=None, **fields):
        self.devchain = devchain
        self.client = devchain.client
        self.recipient = recipient
        self._folder = folder
        self._signer = signer or dev_signer(7)
        self._policy = policy or RedemptionPolicy(collect_s=0.0)
        self._clock = clock or SystemClock()
        self._sending = sending  # a TransactionPolicy
        self._fields = fields
        self._stack = AsyncExitStack()

    async def __aenter__(self):
        enter = self._stack.enter_async_context
        self.watcher = ChainWatcher(self.client, recipient=self.recipient, poll_s=0.2)
        await self.watcher.look()
        self.store = await enter(SqliteStore(self._folder / "store"))
        self.transactions = await enter(
            Transactions(
                self.client.rpc,
                self._signer,
                self._folder / "transactions",
                chain_id=self.client.chain_id,
                policy=self._sending,
            )
        )
        self.monitor = SenderMonitor(self.watcher)
        self.broker = BrokerRedemption(self.client, self.transactions)
        self.redeemer = await enter(
            Redeemer(
                self.store,
                self.watcher,
                self.broker,
                self.monitor,
                clock=self._clock,
                policy=self._policy,
                **self._fields,
            )
        )
        return self

    async def __aexit__(self, *exc_info):
        await self._stack.aclose()

    async def run_once(self):
        """Look at the chain, then redeem and wait for what was sent."""
        await self.watcher.look()
        async with asyncio.timeout(60):
            return await self.redeemer.run_once()
