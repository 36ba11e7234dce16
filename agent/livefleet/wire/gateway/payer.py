"""Makes tickets: what a gateway checks before it pays, and how many it sends."""

import base64
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from livefleet.chain import MessageSigner, checksum_address, keccak256
from livefleet.kernel import Address, LivefleetError, OutsideWorld, Wei, from_min_bytes, to_u256
from livefleet.media import Profile
from livefleet.wire.gateway.models import Spending
from livefleet.wire.gateway.tickets import ESTIMATE_MARGIN, MAX_TOTAL_EV, expected_value, tickets_for, value_faults
from livefleet.wire.proto import lp_rpc_pb2 as pb

__all__ = ["Payer", "SpendLimits", "TooDear", "estimate_units", "price_of"]


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """What a payer may at most give, in wei. None: no limit."""

    total: Fraction | None = None  # expected value of all tickets
    face_value: int | None = None  # of one ticket


class TooDear(LivefleetError):
    """A payment would be beyond the payer's own limits; nothing was signed."""


def price_of(info: pb.OrchestratorInfo) -> Fraction | None:
    """Wei per unit, None where nothing is asked (off-chain)."""
    if not info.HasField("price_info") or info.price_info.pixelsPerUnit <= 0:
        return None
    return Fraction(info.price_info.pricePerUnit, info.price_info.pixelsPerUnit)


def estimate_units(profiles: Sequence[Profile], duration_s: float) -> int:
    """Pixels that a segment will about cost, as go-livepeer's gateway reckons them."""
    seconds = math.ceil(duration_s)
    return sum(
        p.width * p.height * (math.ceil(Fraction(p.fps, p.fps_den)) if p.fps else 60) * seconds for p in profiles
    )


class Payer:
    """One gateway account against one orchestrator. Not thread safe; one stream's loop owns it."""

    def __init__(self, signer: MessageSigner | None, limits: SpendLimits | None = None) -> None:
        self._signer = signer
        self._limits = limits or SpendLimits()
        self._nonces: dict[bytes, int] = defaultdict(int)
        self._credit: dict[str, Fraction] = defaultdict(Fraction)
        self._tickets = 0
        self._expected_value = Fraction(0)
        self._fees = Fraction(0)
        self._face_value = Wei(0)

    @property
    def address(self) -> Address | None:
        """The paying account; None off-chain."""
        return None if self._signer is None else self._signer.address

    @property
    def spending(self) -> Spending:
        """Totals so far."""
        return Spending(self._tickets, self._expected_value, self._face_value, self._fees)

    def payment(self, info: pb.OrchestratorInfo, session: str, units: int) -> tuple[str, int]:
        """The header `Livepeer-Payment` that covers `units` of work in `session`, and its number of tickets.

        Raises OutsideWorld when the orchestrator's ticket parameters break a rule that gateways hold, TooDear.
        """
        if self._signer is None:
            return "", 0
        payment = pb.Payment(sender=bytes.fromhex(self._signer.address[2:]), expected_price=info.price_info)
        price = price_of(info)
        count = 0
        if price:
            count = self._add_tickets(payment, info.ticket_params, session, ESTIMATE_MARGIN * price * units)
        return base64.b64encode(payment.SerializeToString()).decode(), count

    def tickets_due(self, info: pb.OrchestratorInfo, session: str, units: int) -> int:
        """How many tickets `payment` would sign. Raises as it does; signs nothing."""
        price = price_of(info)
        if self._signer is None or not price:
            return 0
        return self._due(info.ticket_params, session, ESTIMATE_MARGIN * price * units)[0]

    def settle(self, session: str, price: Fraction | None, units: int) -> Fraction:
        """Book what the orchestrator may debit for work done."""
        fee = (price or Fraction(0)) * units
        self._credit[session] -= fee
        self._fees += fee
        return fee

    def forget(self, session: str) -> None:
        """Drop a session's credit: a new session starts at zero on the other side as well."""
        self._credit.pop(session, None)

    def _add_tickets(self, payment: pb.Payment, params: pb.TicketParams, session: str, needed: Fraction) -> int:
        count, expected = self._due(params, session, needed)
        self._face_value = Wei(from_min_bytes(params.face_value))
        if count == 0:
            return 0
        payment.ticket_params.CopyFrom(params)
        payment.ticket_params.ClearField("expiration_params")
        payment.expiration_params.CopyFrom(params.expiration_params)
        for _ in range(count):
            self._nonces[params.recipient_rand_hash] += 1
            nonce = self._nonces[params.recipient_rand_hash]
            payment.ticket_sender_params.add(sender_nonce=nonce, sig=self._sign_ticket(params, nonce))
        self._credit[session] += count * expected
        self._tickets += count
        self._expected_value += count * expected
        return count

    def _due(self, params: pb.TicketParams, session: str, needed: Fraction) -> tuple[int, Fraction]:
        """How many tickets, and what each is worth on average."""
        face_value = from_min_bytes(params.face_value)
        expected = expected_value(face_value, from_min_bytes(params.win_prob))
        self._check(face_value, expected, params)
        count = tickets_for(needed, self._credit.get(session, Fraction(0)), expected)
        if count * expected > MAX_TOTAL_EV:
            raise OutsideWorld(f"{count} tickets of {float(expected):.0f} wei are above the limit of one payment")
        if count:
            self._hold_limits(face_value, count * expected)
        return count, expected

    def _hold_limits(self, face_value: int, more: Fraction) -> None:
        most, total = self._limits.face_value, self._limits.total
        if most is not None and face_value > most:
            raise TooDear(f"a ticket would pay {face_value} wei where it wins, and at most {most} wei are allowed")
        if total is not None and self._expected_value + more > total:
            raise TooDear(
                f"tickets worth {float(more):.0f} wei more are asked, after {float(self._expected_value):.0f} wei, and "
                f"at most {float(total):.0f} wei are allowed"
            )

    def _check(self, face_value: int, expected: Fraction, params: pb.TicketParams) -> None:
        if not params.recipient_rand_hash:
            raise OutsideWorld("the orchestrator asks a price but gives no ticket parameters")
        faults = value_faults(face_value, expected)
        if faults:
            raise OutsideWorld(faults[0])
        if from_min_bytes(params.expiration_block) == 0:
            raise OutsideWorld("ticketParams expiration block is 0")

    def _sign_ticket(self, params: pb.TicketParams, nonce: int) -> bytes:
        assert self._signer is not None
        expiration = params.expiration_params
        block_hash = expiration.creation_round_block_hash.rjust(32, b"\0")
        aux = b""
        if expiration.creation_round or block_hash.strip(b"\0"):
            aux = to_u256(expiration.creation_round) + block_hash
        ticket_hash = keccak256(
            params.recipient,
            bytes.fromhex(self._signer.address[2:]),
            params.face_value.rjust(32, b"\0"),
            params.win_prob.rjust(32, b"\0"),
            to_u256(nonce),
            params.recipient_rand_hash,
            aux,
        )
        return self._signer.sign_message(ticket_hash)

    def request_signature(self) -> tuple[bytes, bytes]:
        """(address, signature) of a GetOrchestrator request; both empty off-chain."""
        if self._signer is None:
            return b"", b""
        raw = bytes.fromhex(self._signer.address[2:])
        return raw, self._signer.sign_message(keccak256(checksum_address(raw).encode()))

    def sign(self, message: bytes) -> bytes:
        """Sign keccak256(message); empty off-chain."""
        return b"" if self._signer is None else self._signer.sign_message(keccak256(message))
