"""Asking a host's admin endpoint where it listens: on the host itself."""

import shlex
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from fabric import Connection
from invoke.exceptions import CommandTimedOut, UnexpectedExit
from paramiko import AuthenticationException, BadHostKeyException, RejectPolicy, SSHClient, SSHException

from livefleet.kernel import OutsideWorld
from livefleet.spec import HostSettings

__all__ = ["ask_local", "ask_over_ssh"]

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
    command = shlex.join(["python3", "-c", _ASK, _url(listen, path)])
    try:
        with _connection(settings) as connection:
            result = connection.run(command, hide=True, in_stream=False, timeout=int(_TIMEOUT_S * 2))
    except AuthenticationException as error:
        key = settings.ssh.key or "the ssh agent's or default keys"
        raise OutsideWorld(f"{settings.name} refused user {settings.ssh.user or 'of this shell'} with {key}") from error
    except BadHostKeyException as error:
        raise OutsideWorld(f"the host key of {settings.name} changed; if that is expected, `ssh-keygen -R`") from error
    except UnexpectedExit as error:
        last = (error.result.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise OutsideWorld(f"no answer on {_url(listen, path)} of {settings.name}: {last}") from error
    except CommandTimedOut as error:
        raise OutsideWorld(f"no answer on {_url(listen, path)} of {settings.name} in time") from error
    except (SSHException, OSError, EOFError) as error:
        raise OutsideWorld(
            f"cannot reach {settings.name} at {settings.address}:{settings.ssh.port}: {error}"
        ) from error
    text: str = result.stdout
    return text


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
