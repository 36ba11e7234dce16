"""What a stock go-livepeer gateway waits for and pays, written down apart from the agent's own gateway on purpose.

Source: go-livepeer discovery/discovery.go, server/broadcast.go, server/segment_rpc.go, pm/sender.go; default flags.
"""

from dataclasses import dataclass
from fractions import Fraction

from livefleet.wire.proto import lp_rpc_pb2 as pb

DISCOVERY_CONNECT_S = 3.0
DISCOVERY_FIRST_S = 0.5
"""The first wait for answers; doubled while nobody answered."""

DISCOVERY_CUTOFF_S = 6.0
REFRESH_S = 2.5
REFRESH_BEFORE_S = 180
HTTP_CONNECT_S = 2.0
POOL_IDLE_S = 60.0
DOWNLOAD_S = 4.0
ATTEMPTS = 3
WORST_SCORE = 1.0

MAX_WIN_PROB = 2**256 - 1
MAX_TICKET_EV = 3_000_000_000_000
MAX_TOTAL_EV = 20_000_000_000_000


def header_limit_s(duration_s: float) -> float:
    """From the end of the upload to the answer's headers."""
    return max(2.0, 0.5 * duration_s)


def call_limit_s(duration_s: float) -> float:
    """From the start of the upload to the answer's last byte."""
    return max(8.0, 4.0 * duration_s)


def latency_score(call_s: float, duration_s: float) -> float:
    """Above 1.0 the orchestrator is left."""
    return call_s / max(1.5, duration_s)


@dataclass(frozen=True, slots=True)
class Funds:
    """What the chain says about the gateway, and how far it is."""

    block: int  # the latest L1 block
    deposit: int  # wei
    reserve: int  # wei
    unlocking: bool


def payment_fault(info: pb.OrchestratorInfo, tickets: int, funds: Funds) -> str | None:
    """Why a gateway would not send so many tickets of these parameters; None where it would."""
    params = info.ticket_params
    face_value = int.from_bytes(params.face_value, "big")
    value = Fraction(face_value * int.from_bytes(params.win_prob, "big"), MAX_WIN_PROB)
    expiry = int.from_bytes(params.expiration_block, "big")
    if not params.recipient_rand_hash:
        return "no ticket params"
    if value <= 0:
        return None
    if expiry == 0:
        return "ticketParams expiration block is 0"
    if expiry - funds.block <= 1:
        return f"TicketParams expired: block {expiry}, now {funds.block}"
    if value >= face_value:
        return "ticket EV is not below its face value"
    if value > MAX_TICKET_EV:
        return f"ticket EV {float(value):.0f} is above maxTicketEV"
    if value * tickets > MAX_TOTAL_EV:
        return f"{tickets} tickets are above maxTotalEV"
    if face_value > funds.deposit:
        return "face value is above the deposit"
    if not funds.deposit or not funds.reserve or funds.unlocking:
        return "deposit or reserve is gone or going"
    return None


def session_fault(info: pb.OrchestratorInfo, first_price: Fraction) -> str | None:
    """Why a gateway would drop the session before it sends anything."""
    if not info.transcoder:
        return "no transcoder"
    if not info.HasField("auth_token"):
        return "missing auth token"
    if not info.HasField("ticket_params") or not info.HasField("price_info"):
        return "missing ticket params"
    if first_price and price_of(info) > 2 * first_price:
        return f"the price rose to {price_of(info)}, more than twice {first_price}"
    return None


def price_of(info: pb.OrchestratorInfo) -> Fraction:
    """Wei per pixel."""
    return Fraction(info.price_info.pricePerUnit, info.price_info.pixelsPerUnit)
