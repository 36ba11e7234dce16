"""An operator's webhook on loopback: a real HTTP server that says what the test wants."""

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Webhook:
    """What it answers, and what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    asked: list[dict] = field(default_factory=list)
    content_types: list[str] = field(default_factory=list)
    connections: int = 0
    may_answer: threading.Event = field(default_factory=threading.Event)
    """Cleared: it takes the question and keeps silent."""

    def price(self, units: int, pixels: int) -> None:
        """Name this price from now on."""
        self.body = json.dumps({"priceInfo": {"pricePerUnit": units, "pixelsPerUnit": pixels}}).encode()


@contextmanager
def a_webhook() -> Iterator[Webhook]:
    """A webhook that welcomes everybody until told otherwise."""
    hook = Webhook()
    hook.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            hook.connections += 1
            super().setup()

        def do_POST(self):
            hook.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            hook.content_types.append(self.headers["Content-Type"])
            hook.may_answer.wait(60)
            with contextlib.suppress(ConnectionError):  # whoever asked has gone
                self.send_response(hook.status)
                self.send_header("Content-Length", str(len(hook.body)))
                self.end_headers()
                self.wfile.write(hook.body)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}/gateways?token=s3cret"
    try:
        yield hook
    finally:
        hook.may_answer.set()
        server.shutdown()
        thread.join()
        server.server_close()
