"""A key at a signing service: Web3Signer's eth1 API.

The service is given bytes and signs their keccak256, whatever they mean; it never sees a transaction as such. So a
transaction goes there as its unsigned bytes and a message with its EIP-191 prefix, and every signature is checked here
against the key's address before it is used: a wrong key, a wrong service or a broken answer signs nothing.

Source: Web3Signer `openapi-specs/eth1/web3signer.yaml`: `POST /api/v1/eth1/sign/{identifier}` with `{"data": "0x…"}`,
answered by the signature in hex (r, s, v with v 27 or 28) or 404 for an unknown key; `GET /api/v1/eth1/publicKeys`.
"""

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from livefleet.chain.envelope import signed_bytes, unsigned_bytes
from livefleet.chain.signature import checksum_address, keccak256, personal_message, recover_signer
from livefleet.kernel import Address, BadInput, Terminal, Transient

__all__ = ["RemoteSigner", "RemoteSignerSettings"]

log = logging.getLogger(__name__)

_SIGN = "api/v1/eth1/sign/"
_PUBLIC_KEYS = "api/v1/eth1/publicKeys"
_TRIES = 3
_FIRST_WAIT_S = 0.1  # between tries, doubling: a gateway waits for a result's signature
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True, slots=True)
class RemoteSignerSettings:
    """Where the service is and how this host is known to it."""

    url: str
    address: Address
    identifier: str | None = None  # the public key, 0x and 128 hex digits; None: found by `address`
    tls_ca: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    token: str | None = field(default=None, repr=False)
    timeout_s: float = 5.0  # for one answer


class RemoteSigner:
    """A `Signer` whose key is elsewhere. Nothing is asked before the first signature; `close` when done."""

    def __init__(self, settings: RemoteSignerSettings) -> None:
        """Raises BadInput where a certificate cannot be read or the identifier is the key of another address."""
        self.address: Address = settings.address
        self._url = settings.url.rstrip("/") + "/"
        self._identifier = settings.identifier
        if self._identifier is not None and (owner := _address_of(self._identifier)) != self.address:
            raise BadInput(f"the signer's identifier is the public key of {owner}, declared is {self.address}")
        headers = {} if settings.token is None else {"Authorization": f"Bearer {settings.token}"}
        self._http = httpx.AsyncClient(
            base_url=self._url,
            timeout=settings.timeout_s,
            headers=headers,
            verify=_tls(settings) if self._url.startswith("https:") else False,
            trust_env=False,
        )

    @property
    def url(self) -> str:
        """Base URL of the service."""
        return self._url

    def __repr__(self) -> str:
        return f"RemoteSigner({self.address} at {self._url})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of its connections."""
        await self._http.aclose()

    async def check(self) -> None:
        """Ask whether the service is there and holds the key. Raises Transient, Terminal."""
        known = await self._public_keys()
        if self._identifier is not None and self._identifier.lower() not in known:
            raise Terminal(f"the signer at {self._url} holds no key {self._short()}; it holds {_listed(known)}")
        await self._name()

    async def sign(self, message: bytes) -> bytes:
        """65-byte EIP-191 signature over a 32-byte message. Raises Transient (not reached), Terminal (refused)."""
        return await self._signature(personal_message(message))

    async def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """The raw signed bytes of an EIP-1559 transaction given as web3's fields. Raises as `sign` does."""
        return signed_bytes(transaction, await self._signature(unsigned_bytes(transaction)))

    async def _signature(self, data: bytes) -> bytes:
        reply = await self._ask("POST", _SIGN + await self._name(), json={"data": "0x" + data.hex()})
        if reply.status_code == httpx.codes.NOT_FOUND:
            raise Terminal(f"the signer at {self._url} holds no key {self._short()}; load it there")
        signature = _parse_signature(self._text(reply))
        if signature is None:
            raise Terminal(f"the signer at {self._url} answered no signature: {reply.text[:80]!r}")
        signer = recover_signer(keccak256(data), signature)
        if signer is None or checksum_address(signer) != self.address:
            found = "nobody" if signer is None else checksum_address(signer)
            raise Terminal(f"the signer at {self._url} signed as {found}, wanted is {self.address}; nothing was sent")
        return signature

    async def _name(self) -> str:
        """The service's name for the key, looked up once."""
        if self._identifier is None:
            known = await self._public_keys()
            named = next((key for key in known if _address_of(key) == self.address), None)
            if named is None:
                raise Terminal(f"the signer at {self._url} holds no key of {self.address}; it holds {_listed(known)}")
            self._identifier = named
        return self._identifier

    async def _public_keys(self) -> list[str]:
        reply = await self._ask("GET", _PUBLIC_KEYS)
        if reply.status_code == httpx.codes.NOT_FOUND:
            raise Terminal(f"{self._url} has no {_PUBLIC_KEYS}: is it Web3Signer, started with `eth1`?")
        self._text(reply)
        try:
            listed = reply.json()
        except ValueError:
            listed = None
        if not isinstance(listed, list):
            raise Terminal(f"the signer at {self._url} answered no list of keys: {reply.text[:80]!r}")
        return [key.lower() for key in listed if isinstance(key, str) and _address_of(key) is not None]

    async def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """One answer below 500; what is not one is tried again, since signing twice does no harm."""
        wait_s, said = _FIRST_WAIT_S, ""
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(wait_s)
                wait_s *= 2
            try:
                reply = await self._http.request(method, path, **content)
            except (httpx.TransportError, ssl.SSLError) as error:  # the second: the service wants a certificate
                said = f"cannot be reached: {_cause(error)}"
                if isinstance(error, httpx.TimeoutException):
                    break  # whoever waits has waited long enough
                continue
            if reply.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return reply
            said = f"answered {reply.status_code} {reply.text[:80]!r}"
        raise Transient(f"the signer at {self._url} {said}", retry_after_s=5.0)

    def _text(self, reply: httpx.Response) -> str:
        if reply.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise Terminal(
                f"the signer at {self._url} refuses this host ({reply.status_code}): look at its allow list "
                "(`--http-host-allowlist`), its policy and this key's certificate and token"
            )
        if reply.status_code != httpx.codes.OK:
            raise Terminal(f"the signer at {self._url} answered {reply.status_code} {reply.text[:80]!r}")
        return reply.text

    def _short(self) -> str:
        return f"{self._identifier[:12]}… of {self.address}" if self._identifier else f"of {self.address}"


