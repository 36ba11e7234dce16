"""From bare hosts to verified agents, and again: `python -m tests.benchmarks.apply_hosts [--hosts 1 --hosts 20]`.

Real ssh hosts with systemd (tests/lab), all on this machine: the first apply of many is bound by its cores, for each
host installs and compiles the agent for itself. The second run must execute no changing command; what a host of many
costs there over one host alone is the target's ratio. Wants root and some 300 MB of memory a host.
"""

import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import click

from livefleet.control import ApplyOptions, Event, Summary, apply
from tests.lab.lab import Lab

CHECKOUT = Path(__file__).parents[2]
MUST, AIM = 0.5, 0.2

FLEET = """\
name: bench
network: offchain
defaults:
  profile: cpu
  ssh: {{user: root, key: {key}, known_hosts: {known_hosts}, connect_timeout_s: 15}}
  role: orchestrator
  duties: [transcoding]
hosts:
"""
HOST = '  {name}: {{address: {address}, orchestrator: {{service_uri: "https://{address}:8935"}}}}\n'


class Timing:
    """When each step of each host began and ended."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self._steps: dict[tuple[str, str], float] = {}
        self.took: dict[str, list[float]] = defaultdict(list)

    def __call__(self, event: Event) -> None:
        now = time.perf_counter()
        match event.event:
            case "step":
                self._steps[event.host, event.step] = now
            case "done" | "failed":
                started = self._steps.pop((event.host, event.step), None)
                if started is not None:
                    self.took[event.step].append(now - started)
            case "planned":
                self.took["connect, facts and plan"].append(now - self.began)
            case _:
                pass


def timed(fleet: Path) -> tuple[float, Timing, Summary]:
    """One apply to all hosts of the fleet."""
    timing = Timing()
    summary = apply(fleet, ApplyOptions(parallel=20), on_event=timing, checkout=CHECKOUT)
    return time.perf_counter() - timing.began, timing, summary


def inside(fleet: Path) -> dict[str, object]:
    """Within the lab's network: the first apply and two more."""
    first, steps, summary = timed(fleet)
    if summary.exit_code:
        raise SystemExit(f"the first apply failed: {summary}")
    again, changed = [], 0
    for _ in range(2):
        taken, _, summary = timed(fleet)
        again.append(taken)
        changed += sum(len(host.changes) for host in summary.hosts)
    return {
        "first": first,
        "steps": {k: max(v) for k, v in steps.took.items()},
        "again": min(again),
        "changed": changed,
    }


def measure(count: int, folder: Path) -> dict[str, object]:
    """A fresh lab of `count` hosts, gone afterwards."""
    names = [f"n{number}" for number in range(1, count + 1)]
    with Lab.create(*names) as lab:
        text = FLEET.format(key=lab.key, known_hosts=lab.known_hosts)
        text += "".join(HOST.format(name=name, address=lab.hosts[name].address) for name in names)
        fleet = folder / f"fleet-{count}.yaml"
        fleet.write_text(text)
        done = lab.run(
            [sys.executable, "-m", "tests.benchmarks.apply_hosts", "--inside", str(fleet)],
            timeout_s=3600, check=False, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, cwd=CHECKOUT,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(done.stderr[-3000:])
        return json.loads(done.stdout.splitlines()[-1])


@click.command()
@click.option("--hosts", type=click.IntRange(1, 50), multiple=True, default=(1, 5, 20), show_default=True)
@click.option("--inside", "fleet", type=click.Path(path_type=Path), hidden=True)
def main(hosts: tuple[int, ...], fleet: Path | None) -> None:
    """Print the table."""
    if fleet is not None:
        print(json.dumps(inside(fleet)))
        return
    load = os.getloadavg()[0]
    print(f"load before: {load:.1f}; cores: {os.cpu_count()}")
    rows: dict[int, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in hosts:
            rows[count] = row = measure(count, Path(folder))
            print(
                f"{count:3} hosts: first apply {row['first']:6.1f} s ({row['first'] / count:5.1f} a host),"
                f" no-change apply {row['again']:5.1f} s ({row['again'] / count:5.2f} a host),"
                f" {row['changed']} changes in it",
                flush=True,
            )
            slowest = sorted(row["steps"].items(), key=lambda item: -item[1])
            print(
                "     slowest host by step: " + ", ".join(f"{step} {took:.1f} s" for step, took in slowest), flush=True
            )
    if len(rows) > 1:
        few, many = min(rows), max(rows)
        ratio = (rows[many]["again"] / many) / (rows[few]["again"] / few)
        print(f"no-change apply, a host of {many} over a host of {few}: {ratio:.2f} (must {MUST}, aim {AIM})")


if __name__ == "__main__":
    main()
