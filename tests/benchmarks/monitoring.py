"""What monitoring costs a node, and what a fleet costs its monitor: `python -m tests.benchmarks.monitoring`.

A busy node's page (500 gateways, 50 streams) by its door over HTTP: time and size. Then 200 such nodes, each with
numbers of its own that grow at every scrape, read by Debian's Prometheus with the interval that monitors have: its
memory, CPU time, series, and how late its scrapes come.
"""

import asyncio
import http.server
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

from livefleet.health.bearer import TokenFile
from livefleet.health.scrape_door import FRESH_S, ScrapeDoor
from livefleet.kernel import SystemClock
from tests.benchmarks.scrape import a_busy_node
from tests.builders.monitored import a_free_port, a_prometheus, wait_for, write_files

NODES = int(os.environ.get("NODES", "200"))
EVERY_S = 15
FOR_S = 6 * EVERY_S
TARGET_MS, TARGET_BYTES, TARGET_LATE_S = 50.0, 300_000, 1.0
SCRAPES = 15
_GROWS = re.compile(rb"^(\S+) (\d+)(?:\.0)?$", re.MULTILINE)


async def a_door(folder: Path) -> tuple[bytes, float, float]:
    """The page of a busy node, and the milliseconds of a scrape, at the median: of CPU, and by the clock.

    Both ends are in this process: the CPU time has the client's part in it.
    """
    (folder / "token").write_text("token")
    used, took, page = [], [], b""
    async with (
        a_busy_node(folder) as registry_of,
        ScrapeDoor("127.0.0.1:0", registry_of(False), SystemClock(), token=TokenFile(folder / "token")) as door,  # noqa: FBT003
        httpx.AsyncClient(headers={"Authorization": "Bearer token"}) as client,
    ):
        for _ in range(SCRAPES):
            started, cpu = time.perf_counter(), time.process_time()
            page = (await client.get(f"http://{door.address}/metrics")).content
            used.append((time.process_time() - cpu) * 1000)
            took.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(FRESH_S)  # or it would be the same page again
    return page, statistics.median(used), statistics.median(took)


class Replay:
    """The page of each of many nodes; whole numbers grow with every scrape, as counters do."""

    def __init__(self, page: bytes) -> None:
        self._pieces = _GROWS.split(page)  # text, name, number, text, ...
        self._asked = 0

    def page(self, node: int) -> bytes:
        self._asked += 1
        grown = list(self._pieces)
        for at in range(2, len(grown), 3):
            grown[at - 1] += b" "
            grown[at] = b"%d" % (int(grown[at]) + node + self._asked)
        return b"".join(grown)


def served(replay: Replay) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = replay.page(int(self.path.rpartition("/")[2]))
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", a_free_port()), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def a_fleet(folder: Path, page: bytes) -> float:
    """Prints what one Prometheus takes; the lateness of its scrapes in seconds."""
    server = served(Replay(page))
    address = f"127.0.0.1:{server.server_address[1]}"
    targets = "".join(
        f"    - targets: ['{address}']\n"
        f"      labels: {{job: livefleet, node: n{node}, fleet: f, role: orchestrator, __metrics_path__: /m/{node}}}\n"
        for node in range(NODES)
    )
    port = a_free_port()
    text = (
        f"global: {{scrape_interval: {EVERY_S}s, scrape_timeout: 7s}}\nscrape_configs:\n"
        f"  - job_name: livefleet\n    static_configs:\n{targets}"
        f"  - job_name: prometheus\n    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
    )
    write_files(folder, {"prometheus.yml": text})
    with a_prometheus(folder, port=port) as prometheus:
        assert prometheus.process is not None
        process = Path("/proc") / str(prometheus.process.pid)
        wait_for(lambda: len(prometheus.query('up{job="livefleet"}')) == NODES, "every node asked once", 4 * EVERY_S)
        before, started = _cpu_s(process), time.monotonic()
        time.sleep(FOR_S)
        cpu = (_cpu_s(process) - before) / (time.monotonic() - started)
        (down,) = prometheus.query('count(up{job="livefleet"} == 0) or vector(0)')
        (series,) = prometheus.query("prometheus_tsdb_head_series")
        late = max(
            float(row["value"]) - EVERY_S
            for row in prometheus.query('prometheus_target_interval_length_seconds{quantile="0.99"}')
        )
        (slow,) = prometheus.query('quantile(0.99, scrape_duration_seconds{job="livefleet"})')
        rss = int(re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())[1]) / 1024
        print(
            f"{NODES} nodes every {EVERY_S} s for {FOR_S} s: {series['value']} series, {rss:.0f} MiB,"
            f" {cpu:.0%} of a core, 99 % of scrapes within {float(slow['value']) * 1000:.0f} ms and at most"
            f" {late:.2f} s late, {down['value']} nodes down"
        )
        failed = float(down["value"]) > 0
    server.shutdown()
    server.server_close()
    return late if not failed else float("inf")


def _cpu_s(process: Path) -> float:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        page, used_ms, took_ms = asyncio.run(a_door(folder))
        print(
            f"a busy node's page by its door: {len(page)} B of at most {TARGET_BYTES}, {used_ms:.1f} ms of CPU of at"
            f" most {TARGET_MS:g} ms, {took_ms:.1f} ms by the clock"
        )
        late_s = a_fleet(folder / "prometheus", page)
        print(f"{late_s:.2f} s late of at most {TARGET_LATE_S:g} s")
    return int(used_ms > TARGET_MS or len(page) > TARGET_BYTES or late_s > TARGET_LATE_S)


if __name__ == "__main__":
    sys.exit(main())