def _tls(settings: RemoteSignerSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
        if settings.client_certificate is not None:
            # Without the callback OpenSSL would ask a terminal for the passphrase of an encrypted key.
            context.load_cert_chain(settings.client_certificate, settings.client_key, password=lambda: b"")
    except OSError as error:  # ssl.SSLError is one of its kind
        paths = (settings.tls_ca, settings.client_certificate, settings.client_key)
        files = ", ".join(str(path) for path in paths if path is not None)
        raise BadInput(
            f"the signer's certificates cannot be used ({files}): {error.strerror or error}; PEM files are "
            "expected, the private key unencrypted"
        ) from error
    return context


def _address_of(public_key: str) -> Address | None:
    text = public_key.removeprefix("0x").removeprefix("0X")
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    return checksum_address(keccak256(raw)[12:]) if len(raw) == 64 else None


def _parse_signature(text: str) -> bytes | None:
    """R | s | v with s low and v 27 or 28, however the service writes v and s; None where it is no signature."""
    try:
        raw = bytes.fromhex(text.strip().strip('"').removeprefix("0x"))
    except ValueError:
        return None
    if len(raw) != 65 or raw[64] not in (0, 1, 27, 28):
        return None
    s, v = int.from_bytes(raw[32:64]), raw[64] if raw[64] >= 27 else raw[64] + 27
    if not 0 < s < _ORDER:
        return None
    if s > _ORDER // 2:
        s, v = _ORDER - s, 55 - v
    return raw[:32] + s.to_bytes(32) + bytes([v])


def _listed(keys: list[str]) -> str:
    owners = [str(_address_of(key)) for key in keys]
    return ", ".join(owners[:5]) + (f" and {len(owners) - 5} more" if len(owners) > 5 else "") if owners else "none"


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__
