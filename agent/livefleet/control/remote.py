"""Asking a host's admin endpoint where it listens, and running commands: on the host itself."""

import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from fabric import Connection
from invoke.exceptions import CommandTimedOut
from paramiko import AuthenticationException, BadHostKeyException, RejectPolicy, SSHClient, SSHException

from livefleet.kernel import BadInput, ExitCode, OutsideWorld
from livefleet.spec import HostSettings, NodeSpec

__all__ = ["as_user", "ask_local", "ask_over_ssh", "connected", "not_runnable", "program_on", "run_on_host"]

_TIMEOUT_S = 10.0
_ASK = "import sys,urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"


def ask_local(listen: str, path: str) -> str:
    """The admin endpoint's answer on this machine. Raises OutsideWorld."""
    url = _url(listen, path)
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as reply:  # noqa: S310 -- the scheme is ours, http
            body: bytes = reply.read()
    except (URLError, OSError) as error:
        raise OutsideWorld(f"no answer on {url}: {getattr(error, 'reason', error)}") from error
    return body.decode()


def ask_over_ssh(settings: HostSettings, listen: str, path: str) -> str:
    """The same on a host, by the Python that is there anyway. Raises OutsideWorld saying what failed."""
    url = _url(listen, path)
    done = _run_over_ssh(settings, ["python3", "-c", _ASK, url], timeout_s=_TIMEOUT_S * 2)
    if done.code:
        raise OutsideWorld(f"no answer on {url} of {settings.name}: {done.last_words}")
    return done.output


def run_on_host(settings: HostSettings, command: Sequence[str], *, timeout_s: float) -> str:
    """What a command prints on the host, run as `apply` would run it.

    Raises BadInput where it says so by its exit code 2, OutsideWorld where the host or the command fails.
    """
    words = as_user(settings, command)
    done = _run_here(words, timeout_s) if settings.is_local else _run_over_ssh(settings, words, timeout_s=timeout_s)
    if done.code == ExitCode.BAD_INPUT:
        raise BadInput(f"{settings.name}: {done.last_words}")
    if done.code:
        raise OutsideWorld(f"{settings.name}: {Path(command[0]).name} ended with {done.code}: {done.last_words}")
    return done.output


def program_on(node: NodeSpec) -> str:
    """Path of the installed command on the node's host."""
    return f"{node.root.rstrip('/')}/opt/livefleet/current/venv/bin/livefleet"


def as_user(settings: HostSettings, command: Sequence[str]) -> list[str]:
    """The command as `apply` would run it: by sudo where that is declared."""
    return ["sudo", "-n", *command] if settings.ssh.sudo else list(command)


def not_runnable(program: str, error: OSError) -> OutsideWorld:
    """Why a program did not even start."""
    return OutsideWorld(f"cannot run {program}: {error.strerror}; has `apply` been run?")


@contextmanager
def connected(settings: HostSettings) -> Iterator[Connection]:
    """An open connection to the host. What goes wrong with it, then or later, is an OutsideWorld: what to do."""
    try:
        with _connection(settings) as connection:
            connection.open()
            yield connection
    except AuthenticationException as error:
        key = settings.ssh.key or "the ssh agent's or default keys"
        raise OutsideWorld(f"{settings.name} refused user {settings.ssh.user or 'of this shell'} with {key}") from error
    except BadHostKeyException as error:
        raise OutsideWorld(f"the host key of {settings.name} changed; if that is expected, `ssh-keygen -R`") from error
    except (SSHException, OSError, EOFError) as error:
        raise OutsideWorld(
            f"cannot reach {settings.name} at {settings.address}:{settings.ssh.port}: {error}"
        ) from error


@dataclass(frozen=True, slots=True)
class _Done:
    code: int
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        return (self.errors.strip().splitlines() or ["it says nothing"])[-1]


def _run_here(words: Sequence[str], timeout_s: float) -> _Done:
    try:
        done = subprocess.run(
            list(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except OSError as error:
        raise not_runnable(words[0], error) from error
    except subprocess.TimeoutExpired as error:
        raise OutsideWorld(f"{words[0]} did not end within {timeout_s:g} s") from error
    return _Done(done.returncode, done.stdout, done.stderr)


def _run_over_ssh(settings: HostSettings, words: Sequence[str], *, timeout_s: float) -> _Done:
    try:
        with connected(settings) as connection:
            result = connection.run(shlex.join(words), hide=True, in_stream=False, timeout=int(timeout_s), warn=True)
    except CommandTimedOut as error:
        raise OutsideWorld(f"no answer from {settings.name} within {timeout_s:g} s") from error
    return _Done(result.exited, result.stdout, result.stderr)


def _connection(settings: HostSettings) -> Connection:
    ssh = settings.ssh
    options: dict[str, object] = {"banner_timeout": ssh.connect_timeout_s, "auth_timeout": ssh.connect_timeout_s}
    if ssh.key:
        options |= {"key_filename": ssh.key, "look_for_keys": False, "allow_agent": False}
    connection = Connection(
        host=settings.address,
        user=ssh.user,
        port=ssh.port,
        gateway=Connection(ssh.jump) if ssh.jump else None,
        connect_timeout=ssh.connect_timeout_s,
        connect_kwargs=options,
    )
    _trust_known_hosts(connection.client, ssh.known_hosts)
    return connection


def _trust_known_hosts(client: SSHClient, known_hosts: str | None) -> None:
    """Only keys that are known, as `apply` noted them; fabric would accept any."""
    client.set_missing_host_key_policy(RejectPolicy())
    path = Path(known_hosts or "~/.ssh/known_hosts").expanduser()
    if path.exists():
        client.load_host_keys(str(path))


def _url(listen: str, path: str) -> str:
    host, _, port = listen.rpartition(":")
    here = "127.0.0.1" if host in ("", "0.0.0.0", "*") else "[::1]" if host == "[::]" else host  # noqa: S104 -- read, not bound
    return f"http://{here}:{port}{path}"
