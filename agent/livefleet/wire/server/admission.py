"""Who may have work done: the two headers, the auth token, and what a gateway is told in return."""

from dataclasses import dataclass

from starlette.requests import Request

from livefleet.chain import Signer
from livefleet.kernel import Address, Refused, SessionId
from livefleet.payments import Payments, ReceivedPayment
from livefleet.wire.auth import AuthToken, AuthTokens
from livefleet.wire.capabilities import Capabilities, capability_of_pipeline
from livefleet.wire.errors import BadCredentials
from livefleet.wire.messages import CapabilityPrice, OrchestratorInfo, OrchestratorRequest, SegmentOutcome
from livefleet.wire.segment import SegmentCredentials
from livefleet.wire.server.offer import Offer
from livefleet.wire.server.sessions import TranscodingSessions
from livefleet.wire.signing import request_is_signed
from livefleet.wire.translate import payment_from_header, segment_from_header

__all__ = ["Admission", "Admitted"]

_NOBODY = b"\0" * 20
_NO_NEEDS = Capabilities()


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request whose headers hold."""

    payment: ReceivedPayment
    credentials: SegmentCredentials
    token: AuthToken


class Admission:
    """Checks requests in the protocol's order and builds OrchestratorInfo."""

    def __init__(
        self,
        *,
        service_uri: str,
        nodes: tuple[str, ...],
        payments: Payments,
        signer: Signer | None,
        tokens: AuthTokens,
        offer: Offer,
        sessions: TranscodingSessions[SegmentOutcome],
    ) -> None:
        self._service_uri = service_uri
        self._nodes = nodes
        self._payments = payments
        self._address = _NOBODY if signer is None else _raw(signer.address)
        self._tokens = tokens
        self._offer = offer
        self._sessions = sessions

    def check_request(self, request: OrchestratorRequest) -> None:
        """GetOrchestrator's own checks. Raises Refused with the protocol's text."""
        if self._payments.on_chain and not request_is_signed(request.address, request.signature):
            raise Refused("Invalid orchestrator request: orchestrator req sig check failed")
        wants_models = request.capabilities is not None and bool(request.capabilities.priced_models)
        if self._sessions.is_full or not (wants_models or self._offer.has_room()):
            raise Refused("Invalid orchestrator request: OrchestratorCapped")

    def check_headers(self, request: Request, *, capped: bool = True) -> Admitted:
        """Parse and check both headers. Raises MalformedPayment (402) or BadCredentials (403).

        `capped`: whether a full node refuses sessions that it does not know.
        """
        payment = payment_from_header(request.headers.get("livepeer-payment", ""))
        credentials = segment_from_header(request.headers.get("livepeer-segment", ""))
        sender = _NOBODY if payment.sender is None else _raw(payment.sender)
        if self._payments.on_chain and not credentials.is_signed_by(sender):
            raise BadCredentials("ErrSegSig")
        if not self._offer.capabilities().serves(credentials.capabilities or _NO_NEEDS):
            raise BadCredentials("incompatible capabilities")
        token = self._tokens.check(credentials.auth_token)
        if capped and not self._has_room(token.session, credentials):
            raise BadCredentials("OrchestratorCapped")
        return Admitted(payment, credentials, token)

    def _has_room(self, session: SessionId, credentials: SegmentCredentials) -> bool:
        """Devices matter to those who want renditions; models have places of their own."""
        needs_device = bool(credentials.profiles) and session not in self._sessions
        return self._sessions.admits(session) and (not needs_device or self._offer.has_room(credentials.profiles))

    def owns(self, token: AuthToken | None) -> bool:
        """Whether we issued this token."""
        return token is not None and self._tokens.is_ours(token)

    async def info(
        self,
        sender: Address | None,
        *,
        needs: Capabilities | None = None,
        token: AuthToken | None = None,
        session: SessionId | None = None,
    ) -> OrchestratorInfo:
        """What a gateway is told. Without `needs` it hears every model's price; without `token` it gets a new session.

        Raises Refused or Transient where there is no quote.
        """
        models = () if needs is None else needs.priced_models
        quote = await self._payments.quote(sender, session=session, models=models)
        prices = self._payments.capability_prices(sender) if needs is None else ()
        return OrchestratorInfo(
            transcoder=self._service_uri,
            address=self._address,
            capabilities=self._offer.capabilities(),
            auth_token=token or self._tokens.issue(),
            price=quote.price,
            ticket_params=quote.ticket_params,
            capability_prices=tuple(
                CapabilityPrice(capability, model, price)
                for pipeline, model, price in prices
                if (capability := capability_of_pipeline(pipeline)) is not None
            ),
            nodes=self._nodes,
        )


def _raw(address: Address) -> bytes:
    return bytes.fromhex(address[2:])
