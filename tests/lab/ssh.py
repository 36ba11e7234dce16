"""Keys made for one lab and worth nothing outside it, and what it takes to log in with them."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.shell import Completed, run

__all__ = ["Login", "make_key"]

CONNECT_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Login:
    """One user on one host, reached from the controller namespace."""

    name: str
    address: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    through: tuple[str, ...]  # the prefix that puts a command into the controller namespace

    def command(self, *remote: str) -> list[str]:
        """The whole ssh command line; `remote` is shell text for the host, nothing means a login shell."""
        options = {
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "PasswordAuthentication": "no",
            "ConnectTimeout": CONNECT_TIMEOUT_S,
            "ServerAliveInterval": 5,
            "LogLevel": "ERROR",
        }
        flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        destination = ["-p", str(self.port), f"{self.user}@{self.address}"]
        return [*self.through, "ssh", "-F", "/dev/null", *flags, *destination, *remote]

    def run(self, script: str, *, timeout_s: float = 60, check: bool = True) -> Completed:
        """Run shell text on the host and return what it said; the remote exit code is the result's."""
        try:
            return run(self.command(script), timeout_s=timeout_s, check=check)
        except LabError as error:
            raise LabError(f"{self.user}@{self.name}: {shlex.quote(script)}: {error}") from error


def make_key(path: Path, comment: str) -> str:
    """Make an ed25519 key pair unless there is one already; return the public half."""
    if not path.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return path.with_suffix(".pub").read_text().strip()
