"""Ticket parameters that need no memory: the recipient's random follows from what the sender echoes.

recipientRand = HMAC-SHA256(secret, everything that was quoted), so a payment whose price, face value, odds, expiry,
creation round or sender differ from what was quoted does not open the commitment.
Source: go-livepeer pm/recipient.go.
"""

import hashlib
import hmac
from fractions import Fraction

from livefleet.chain import keccak256
from livefleet.chain.models import ChainHead
from livefleet.kernel import (
    MAX_WIN_PROB,
    Address,
    BlockNumber,
    Round,
    Wei,
    WinProb,
    to_min_bytes,
    to_u256,
)
from livefleet.payments.errors import InsufficientReserve, LeavingActiveSet, NoTicketRound
from livefleet.payments.models import TicketExpiration, TicketParams
from livefleet.payments.ticket import address_bytes, aux_data
from livefleet.spec import NetworkName, TicketSettings

__all__ = [
    "PARAMS_VALID_BLOCKS",
    "TX_COST_MULTIPLIER",
    "commitment",
    "creation_round",
    "default_redeem_gas",
    "face_value",
    "recipient_rand",
    "recipient_rand_message",
    "ticket_params",
    "win_prob",
]

PARAMS_VALID_BLOCKS = 40
"""L1 blocks for which quoted parameters are taken."""

TX_COST_MULTIPLIER = 100
"""A face value is this many times what redeeming costs, so that redemption takes 1 % of it."""

_ALWAYS_GOOD_GAS_PRICE = 3 * 10**9  # wei; a face value that pays for redemption at 3 gwei is good enough
_LOW_64_BITS = 2**64 - 1


def default_redeem_gas(network: NetworkName) -> int:
    """Gas that one redemption is reckoned at. Arbitrum's figure includes the L1 part of its fee."""
    return 1_200_000 if network is NetworkName.ARBITRUM_ONE else 350_000


def face_value(settings: TicketSettings, *, redeem_gas: int, gas_price: Wei, max_float: int) -> Wei:
    """What a winning ticket pays: enough to make redeeming it cheap, no more than the sender is good for.

    Raises InsufficientReserve where nothing sensible fits the sender's float.
    """
    expected = settings.expected_value
    tx_cost = redeem_gas * gas_price
    value = tx_cost * TX_COST_MULTIPLIER
    if value < expected:
        value = expected * TX_COST_MULTIPLIER
    value = min(value, max_float)
    if settings.max_face_value > 0:
        value = min(value, settings.max_face_value)
    if value < expected or (value < tx_cost and value < redeem_gas * _ALWAYS_GOOD_GAS_PRICE):
        raise InsufficientReserve
    return Wei(value)


def win_prob(value: Wei, expected: int) -> WinProb:
    """The odds that make `value` worth `expected` on average. Zero for a value of zero."""
    if value == 0:
        return WinProb(0)
    if value == expected:
        return MAX_WIN_PROB
    quotient, remainder = divmod(MAX_WIN_PROB, value)
    # The reference rounds up by looking at the low 64 bits of the remainder only.
    return WinProb(expected * (quotient + 1 if remainder & _LOW_64_BITS else quotient))


def creation_round(head: ChainHead) -> TicketExpiration:
    """The round that new tickets are made in: the last one, or the one before where its block hash is all zeroes.

    Raises NoTicketRound where neither has a hash: a gateway would put its own round and hash in their place.
    """
    if head.last_initialized_round > 0 and any(head.round_block_hash):
        return TicketExpiration(head.last_initialized_round, head.round_block_hash)
    if head.last_initialized_round > 1 and any(head.previous_round_block_hash):
        return TicketExpiration(Round(head.last_initialized_round - 1), head.previous_round_block_hash)
    raise NoTicketRound(head.last_initialized_round)


def ticket_params(
    secret: bytes,
    *,
    recipient: Address,
    sender: Address,
    value: Wei,
    expected: int,
    price: Fraction,
    head: ChainHead,
    seed: int,
    end: BlockNumber | None = None,
) -> TicketParams:
    """What `sender` is asked to put in its tickets from now on. `seed` is 32 random bytes.

    `end`: L1 block at which parameters expire at the latest. Raises LeavingActiveSet from it on.
    """
    if end is not None and end <= head.l1_block:
        raise LeavingActiveSet(end)
    odds = win_prob(value, expected)
    expiration = creation_round(head)
    expiration_block = BlockNumber(head.l1_block + PARAMS_VALID_BLOCKS)
    if end is not None:
        expiration_block = min(expiration_block, end)
    rand = recipient_rand(
        secret,
        seed=seed,
        sender=sender,
        value=value,
        odds=odds,
        expiration_block=expiration_block,
        price=price,
        aux=aux_data(expiration),
    )
    return TicketParams(
        recipient=recipient,
        face_value=value,
        win_prob=odds,
        recipient_rand_hash=commitment(rand),
        seed=seed,
        expiration_block=expiration_block,
        expiration=expiration,
    )


def recipient_rand_message(
    *,
    seed: int,
    sender: Address,
    value: Wei,
    odds: WinProb,
    expiration_block: int,
    price: Fraction,
    aux: bytes,
) -> bytes:
    """What the secret is applied to: no separators, no padding, the price in lowest terms."""
    return b"".join(
        (
            to_min_bytes(seed),
            address_bytes(sender),
            to_min_bytes(value),
            to_min_bytes(odds),
            to_min_bytes(expiration_block),
            to_min_bytes(price.numerator),
            to_min_bytes(price.denominator),
            aux,
        )
    )


def recipient_rand(
    secret: bytes,
    *,
    seed: int,
    sender: Address,
    value: Wei,
    odds: WinProb,
    expiration_block: int,
    price: Fraction,
    aux: bytes,
) -> int:
    """The recipient's random of one parameter set."""
    message = recipient_rand_message(
        seed=seed, sender=sender, value=value, odds=odds, expiration_block=expiration_block, price=price, aux=aux
    )
    return int.from_bytes(hmac.digest(secret, message, hashlib.sha256), "big")


def commitment(rand: int) -> bytes:
    """What the sender sees of it: keccak256 of its 32 bytes."""
    return keccak256(to_u256(rand))
