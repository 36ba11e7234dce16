"""Keeps a registered service URI as declared. Compared normalised, written exactly as declared."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from livefleet.chain.change import Change, DutyPlan, DutyState, blocked, in_step
from livefleet.chain.contracts import ServiceRegistry
from livefleet.chain.contracts.service_registry import SET_SERVICE_URI
from livefleet.chain.on_chain import OnChainReader, OnChainState
from livefleet.kernel import BadInput

__all__ = ["ServiceUriDuty", "same_service"]

_NOWHERE: Final = ("", "0.0.0.0", "::")  # noqa: S104 -- refused, not bound


def same_service(one: str, other: str) -> bool:
    """Whether two URIs name the same place, whatever their case, default port and trailing slash."""
    return _normalised(one) == _normalised(other)


@dataclass(frozen=True, slots=True)
class ServiceUriDuty:
    """One registry's entry of the orchestrator; each registry holds its own. Raises BadInput for a URI to nowhere."""

    reader: OnChainReader
    registry: ServiceRegistry | None  # None: this chain has no such registry
    declared: str
    is_ai: bool = False

    def __post_init__(self) -> None:
        if (urlsplit(self.declared).hostname or "") in _NOWHERE:
            raise BadInput(f"service URI {self.declared!r} names no host that a gateway could reach")

    @property
    def topic(self) -> str:
        """What its intents and proposals are told apart by."""
        return "ai-service-uri" if self.is_ai else "service-uri"

    async def observe(self, max_age_s: float) -> OnChainState:
        """What the registry says."""
        return await self.reader.look(max_age_s)

    def plan(self, observed: OnChainState) -> DutyPlan:
        """The URI to register, unless the registered one will do. Pure."""
        if self.registry is None:
            return blocked("NoRegistry", "this chain has no service registry for AI; take `ai_service_uri` away")
        found = (observed.ai_service_uri or "") if self.is_ai else observed.service_uri
        if same_service(self.declared, found):
            return in_step("Registered", f"registered: {found}")
        change = Change(
            purpose=f"{observed.orchestrator} from {found or 'none'} to {self.declared}",
            title=f"register the {'AI ' if self.is_ai else ''}service URI {self.declared}",
            call=self.registry.set_service_uri_call(self.declared),
            function=SET_SERVICE_URI,
        )
        text = f"registered: {found or 'nothing'}; declared: {self.declared}"
        return DutyPlan(DutyState.CHANGING, "Differs", text, (change,))


def _normalised(uri: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(uri.strip())
    default = {"https": 443, "http": 80}.get(parts.scheme)
    try:
        port = parts.port or default
    except ValueError:
        port = None
    return parts.scheme, parts.hostname or "", port, parts.path.rstrip("/")
