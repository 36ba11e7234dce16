"""Addresses as go-livepeer's flags have them, in the spec's forms."""

import re
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from livefleet.spec.checksum import is_checksum_wrong

__all__ = [
    "eth_address",
    "has_key",
    "host_of",
    "is_inner_name",
    "is_listen_address",
    "is_loopback",
    "is_private",
    "listen_address",
    "port_of",
]

_PRIVATE: Final = tuple(
    map(
        ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10"),
    )
)
_LISTEN: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):[0-9]{1,5}")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{16,}")
_HEX: Final = re.compile(r"(0[xX])?([0-9a-fA-F]{40})")


def eth_address(text: str) -> tuple[str, bool] | None:
    """The address with `0x`, and whether its checksum is right; a wrong one is made small. None: no address."""
    found = _HEX.fullmatch(text)
    if found is None:
        return None
    address = f"0x{found[2]}"
    return (address.lower(), False) if is_checksum_wrong(address) else (address, True)


def listen_address(text: str, host: str, port: str) -> str:
    """`host:port` with what go-livepeer would add: `:8935`, `10.0.0.1`, `https://a:1` are understood."""
    text = re.sub(r"^https?://", "", text).rstrip("/")
    if not text or text.startswith(":"):
        return f"{host}{text or f':{port}'}"
    return text if re.search(r":[0-9]+$", text) else f"{text}:{port}"


def is_listen_address(text: str) -> bool:
    """Whether it is `host:port`."""
    return _LISTEN.fullmatch(text) is not None


def host_of(text: str) -> str:
    """The host of `host:port` or a URL, without brackets."""
    try:
        return urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""


def port_of(text: str) -> str:
    """The port; empty where none is said."""
    found = re.search(r":([0-9]{1,5})/?$", text)
    return found[1] if found else ""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether the open internet cannot reach it."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified or any(address in network for network in _PRIVATE)


def is_inner_name(host: str) -> bool:
    """Whether it is a name that only a container network or cluster knows."""
    if not host or host == "localhost" or ":" in host:
        return False
    return "." not in host or host.endswith((".svc", ".svc.cluster.local", ".docker.internal"))


def has_key(url: str) -> bool:
    """Whether a URL most likely holds what lets its bearer in: a login, a query, or a long word in its path."""
    parts = urlsplit(url)
    is_long = any(_KEY.fullmatch(word) for word in parts.path.split("/"))
    return "@" in parts.netloc or bool(parts.query) or is_long
