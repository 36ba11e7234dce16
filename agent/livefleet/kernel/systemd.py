"""The service manager's notification socket (sd_notify), where there is one."""

import logging
import os
import socket
from collections.abc import Mapping

__all__ = ["notify", "watchdog_interval_s"]

log = logging.getLogger(__name__)


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send `READY=1`, `STOPPING=1`, `WATCHDOG=1` or `STATUS=...`; False where no service manager hears it.

    Never an error: a service manager that is busy or gone is no reason to stop serving. Never blocks.
    """
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.connect(address)
            sock.sendall(state.encode())
        except OSError as error:
            log.warning("systemd.not_notified", extra={"state": state, "error": str(error)})
            return False
    return True


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Half of the unit's WatchdogSec in seconds, or None where no watchdog is set."""
    usec = environ.get("WATCHDOG_USEC")
    return None if not usec else int(usec) / 2_000_000
