"""POST /refresh-payment: new ticket parameters for a session that is paid for by itself (live AI).

Source: go-livepeer server/rpc.go RefreshPayment. The one route whose errors are JSON.
"""

import base64
import logging
import re

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from livefleet.chain import checksum_address
from livefleet.kernel import Address, LivefleetError, SessionId
from livefleet.payments import Payments
from livefleet.wire.server.admission import Admission
from livefleet.wire.server.http_answers import INTERNAL_ERROR, BodyTooLarge, read_body
from livefleet.wire.translate import info_to_proto

__all__ = ["RefreshPaymentService"]

log = logging.getLogger(__name__)

_MAX_BODY = 65_536  # bytes
_HEX_ADDRESS = re.compile(r"(?:0[xX])?([0-9a-fA-F]{40})\Z")


class _Wanted(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    sender: str = ""
    manifest_id: str = ""


class RefreshPaymentService:
    """Answers anybody who knows sender and manifest, as the protocol does; tickets still need the sender's key."""

    def __init__(self, *, admission: Admission, payments: Payments) -> None:
        self._admission = admission
        self._payments = payments

    def routes(self) -> list[Route]:
        """For the front door's application."""
        return [Route("/refresh-payment", self.refresh, methods=["POST"])]

    async def refresh(self, request: Request) -> Response:
        """Ticket parameters at the session's fixed price, and a token for it."""
        try:
            wanted = _Wanted.model_validate_json(await read_body(request, _MAX_BODY))
        except ValidationError as error:
            return _error(400, f"invalid request: {error.errors(include_input=False)[0]['msg']}")
        except BodyTooLarge as error:
            return _error(400, str(error))
        except ClientDisconnect:
            return _error(500, INTERNAL_ERROR)
        address = _HEX_ADDRESS.match(wanted.sender)
        if address is None:
            return _error(400, "invalid sender")
        manifest = SessionId(wanted.manifest_id.strip())
        if not manifest:
            return _error(400, "missing manifest_id")
        return await self._refreshed(checksum_address(bytes.fromhex(address[1])), manifest)

    async def _refreshed(self, sender: Address, manifest: SessionId) -> Response:
        price = self._payments.fixed_price(sender, manifest)
        # Nobody signs here, and a token for a transcoding session could end somebody's stream.
        if price is None or self._admission.is_transcoding(manifest):
            return _error(409, "fixed price not found for session")
        try:
            info = info_to_proto(await self._admission.challenge(sender, manifest, price))
        except (LivefleetError, ValueError) as error:
            log.warning("refresh_payment.failed", extra={"sender": sender, "error": str(error)})
            return _error(500, INTERNAL_ERROR)
        return JSONResponse(
            {
                "payment_params": base64.b64encode(info.SerializeToString()).decode(),
                "orchestrator": info.transcoder,
                "manifest_id": manifest,
                "payment_url": f"{info.transcoder}/payment",
            }
        )


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status_code=status)
