"""Takes the place of the agent's command in a copied checkout: answers the admin endpoints and nothing else."""

import json
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from livefleet import __version__
from livefleet.kernel.systemd import notify
from livefleet.spec import DrainOrder, DrainOrders, load_node, node_digest, save_drain


@click.group()
def command() -> None:
    """The stand-in."""


@command.command()
@click.argument("node", type=click.Path(path_type=Path))
def run(node: Path) -> None:
    """Answer until SIGTERM; not ready while a file `not-ready` is in the state folder."""
    spec = load_node(node)
    for secret in spec.secrets.values():
        spec.paths.resolve(secret).read_bytes()

    class Admin(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal spec
            asked = spec.paths.state / "reload"
            if asked.exists():
                spec = load_node(node)
                asked.unlink()
            ready = not (spec.paths.state / "not-ready").exists()
            condition = {
                "name": "ChainReachable",
                "status": "true" if ready else "false",
                "reason": "Answering" if ready else "NoEndpoint",
                "message": "no endpoint answers",
                "subject": "",
                "since": 0,
                "gates_ready": True,
            }
            known = {"/readyz": {"ready": ready, "blocking": [] if ready else [condition]}}
            known["/status"] = {
                "version": __version__,
                "name": spec.name,
                "role": spec.role.value,
                "digest": node_digest(spec),
                "ready": ready,
                "conditions": [condition],
            }
            body = json.dumps(known[self.path]).encode()
            self.send_response(200 if ready or self.path == "/status" else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    host, _, port = spec.monitoring.admin_listen.rpartition(":")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ThreadingHTTPServer((host, int(port)), Admin) as server:
        notify("READY=1")
        threading.Thread(target=_keep_watchdog_quiet, daemon=True).start()
        server.serve_forever()


@command.command()
@click.argument("node", type=click.Path(path_type=Path))
@click.option("--deadline")
@click.option("--reason")
@click.option("--wait", is_flag=True)
def drain(node: Path, deadline: str, reason: str, wait: bool) -> None:
    """Note the request as the agent's own command does, and that it was made."""
    state = load_node(node).paths.state
    save_drain(state, DrainOrders(node=DrainOrder(since=time.time(), deadline_s=float(deadline), reason=reason)))
    with (state / "drains").open("a") as file:
        file.write(f"{reason}\n")


@command.command()
@click.argument("node", type=click.Path(path_type=Path))
def reload(node: Path) -> None:
    """Ask the running one to read its settings anew, which it does when it is next asked for something."""
    (load_node(node).paths.state / "reload").touch()


def _keep_watchdog_quiet() -> None:
    while notify("WATCHDOG=1"):
        time.sleep(5)
