"""Payments for tests: a gateway with a test-only key, a chain that says what it is told, a whole desk over them."""

import itertools
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from coincurve import PrivateKey

from livefleet.chain import keccak256, sign_hash
from livefleet.chain.models import ChainHead, SenderInfo
from livefleet.kernel import Address, BlockNumber, Round, Wei, WinProb
from livefleet.payments import (
    OnchainPayments,
    PriceList,
    Quote,
    ReceivedPayment,
    SenderMonitor,
    SenderSignature,
    SqliteStore,
    Ticket,
    TicketExpiration,
    WinningTicket,
)
from livefleet.payments.recipient import commitment, recipient_rand
from livefleet.payments.ticket import aux_data, is_winning
from livefleet.spec import TicketSettings
from tests.builders.clock import HandClock

GATEWAY_KEY = PrivateKey(b"\x11" * 32)  # test-only
GATEWAY = Address("0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A")
ORCHESTRATOR = Address("0x1563915e194D8CfBA1943570603F7606A3115508")
OTHER = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
ROUND_HASH = bytes.fromhex("3062b629198ea83ff216dbed485eafe02386a2da0e779c81da2465cdeefc6702")
ETH = 10**18
REDEEM_GAS = 1_200_000

VECTORS = json.loads((Path(__file__).parents[1] / "data/wire-vectors.json").read_text())
CHAIN_VECTORS = json.loads((Path(__file__).parents[1] / "data/chain-vectors.json").read_text())


def a_head(**fields):
    return replace(
        ChainHead(
            l1_block=BlockNumber(21_000_000),
            current_round=Round(3500),
            last_initialized_round=Round(3500),
            round_block_hash=ROUND_HASH,
            previous_round_block_hash=b"\x22" * 32,
            pool_size=10,
            gas_price=Wei(10**8),
            seen_at=0.0,
        ),
        **fields,
    )


def a_sender(**fields):
    return replace(
        SenderInfo(
            deposit=Wei(ETH),
            withdraw_round=Round(0),
            reserve_remaining=Wei(ETH),
            reserve_claimed_in_round=Wei(0),
            reserve_claimed_by_recipient=Wei(0),
        ),
        **fields,
    )


class ToldChain:
    """A ChainReader that says what the test wrote into it."""

    def __init__(self, head=None, sender=None, active=(ORCHESTRATOR,)):
        self.now = head or a_head()
        self.sender = sender or a_sender()
        self.active = set(active)

    def head(self):
        return self.now

    async def sender_info(self, sender):
        return self.sender

    async def is_active(self, address):
        return address in self.active

    def move(self, **fields):
        self.now = replace(self.now, **fields)


def a_ticket(**fields):
    values = {
        "recipient": ORCHESTRATOR,
        "sender": GATEWAY,
        "face_value": Wei(12 * 10**15),
        "win_prob": WinProb(2**256 - 1),
        "sender_nonce": 1,
        "recipient_rand_hash": commitment(7),
        "aux_data": aux_data(TicketExpiration(Round(3500), ROUND_HASH)),
    } | fields
    return Ticket(**values)


def a_winner(ticket=None, *, expiration_block=21_000_000, recipient_rand=7, **fields):
    ticket = ticket or a_ticket(**fields)
    return WinningTicket(ticket, sign_hash(GATEWAY_KEY, ticket.hash), recipient_rand, expiration_block)


def pay(quote: Quote, nonces, *, key=GATEWAY_KEY, sender=GATEWAY, **fields):
    """The payment that an honest gateway makes of a quote."""
    params = quote.ticket_params
    tickets = []
    for nonce in nonces:
        ticket = Ticket(
            recipient=params.recipient,
            sender=sender,
            face_value=params.face_value,
            win_prob=params.win_prob,
            sender_nonce=nonce,
            recipient_rand_hash=params.recipient_rand_hash,
            aux_data=aux_data(params.expiration),
        )
        tickets.append(SenderSignature(nonce, sign_hash(key, ticket.hash)))
    payment = ReceivedPayment(
        sender=sender,
        ticket_params=params,
        expiration=params.expiration,
        tickets=tuple(tickets),
        price_per_unit=quote.price.numerator,
        pixels_per_unit=quote.price.denominator,
    )
    return replace(payment, **fields)


def no_tickets(price=Fraction(1200), **fields):
    """A payment of a gateway whose credit suffices."""
    payment = ReceivedPayment(
        sender=GATEWAY,
        ticket_params=None,
        expiration=TicketExpiration(),
        tickets=(),
        price_per_unit=price.numerator,
        pixels_per_unit=price.denominator,
    )
    return replace(payment, **fields)


def token_bytes(seed=b"test-only"):
    """Predictable `secrets.token_bytes`."""
    counter = itertools.count()
    return lambda size: keccak256(seed, str(next(counter)).encode())[:size]


def some_prices(**fields):
    return replace(PriceList(video=Fraction(1200), gateways={}, models={}, auto_adjust=False), **fields)


@asynccontextmanager
async def a_desk(
    path,
    *,
    chain=None,
    prices=None,
    ticket=None,
    clock=None,
    seed=b"test-only",
    gas_price=None,
    recovery=None,
):
    """(payments, store, chain, monitor) over a real SQLite file."""
    chain = chain or ToldChain()
    clock = clock or HandClock()
    monitor = SenderMonitor(chain)
    async with (
        SqliteStore(path, token_bytes=token_bytes(seed)) as store,
        OnchainPayments(
            store,
            chain,
            monitor,
            recipient=ORCHESTRATOR,
            prices=prices or some_prices(),
            ticket=ticket or TicketSettings(expected_value=8_000_000_000),
            redeem_gas=REDEEM_GAS,
            clock=clock,
            gas_price=gas_price,
            recovery=recovery,
            token_bytes=token_bytes(seed + b"-seeds"),
        ) as payments,
    ):
        yield payments, store, chain, monitor


async def find_winner(payments, session, *, wins=True, limit=400, sender=GATEWAY, key=GATEWAY_KEY):
    """A quote and a nonce whose ticket wins (or loses)."""
    quote = await payments.quote(sender, session=session)
    rand = random_of(payments, quote, sender)
    for nonce in range(1, limit):
        (signed,) = pay(quote, [nonce], sender=sender, key=key).tickets
        if is_winning(quote.ticket_params.win_prob, signed.signature, rand) == wins:
            return quote, nonce
    raise AssertionError(f"no such ticket among {limit}")


def random_of(payments, quote, sender=GATEWAY):
    """The recipient's random behind a quote."""
    params = quote.ticket_params
    return recipient_rand(
        payments._secret,
        seed=params.seed,
        sender=sender,
        value=params.face_value,
        odds=params.win_prob,
        expiration_block=params.expiration_block,
        price=quote.price,
        aux=aux_data(params.expiration),
    )
