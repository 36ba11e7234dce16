"""A model hub on loopback that speaks the hub's API: listings, redirects of large files, ranges; and its bad days."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "1" * 40
OTHER_COMMIT = "2" * 40
LARGE = 1000  # bytes from which a file lies at the CDN, as with LFS


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Asked:
    """A request as it came."""

    path: str
    range: str | None
    authorization: str | None


@dataclass
class FakeHub:
    """Repositories by id and commit. Faults are switched on by setting them."""

    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    refs: dict[tuple[str, str], str] = field(default_factory=dict)
    token: str | None = None  # wanted, where it is set
    cut_after: int | None = None  # bytes, then the connection is closed
    cuts: int = 1_000_000  # how often
    stall_after: int | None = None  # bytes, then silence until `release`
    wrong: set[str] = field(default_factory=set)  # paths whose content is not what was announced
    statuses: list[int] = field(default_factory=list)  # answers to the next requests
    no_ranges: bool = False
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0  # bytes of files
    release: threading.Event = field(default_factory=threading.Event)
    stalled: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def add(self, repository: str, files: dict[str, bytes], *, commit: str = COMMIT, ref: str = "main") -> None:
        self.repositories.setdefault(repository, {})[commit] = files
        self.refs[repository, ref] = commit

    def files_asked(self) -> list[str]:
        return [asked.path for asked in self.asked if "/resolve/" in asked.path]

    def listing(self, repository: str, revision: str) -> dict[str, object] | None:
        commit = self.refs.get((repository, revision), revision)
        files = self.repositories.get(repository, {}).get(commit)
        if files is None:
            return None
        siblings = []
        for path, data in files.items():
            sibling: dict[str, object] = {"rfilename": path, "size": len(data), "blobId": git_sha1(data)}
            if len(data) >= LARGE:
                sibling |= {
                    "blobId": "a" * 40, "lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
                }  # fmt: skip
            siblings.append(sibling)
        return {"id": repository, "sha": commit, "private": False, "siblings": siblings}


@contextmanager
def a_hub() -> Iterator[FakeHub]:
    """Runs until the block ends."""
    hub = FakeHub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.asked.append(Asked(path, self.headers["Range"], self.headers["Authorization"]))
        if hub.statuses and (status := hub.statuses.pop(0)) != 200:
            self._text(status, "no")
        elif path.startswith("/cdn/"):
            _, _, rest = path.partition("/cdn/")
            self._file(rest)
        elif hub.token is not None and self.headers["Authorization"] != f"Bearer {hub.token}":
            self._text(401, "", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted"})
        elif path.startswith("/api/models/"):
            repository, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            listing = hub.listing(repository, revision)
            if listing is None:
                self._text(404, "", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
            else:
                self._text(200, json.dumps(listing), {"Content-Type": "application/json"})
        else:
            self._file(path.lstrip("/"), redirects=True)

    def _file(self, path: str, *, redirects: bool = False) -> None:
        repository, _, rest = path.partition("/resolve/")
        commit, _, name = rest.partition("/")
        data = self.hub.repositories.get(repository, {}).get(commit, {}).get(name)
        if data is None:
            self._text(404, "", {"X-Error-Code": "EntryNotFound"})
            return
        if redirects and len(data) >= LARGE:
            host = self.hub.url.replace("127.0.0.1", "localhost")  # another origin: the token must not go there
            self._text(302, "", {"Location": f"{host}/cdn/{path}", "X-Linked-Size": str(len(data))})
            return
        if name in self.hub.wrong:
            data = bytes(byte ^ 1 for byte in data)
        start = 0
        if self.headers["Range"] and not self.hub.no_ranges:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                self._text(416, "")
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self._send(data[start:])

    def _send(self, data: bytes) -> None:
        hub = self.hub
        for limit, stalls in ((hub.cut_after, False), (hub.stall_after, True)):
            if limit is None or len(data) <= limit or (not stalls and hub.cuts <= 0):
                continue
            self._write(data[:limit])
            if stalls:
                hub.stalled.set()
                hub.release.wait(60)
            hub.cuts -= 1
            self.close_connection = True
            return
        self._write(data)

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        self.hub.sent += len(data)

    def _text(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
