"""A small endpoint that speaks Loki's push API over a real socket, and can be told what to answer."""

import gzip
import http.server
import json
import threading
from contextlib import contextmanager
from typing import Any, NamedTuple


class Entry(NamedTuple):
    labels: dict[str, str]
    at_ns: int
    line: str
    metadata: dict[str, str]


class SmallLoki:
    """Keeps what it has taken, as Loki does: of two equal lines one. `answers` come first, each once."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.asked: list[int] = []
        self.tokens: set[str] = set()
        self._entries: dict[tuple[Any, ...], Entry] = {}

    @property
    def entries(self) -> list[Entry]:
        return list(self._entries.values())

    def take(self, headers: Any, body: bytes) -> tuple[int, dict[str, str]]:
        self.tokens.add(headers.get("Authorization", ""))
        status, further = self.answers.pop(0) if self.answers else (204, {})
        self.asked.append(status)
        if status == 204:
            raw = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
            for stream in json.loads(raw)["streams"]:
                for at, line, *metadata in stream["values"]:
                    assert isinstance(at, str), "nanoseconds are a string"
                    entry = Entry(stream["stream"], int(at), line, metadata[0] if metadata else {})
                    self._entries[*sorted(entry.labels.items()), at, line] = entry
        return status, further


@contextmanager
def a_loki(kept: SmallLoki, port: int = 0):
    """Serve; yields the base URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, further = (404, {}) if self.path != "/loki/api/v1/push" else kept.take(self.headers, body)
            self.send_response(status)
            for name, value in further.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
