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
from livefleet.spec import DrainOrder, DrainOrders, load_drain, load_node, node_digest, save_drain


@click.group()
def command() -> None:
    """The stand-in."""


@command.command()
@click.argument("node", type=click.Path(path_type=Path))
def run(node: Path) -> None:
    """Answer until SIGTERM; not ready while `not-ready` is in the state folder, and not empty while `busy` is."""
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
                "drain": _drain_report(spec.paths.state),
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
@click.option("--json", "as_json", is_flag=True)
@click.option("--off", is_flag=True)
def drain(node: Path, deadline: str, reason: str, wait: bool, as_json: bool, off: bool) -> None:
    """Note the request as the agent's own command does, and that it was made.

    Taking it back hangs while a file `hangs` is in the state folder, and comes to nothing then.
    """
    state = load_node(node).paths.state
    if off:
        if (state / "hangs").exists():
            _until_away(state / "hangs")
            sys.exit(1)
        save_drain(state, DrainOrders())
        return
    save_drain(state, DrainOrders(node=DrainOrder(since=time.time(), deadline_s=float(deadline), reason=reason)))
    with (state / "drains").open("a") as file:
        file.write(f"{reason}\n")


@command.command()
@click.argument("node", type=click.Path(path_type=Path))
def reload(node: Path) -> None:
    """Ask the running one to read its settings anew, which it does when it is next asked for something."""
    (load_node(node).paths.state / "reload").touch()


def _until_away(path: Path) -> None:
    for _ in range(600):
        if not path.exists():
            return
        time.sleep(0.1)


def _drain_report(state: Path) -> dict[str, object]:
    order = load_drain(state).node
    if order is None:
        return {}
    stands = "draining" if (state / "busy").exists() else "drained"
    scope = {"state": stands, "reason": order.reason, "since": order.since, "deadline_in_s": 60}
    return {"state": stands, "scopes": [{**scope, "sessions": 1, "segments": 0}]}


def _keep_watchdog_quiet() -> None:
    while notify("WATCHDOG=1"):
        time.sleep(5)
