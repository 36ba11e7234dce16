"""What is asked of an orchestrator, what was seen of it, and what follows for a gateway."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from livefleet.chain import MessageSigner, SenderInfo
from livefleet.kernel import Address, BlockNumber, ExitCode, Round, Wei
from livefleet.wire.capabilities import Capabilities
from livefleet.wire.channel import Endpoint
from livefleet.wire.messages import OrchestratorInfo

__all__ = [
    "Answer",
    "Answers",
    "Certificate",
    "ChainFacts",
    "Connection",
    "Handshake",
    "HttpFacts",
    "Job",
    "Name",
    "Question",
    "Report",
    "Row",
    "Sighting",
    "TlsFacts",
    "Verdict",
]


class Verdict(StrEnum):
    """What a check means for being selected."""

    OK = "ok"
    WARN = "warn"  # a stock gateway still selects it; some do not, or not always
    FAIL = "fail"  # no stock gateway selects it, or none keeps it
    SKIP = "skip"  # not looked at, and why


@dataclass(frozen=True, slots=True)
class Row:
    """One check."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""  # what to do about it; empty where nothing need be done


@dataclass(frozen=True, slots=True)
class Report:
    """Every check that was made, in a gateway's order."""

    uri: str
    rows: tuple[Row, ...]
    reachable: bool  # somebody accepted a connection

    @property
    def exit_code(self) -> ExitCode:
        """3 when nobody listens there, 1 when a check fails, else 0."""
        if not self.reachable:
            return ExitCode.OUTSIDE_SAID_NO
        failed = any(row.verdict is Verdict.FAIL for row in self.rows)
        return ExitCode.PARTLY_FAILED if failed else ExitCode.DONE


@dataclass(frozen=True, slots=True)
class Job:
    """The work that a gateway would look for a node for."""

    needs: Capabilities  # min_version included
    units: int  # pixels of one request or segment, to count its tickets
    is_ai: bool = False  # found through the AI registry, priced per model


@dataclass(frozen=True, slots=True)
class Question:
    """One orchestrator, seen with one gateway's eyes."""

    endpoint: Endpoint
    job: Job
    signer: MessageSigner
    has_funds: bool  # whether the signer is a real gateway's; a throwaway key has neither deposit nor reserve
    on_chain: bool  # whether tickets are expected
    max_price: Fraction | None = None  # wei per pixel or unit; None: no ceiling
    answer_within_s: float = 0.5  # go-livepeer's -discoveryTimeout
    address: Address | None = None  # the orchestrator's on chain, where the asker knows it

    @property
    def uri(self) -> str:
        """As it stands in a registry."""
        return f"https://{self.endpoint}"


@dataclass(frozen=True, slots=True)
class Name:
    """What the host's name stands for here."""

    addresses: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP connection, tried from here."""

    address: str
    seconds: float = 0.0
    source: str = ""  # our own address on it
    error: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a peer shows."""

    der: bytes
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Handshake:
    """One TLS handshake."""

    protocol: str  # such as TLSv1.3
    alpn: str | None  # what the server selected
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """Two handshakes on connections of their own."""

    both: Handshake | None = None  # offered h2 and http/1.1
    plain: Handshake | None = None  # offered http/1.1 alone
    error: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One GetOrchestrator: an answer, a refusal in the orchestrator's words, or no answer."""

    seconds: float
    info: OrchestratorInfo | None = None
    refusal: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """All GetOrchestrators and the Ping."""

    tries: tuple[Answer, ...]  # for the job, each on a connection of its own
    general: Answer  # without capabilities: tells every model's price
    ping_signer: bytes | None = None  # 20 bytes; None: none could be recovered
    ping_error: str = ""

    @property
    def info(self) -> OrchestratorInfo | None:
        """The last answer for the job."""
        return next((answer.info for answer in reversed(self.tries) if answer.info is not None), None)

    @property
    def refusal(self) -> str:
        """The last refusal, empty where an answer came after it."""
        return "" if self.tries[-1].info is not None else self.tries[-1].refusal


@dataclass(frozen=True, slots=True)
class HttpFacts:
    """The front door's other half."""

    health_status: int = 0
    bare_version: str = ""  # of the answer to a POST without credentials
    bare_status: int = 0
    bare_text: str = ""
    junk_status: int = 0  # of a POST whose payment is no base64
    error: str = ""


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """The orchestrator's standing, all read at about the same time."""

    address: Address
    current_round: Round
    last_initialized_round: Round
    l1_block: BlockNumber
    registered: bool
    active: bool
    activation_round: Round
    deactivation_round: int
    stake: int  # LPTU
    pool_size: int
    registries: Mapping[str, str] = field(default_factory=dict)  # `video` and `ai`: the URI each one gives
    sender: SenderInfo | None = None  # the asking gateway's funds

    @property
    def reserve_share(self) -> Wei | None:
        """The part of the gateway's reserve that this orchestrator can still claim in this round."""
        if self.sender is None:
            return None
        if not self.pool_size:
            return Wei(0)
        whole = self.sender.reserve_remaining + self.sender.reserve_claimed_in_round
        return Wei(max(0, whole // self.pool_size - self.sender.reserve_claimed_by_recipient))


@dataclass(frozen=True, slots=True)
class Sighting:
    """All that was seen of one orchestrator; None for what an earlier step did not lead to."""

    at: float  # unix seconds
    name: Name
    connections: tuple[Connection, ...] = ()
    tls: TlsFacts | None = None
    answers: Answers | None = None
    http: HttpFacts | None = None
    chain: ChainFacts | None = None
    chain_error: str = ""

    @property
    def reachable(self) -> bool:
        """Whether somebody took a connection."""
        return any(not connection.error for connection in self.connections)
