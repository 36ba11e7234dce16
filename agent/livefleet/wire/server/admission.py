"""Who may have work done: the two headers, the auth token, and what a gateway is told in return."""

from dataclasses import dataclass
from fractions import Fraction

from starlette.requests import Request

from livefleet.chain import Signer, checksum_address
from livefleet.kernel import Address, Refused, SessionId
from livefleet.payments import Payments, ReceivedPayment
from livefleet.wire.auth import AuthToken, AuthTokens
from livefleet.wire.capabilities import Capabilities, Capability, capability_of_pipeline
from livefleet.wire.errors import BadCredentials
from livefleet.wire.messages import CapabilityPrice, OrchestratorInfo, OrchestratorRequest, SegmentOutcome
from livefleet.wire.segment import SegmentCredentials
from livefleet.wire.server.auth_webhook import AuthWebhook
from livefleet.wire.server.counters import Counters
from livefleet.wire.server.offer import Offer
from livefleet.wire.server.sessions import TranscodingSessions
from livefleet.wire.server.streams import Streams
from livefleet.wire.signing import request_is_signed
from livefleet.wire.storage import OwnStore
from livefleet.wire.translate import payment_from_header, segment_from_header

__all__ = ["Admission", "Admitted"]

_NOBODY = b"\0" * 20
_NO_NEEDS = Capabilities()


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request whose headers hold."""

    payment: ReceivedPayment
    credentials: SegmentCredentials
    token: AuthToken  # its session is the account that pays
    place: SessionId  # the transcoding session that does the work: the token's own, or the stream's earlier one
    price: Fraction | None = None  # wei per pixel that the webhook named for the sender


class Admission:
    """Checks requests in the protocol's order and builds OrchestratorInfo."""

    def __init__(
        self,
        *,
        service_uri: str,  # empty: no work is done here
        nodes: tuple[str, ...],
        payments: Payments,
        signer: Signer | None,
        tokens: AuthTokens,
        offer: Offer,
        sessions: TranscodingSessions[SegmentOutcome],
        streams: Streams,
        webhook: AuthWebhook | None = None,
        counters: Counters | None = None,
        store: OwnStore | None = None,
    ) -> None:
        self._store = store
        self._counters = counters or Counters()
        self._service_uri = service_uri
        self._nodes = nodes
        self._payments = payments
        self._address = _NOBODY if signer is None else _raw(signer.address)
        self._tokens = tokens
        self._offer = offer
        self._sessions = sessions
        self._streams = streams
        self._webhook = webhook
        self.only_for: Address | None = None
        """The one account that hears of the node; None: each does. A stream that runs has its token refreshed."""

    async def check_request(self, request: OrchestratorRequest) -> None:
        """GetOrchestrator's own checks. Raises Refused with the protocol's text."""
        if self._payments.on_chain and not request_is_signed(request.address, request.signature):
            raise Refused("Invalid orchestrator request: orchestrator req sig check failed")
        sender = checksum_address(request.address) if request.address else None
        wants_models = request.capabilities is not None and bool(request.capabilities.priced_models)
        is_full = self._sessions.is_full or not (wants_models or not self._service_uri or self._offer.has_room())
        if (is_full or self._is_withheld(sender)) and not self._refreshes(sender):
            raise Refused("Invalid orchestrator request: OrchestratorCapped")
        if self._webhook is not None:
            await self._webhook.admit(sender)
        if self._service_uri and not request.ignore_capacity_check and not self._has_live_room(request.capabilities):
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
        can = self._offer.capabilities().serves(credentials.capabilities or _NO_NEEDS)
        if not can and not self._is_between_workers(credentials):
            raise BadCredentials("incompatible capabilities")
        token = self._tokens.check(credentials.auth_token)
        place = self._place(token.session, payment.sender, credentials)
        if capped and not self._has_room(place, credentials):
            raise BadCredentials("OrchestratorCapped")
        return Admitted(payment, credentials, token, place, self._webhook_price(payment.sender))

    def is_transcoding(self, session: SessionId) -> bool:
        """Whether work is done under this id."""
        return self._streams.place(session) in self._sessions

    def place_of(self, token: AuthToken) -> SessionId:
        """The session that work under this token is done in."""
        return self._streams.place(token.session)

    def working(self, admitted: Admitted) -> None:
        """A segment's work has begun; its session is open."""
        if self._payments.on_chain and admitted.payment.sender is not None:
            credentials = admitted.credentials
            self._streams.working(admitted.place, admitted.token, admitted.payment.sender, credentials.manifest_id)

    def _is_withheld(self, sender: Address | None) -> bool:
        """A full node is what gateways come back to; any other refusal would have some of them stay away."""
        return self.only_for is not None and sender != self.only_for

    def _refreshes(self, sender: Address | None) -> bool:
        """Whether a signed sender's running stream is about to need another token."""
        may = self._payments.on_chain and sender is not None and not self._sessions.is_draining
        return may and sender is not None and self._streams.refreshes(sender)

    def _place(self, session: SessionId, sender: Address | None, credentials: SegmentCredentials) -> SessionId:
        """A new token of a running stream goes on in the stream's session where it cannot have one of its own."""
        place = self._streams.place(session)
        if place in self._sessions or not self._payments.on_chain or sender is None:
            return place
        earlier = self._streams.to_join(sender, credentials.manifest_id)
        if earlier is None or not credentials.profiles or self._has_room(session, credentials):
            return session
        return earlier

    def _is_between_workers(self, credentials: SegmentCredentials) -> bool:
        """Whether the session's worker has just left: what it could do is mostly back within the segment's time."""
        token = credentials.auth_token
        return token is not None and self._offer.awaits(self._streams.place(token.session))

    def _has_live_room(self, needs: Capabilities | None) -> bool:
        """Whether one of the live models that the request names, if any, has a free place."""
        wanted = None if needs is None else needs.models.get(Capability.LIVE_VIDEO_TO_VIDEO)
        if wanted is None:
            return True
        offered = self._offer.capabilities().models.get(Capability.LIVE_VIDEO_TO_VIDEO, {})
        return any(model in offered and offered[model].capacity > 0 for model in wanted)

    def _webhook_price(self, sender: Address | None) -> Fraction | None:
        return None if self._webhook is None else self._webhook.price(sender)

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

        A node without a work address answers as if nothing were needed. Raises Refused or Transient where there is no
        quote.
        """
        if not self._service_uri:
            needs = None
        models = () if needs is None else needs.priced_models
        named = self._webhook_price(sender) if needs is None else None
        quote = await self._payments.quote(sender, session=session, models=models, price=named)
        prices = self._payments.capability_prices(sender) if needs is None else ()
        if needs is None and sender is not None and quote.price is not None:
            self._counters.prices_given.set(sender, value=float(quote.price))
        told = token or self._tokens.issue()
        grant = None if self._store is None else self._store.grant(told.session)
        return OrchestratorInfo(
            transcoder=self._service_uri,
            address=self._address,
            capabilities=self._offer.capabilities(),
            auth_token=told,
            price=quote.price,
            ticket_params=quote.ticket_params,
            capability_prices=tuple(
                CapabilityPrice(capability, model, price)
                for pipeline, model, price in prices
                if (capability := capability_of_pipeline(pipeline)) is not None
            ),
            nodes=self._nodes,
            hardware=self._offer.hardware() if needs is None else (),
            storage=() if grant is None else (grant,),
        )

    async def challenge(self, sender: Address, session: SessionId, price: Fraction) -> OrchestratorInfo:
        """What is needed to go on paying for a session at its price. Raises as `info` does."""
        quote = await self._payments.quote(sender, session=session, price=price)
        return OrchestratorInfo(
            transcoder=self._service_uri,
            address=self._address,
            capabilities=None,
            auth_token=self._tokens.issue(session),
            price=quote.price,
            ticket_params=quote.ticket_params,
        )


def _raw(address: Address) -> bytes:
    return bytes.fromhex(address[2:])
