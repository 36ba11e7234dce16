"""Our own nginx: its configuration, and its life as a child process.

It is never the system's service: own configuration, own run folder, foreground, no privileges asked for.
"""

import asyncio
import contextlib
import logging
import os
import pwd
import re
import resource
import shutil
import signal
from collections import deque
from pathlib import Path

from livefleet.wire.errors import FrontDoorClosed, NginxMissing

__all__ = ["OLDEST", "Nginx", "end_stale", "find_nginx", "nginx_version", "render"]

log = logging.getLogger(__name__)

OLDEST = (1, 20, 0)
_CONNECTIONS = 8192
_REQUESTS_OF_ADDRESS = 1024  # at once; each takes two connections, so no address can take all
_STREAMS = 256  # of one HTTP/2 connection; Go's own servers take 250
_OPEN_TIMEOUT_S = 15.0
_STAMP = re.compile(r"^\S+ \S+ \[\w+\] \d+#\d+: ")  # time, severity, process


def find_nginx(path: str | None = None) -> str:
    """The program, on `path` (colon separated) or where the system has it. Raises NginxMissing."""
    where = path if path is not None else f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("nginx", path=where)
    if found is None:
        raise NginxMissing
    return found


async def nginx_version(program: str) -> tuple[int, int, int]:
    """As `nginx -v` tells it; (0, 0, 0) where it tells something else."""
    process = await asyncio.create_subprocess_exec(program, "-v", stderr=asyncio.subprocess.PIPE)
    _, text = await process.communicate()
    match = re.search(rb"nginx/(\d+)\.(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)


def render(
    *,
    listen: str,
    certificate: Path,
    run_dir: Path,
    grpc_socket: Path,
    http_socket: Path,
    drain_s: float,
    version: tuple[int, int, int],
) -> str:
    """The configuration.

    Measured to be correct for gRPC, HTTP/2 and HTTP/1.1 on one port: no buffering either way, timeouts of a year for
    worker streams that stay silent (a lost peer is seen by TCP keepalive), connections not closed by count or age.
    `certificate` holds the key as well; it is named by a variable, so that it is read anew at each handshake.
    Bodies are counted by the application, in the protocol's order and words.
    """
    http2_here, http2_on = (" http2", "") if version < (1, 25, 1) else ("", "    http2 on;\n")
    user = f"user {pwd.getpwuid(os.getuid()).pw_name};\n" if os.geteuid() == 0 else ""
    files = min(4 * _CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    temporary = "\n".join(
        f"  {kind}_temp_path {_quoted(run_dir / f'nginx-{kind}')};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
# Written by livefleet at every start.
{user}daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
worker_shutdown_timeout {max(1, round(drain_s))}s;
pid {_quoted(run_dir / "nginx.pid")};
error_log stderr warn;

events {{
  worker_connections {_CONNECTIONS};
}}

http {{
  access_log off;
  server_tokens off;
{temporary}
  client_body_buffer_size 128k;
  client_max_body_size 0;
  client_header_timeout 15s;
  large_client_header_buffers 4 128k;
  reset_timedout_connection on;
  limit_conn_zone $binary_remote_addr zone=addresses:10m;
  limit_conn addresses {_REQUESTS_OF_ADDRESS};
  limit_conn_log_level info;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  keepalive_time 365d;
  http2_max_concurrent_streams {_STREAMS};
  http2_recv_buffer_size 1m;
  http2_body_preread_size 256k;
  http2_chunk_size 32k;

  map "" $certificate {{
    default {_quoted(certificate)};
  }}
  upstream grpc {{
    server {_quoted(f"unix:{grpc_socket}")};
    keepalive 64;
    keepalive_requests 1000000000;
    keepalive_time 365d;
  }}
  upstream http {{
    server {_quoted(f"unix:{http_socket}")};
    keepalive 64;
    keepalive_requests 1000000000;
    keepalive_time 365d;
  }}

  server {{
    listen {listen} ssl{http2_here} so_keepalive=30s:10s:3;
{http2_on}    ssl_certificate $certificate;
    ssl_certificate_key $certificate;
    ssl_protocols TLSv1.2 TLSv1.3;

    location ^~ /net. {{
      {_GRPC}
      grpc_read_timeout 365d;
      grpc_send_timeout 365d;
    }}
    location ^~ /net.Orchestrator/ {{
      {_GRPC}
      grpc_read_timeout 60s; # gRPC never answers a call whose message broke off
    }}
    location / {{
      {_HTTP}
    }}
  }}
}}
"""


def _quoted(path: Path | str) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_GRPC = """\
if ($http_content_type !~ "^application/grpc") {
        return 404;
      }
      grpc_pass grpc://grpc;
      grpc_set_header X-Forwarded-For $remote_addr;
      grpc_socket_keepalive on;"""

_HTTP = """\
proxy_pass http://http;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_read_timeout 3600s;
      proxy_send_timeout 3600s;
      client_body_timeout 3600s;"""


class Nginx:
    """One nginx process, from its start to its end."""

    def __init__(self, *, program: str, listen: str, config: Path, run_dir: Path) -> None:
        self._program = program
        self._listen = listen
        self._config = config
        self._run_dir = run_dir
        self._process: asyncio.subprocess.Process | None = None
        self._words: deque[str] = deque(maxlen=20)
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the master process."""
        return None if self._process is None else self._process.pid

    async def start(self, group: asyncio.TaskGroup) -> None:
        """Start it and wait until it accepts connections. Raises FrontDoorClosed with nginx's own reason."""
        await end_stale(self._run_dir / "nginx.pid", self._config)
        self._words.clear()
        # A pipe of our own: asyncio's wait() would also wait for workers that outlive their master to close theirs.
        read_end, write_end = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._program,
                *("-p", str(self._run_dir), "-e", "stderr", "-c", str(self._config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=write_end,
                start_new_session=True,  # a terminal's Ctrl-C is the agent's to handle
            )
        except OSError as error:
            os.close(read_end)
            raise FrontDoorClosed(self._listen, f"cannot start {self._program}: {error.strerror}") from error
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._reader = group.create_task(self._read_words(read_end), name="nginx-stderr")
        opened = False
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                await self._until_open(self._process)
            opened = True
        except TimeoutError as error:
            raise FrontDoorClosed(self._listen, f"not open after {_OPEN_TIMEOUT_S:.0f} s") from error
        finally:
            if not opened:
                await self.stop(0)
        if self._process.returncode is not None:
            raise FrontDoorClosed(self._listen, self.last_words())

    async def wait(self) -> int:
        """Until it ends; its exit status. A master that was killed takes its workers along."""
        assert self._process is not None
        status = await self._process.wait()
        _signal_all(_group(self._process.pid), signal.SIGKILL)
        return status

    async def stop(self, drain_s: float) -> None:
        """Close the port at once, let requests under way finish for `drain_s`, then end it."""
        process = self._process
        if process is None:
            return
        for how, patience_s in ((signal.SIGQUIT, drain_s), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
            if process.returncode is not None:
                break
            if patience_s <= 0:
                continue
            process.send_signal(how)
            try:
                async with asyncio.timeout(patience_s):
                    await process.wait()
            except TimeoutError:
                log.warning("nginx.slow_to_stop", extra={"signal": how.name, "waited_s": patience_s})
        _signal_all(_group(process.pid), signal.SIGKILL)
        if self._reader is not None:
            await asyncio.wait({self._reader})  # its pipe has no writer any more

    def last_words(self) -> str:
        """Why it ended, as far as it said: the first grave line, since later ones only say that it gives up."""
        grave = [line for line in self._words if "[emerg]" in line or "[alert]" in line]
        line = grave[0] if grave else (list(self._words) or [f"nginx ended with status {self._status()}"])[-1]
        return _STAMP.sub("", line)

    def _status(self) -> int | None:
        return None if self._process is None else self._process.returncode

    async def _until_open(self, process: asyncio.subprocess.Process) -> None:
        """Until it accepts or has ended."""
        while process.returncode is None and not await self._accepts():  # noqa: ASYNC110 -- no event tells of a port
            await asyncio.sleep(0.02)
        if process.returncode is not None and self._reader is not None:
            await self._reader

    async def _accepts(self) -> bool:
        """Whether somebody listens on the port. While ours runs that is ours, for a foreign one ends ours at once."""
        host, _, port = self._listen.rpartition(":")
        host = {"0.0.0.0": "127.0.0.1", "[::]": "::1", "": "127.0.0.1"}.get(host, host.strip("[]"))  # noqa: S104
        if not (self._run_dir / "nginx.pid").exists():
            return False
        try:
            _reader, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return False
        writer.close()
        return True

    async def _read_words(self, read_end: int) -> None:
        """Until the last process that may write is gone."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
        )
        try:
            async for raw in reader:
                line = raw.decode(errors="replace").rstrip()
                self._words.append(line)
                serious = "[emerg]" in line or "[alert]" in line
                log.log(logging.WARNING if serious else logging.INFO, "nginx", extra={"line": line})
        finally:
            transport.close()


async def end_stale(pid_file: Path, config: Path, *, patience_s: float = 5.0) -> None:
    """End an nginx of ours that outlived a killed agent and still holds the port."""
    pid = _read_pid(pid_file)
    if pid is None or not _is_ours(pid, config):
        return
    log.warning("nginx.left_over", extra={"pid": pid})
    _signal_all(_group(pid), signal.SIGTERM)
    try:
        async with asyncio.timeout(patience_s):
            while _group(pid):  # noqa: ASYNC110 -- another process's end makes no event here
                await asyncio.sleep(0.05)
    except TimeoutError:
        _signal_all(_group(pid), signal.SIGKILL)


def _read_pid(pid_file: Path) -> int | None:
    """The process that the file names; the file is removed."""
    try:
        return int(pid_file.read_text())
    except (OSError, ValueError):
        return None
    finally:
        pid_file.unlink(missing_ok=True)


def _is_ours(pid: int, config: Path) -> bool:
    """Whether a master has our configuration (its title holds its command line), or is gone and left workers behind."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    return str(config).encode() in command


def _group(leader: int) -> list[int]:
    """The nginx processes of a master's group. Workers outlive a master that is killed, and keep its port."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            head, _, tail = (entry / "stat").read_text().rpartition(")")
        except OSError:
            continue
        state, _parent, group = tail.split()[:3]
        if head.endswith("(nginx") and int(group) == leader and state != "Z":
            found.append(int(entry.name))
    return found


def _signal_all(pids: list[int], how: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
