"""The process that recovers the signers of large payments' tickets: run as a file, by `recovery` only.

Its stdin is a Unix socket to the agent. It is told hashes and signatures, never a secret, and ends with the agent.
It imports next to nothing, so that it starts in a tenth of a second and keeps 20 MB.
"""

import ctypes
import importlib.util
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import livefleet

Recover = Callable[[bytes, bytes], bytes | None]

COUNT_BYTES = 4
HASH_BYTES, SIGNATURE_BYTES, SIGNER_BYTES = 32, 65, 20
READY = b"\x01"
NOBODY = bytes(SIGNER_BYTES)
"""In place of a signer where the signature breaks a rule."""

_PR_SET_PDEATHSIG = 1
_OOM_SCORE = "500"


def main(agent: int) -> None:
    """Serve the agent with that process id until it closes the socket."""
    _settle(agent)
    recover = _recover_address()
    with socket.socket(fileno=os.dup(0)) as connection:
        connection.sendall(READY)
        while (head := _read(connection, COUNT_BYTES)) is not None:
            size = HASH_BYTES + SIGNATURE_BYTES
            body = _read(connection, int.from_bytes(head, "big") * size)
            if body is None:
                return
            connection.sendall(answer(recover, body))


def answer(recover: Recover, body: bytes) -> bytes:
    """The signers, one after another, of (hash, signature) pairs one after another."""
    size = HASH_BYTES + SIGNATURE_BYTES
    return b"".join(
        recover(body[at : at + HASH_BYTES], body[at + HASH_BYTES : at + size]) or NOBODY
        for at in range(0, len(body), size)
    )


def _recover_address() -> Recover:
    """The one of `livefleet.chain`, without the rest of that package: web3 takes a second and 60 MB."""
    path = Path(livefleet.__path__[0]) / "chain" / "signature.py"
    spec = importlib.util.spec_from_file_location("livefleet_signature", path)
    assert spec is not None  # a .py file has a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    recover: Recover = module.recover_address
    return recover


def _read(connection: socket.socket, size: int) -> bytes | None:
    """Exactly so much, or None where the agent has gone."""
    parts = bytearray()
    while len(parts) < size:
        try:
            part = connection.recv(size - len(parts))
        except ConnectionError:
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)


def _settle(agent: int) -> None:
    """Take the place of a child that may be lost at any time and must not outlive its agent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # stopping is the agent's business, also when a terminal or
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # systemd signals the whole group
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != agent:  # gone before the line above
        os._exit(0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


if __name__ == "__main__":
    main(int(sys.argv[1]))
