"""Where peers may have this node connect to.

A gateway names the hosts that we fetch sources from and upload results to. Names are resolved here and only addresses
that pass are connected to, so that a name cannot mean one thing to the check and another to the connection.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore
import httpx

from livefleet.wire.storage.errors import AddressRefused

__all__ = ["AddressRule", "careful_client", "neighbouring_networks"]

Address = IPv4Address | IPv6Address

_EVERYWHERE = ("0.0.0.0/0", "::/0")
_NAT64 = IPv6Network("64:ff9b::/96")
_CONNECTIONS = 100
_RESOLVERS = 4


class AddressRule:
    """Public addresses pass, others only in `networks` (CIDR texts)."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Raises ValueError for a text that is no network."""
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(network) for network in networks)

    def passes(self, address: Address) -> bool:
        """Whether to connect there. An IPv4 address inside of an IPv6 one is judged by itself."""
        inner = _embedded(address)
        if any(one in network for one in (address, inner) for network in self._networks):
            return True
        return all(one.is_global and not one.is_multicast for one in (address, inner))


def neighbouring_networks(own_host: str) -> tuple[str, ...]:
    """What to list for a node that nobody told: everything where its own host is a private or loopback address. Pure.

    Only addresses count, and `localhost`: what a name means is the business of whoever asks for it.
    """
    if own_host == "localhost":
        return _EVERYWHERE
    try:
        return () if ip_address(own_host).is_global else _EVERYWHERE
    except ValueError:
        return ()


def careful_client(
    rule: AddressRule, *, check_certificates: bool = True, http2: bool = False, keep_idle: int = 20
) -> httpx.AsyncClient:
    """A client for URLs that peers name. It connects only where the rule lets it: AddressRefused otherwise.

    It follows no redirects, and takes no proxy from the environment, which would resolve names by itself.
    """
    context = httpx.create_ssl_context(verify=check_certificates)
    transport = _GuardedTransport(rule, verify=context, http2=http2, keep_idle=keep_idle)
    return httpx.AsyncClient(transport=transport, trust_env=False)


class _GuardedTransport(httpx.AsyncHTTPTransport):
    def __init__(self, rule: AddressRule, *, verify: ssl.SSLContext, http2: bool, keep_idle: int) -> None:
        super().__init__(verify=verify, http2=http2)
        # Names that peers give may take long to resolve; only their own lookups wait for that.
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="peer-names")
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=verify,
            http1=True,
            http2=http2,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=keep_idle,
            keepalive_expiry=5.0,
            network_backend=_GuardedBackend(rule, self._resolvers),
        )

    async def aclose(self) -> None:
        await super().aclose()
        self._resolvers.shutdown(wait=False, cancel_futures=True)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """TLS is still checked against the host's name: only the TCP connection is made by address."""

    def __init__(self, rule: AddressRule, resolvers: Executor) -> None:
        self._rule = rule
        self._resolvers = resolvers
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                found = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} was not resolved in {timeout} s") from error
        except (OSError, UnicodeError) as error:  # the latter for what is no name at all
            raise httpcore.ConnectError(str(error)) from error
        allowed = [address for address in found if self._rule.passes(address)]
        if not allowed:
            raise AddressRefused(host)
        for address in allowed[:-1]:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(str(allowed[-1]), port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _resolve(self, host: str, port: int) -> Sequence[Address]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._resolvers, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        )
        return [ip_address(str(sockaddr[0]).partition("%")[0]) for _, _, _, _, sockaddr in found]


def _embedded(address: Address) -> Address:
    """The IPv4 address that traffic to an IPv6 address ends at, where the address says so."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
