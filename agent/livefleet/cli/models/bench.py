"""`livefleet models bench`: how long a model takes to load and to work here, and how much memory."""

import json
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from livefleet.ai import Placement, RunnerSettings, SourceMissing, runner_environment, settings_of
from livefleet.cli.models.declared import NODE, Declared, declared_models
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode, LivefleetError

__all__ = ["command"]

_PATIENCE_S = 1800.0  # for all of one model
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is measured of each."""

    jobs: int
    fields: dict[str, str]


@click.command("bench")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@NODE
@click.option("--jobs", type=click.IntRange(1, 1000), default=10, show_default=True, help="Jobs that are timed.")
@click.option("--field", "fields", multiple=True, metavar="NAME=VALUE", help="A field of the request; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context, models: tuple[str, ...], node: Path, *, jobs: int, fields: tuple[str, ...], as_json: bool
) -> None:
    """Load MODELs (all that the node loads unless some are named), one after the other, and time a small job.

    Each is loaded once more, beside the agent's own: its memory has to be free, so drain a busy node first. Nothing is
    fetched; `livefleet models pull` does that. A unit is what gateways pay for. Exit code 1: some could not be
    measured; 2: wrong input; 3: none could.
    """
    declared = declared_models(node, models)
    asked = _Asked(jobs, dict(_parted(field) for field in fields))
    results = [_measured(declared, placement, asked) for placement in declared.placed]
    if not results:
        raise BadInput(f"{node}: no model that this host loads")
    failed = [result for result in results if result["error"] is not None]
    if as_json:
        print_json({"ok": not failed, "jobs": jobs, "models": results})
    else:
        _print(results)
    if failed:
        ctx.exit(ExitCode.OUTSIDE_SAID_NO if len(failed) == len(results) else ExitCode.PARTLY_FAILED)


def _parted(field: str) -> tuple[str, str]:
    name, equals, value = field.partition("=")
    if not (name and equals):
        raise BadInput(f"--field {field}: NAME=VALUE is meant, as in num_inference_steps=20")
    return name, value


class _NotMeasured(LivefleetError):
    """Why a model could not be measured."""


def _measured(declared: Declared, placement: Placement, asked: _Asked) -> dict[str, Any]:
    entry = placement.entry
    result: dict[str, Any] = {
        "model": entry.model_id,
        "pipeline": entry.pipeline.value,
        "device": placement.device,
        "dtype": placement.dtype,
        "unit": entry.pipeline.unit,
        "error": None,
    }
    try:
        with console(stderr=True).status(f"{entry.model_id}: loading", spinner="line") as line:
            steps = []
            for step in _steps(_settings(declared, placement), asked):
                steps.append(step)
                line.update(f"{entry.model_id}: {len(steps)} of {asked.jobs} jobs")
    except (_NotMeasured, SourceMissing) as error:
        return result | {"error": str(error)}
    seconds = sorted(step["job_s"] for step in steps if "job_s" in step)
    units, median_s = steps[-1]["units"], statistics.median(seconds)
    return result | {
        "load_s": steps[0]["load_s"],
        "loaded_bytes": steps[0]["loaded"],
        "peak_bytes": steps[-1]["peak"],
        "units": units,
        "min_s": seconds[0],
        "median_s": median_s,
        "max_s": seconds[-1],
        "units_per_s": units / median_s,
    }


def _settings(declared: Declared, placement: Placement) -> RunnerSettings:
    source = declared.weights.local(placement.entry, placement.dtype)
    if source is None:
        raise _NotMeasured(f"its files are not here; livefleet models pull {placement.entry.model_id}")
    return settings_of(
        placement,
        source,
        request_timeout_s=_PATIENCE_S,
        cpu_threads=os.cpu_count() or 1,
        socket=Path(os.devnull),  # nothing listens
    )


def _steps(settings: RunnerSettings, asked: _Asked) -> Iterator[dict[str, Any]]:
    """What the measuring process tells, the last step included. Raises _NotMeasured."""
    last: dict[str, Any] = {}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "livefleet.ai.measure"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=runner_environment(settings, os.environ, offline=True),
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        ends = threading.Timer(_PATIENCE_S, process.kill)
        ends.start()
        try:
            document = {"settings": json.loads(settings.model_dump_json()), "jobs": asked.jobs, "fields": asked.fields}
            process.stdin.write(json.dumps(document) + "\n")
            process.stdin.close()
            for words in process.stdout:
                last = json.loads(words)
                if "error" in last:
                    raise _NotMeasured(last["error"])
                yield last
        finally:
            ends.cancel()
            process.kill()
    if "peak" not in last:
        raise _NotMeasured(f"the measuring process ended by itself, with exit code {process.returncode}")


def _print(results: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in (
        "MODEL",
        "PIPELINE",
        "DEVICE",
        "TYPE",
        "LOAD s",
        "LOADED MiB",
        "PEAK MiB",
        "MEDIAN s",
        "MAX s",
        "UNITS/s",
    ):
        table.add_column(name, no_wrap=True, justify="right" if name[-1] in "sB" else "left")
    for row in results:
        head = (row["model"], row["pipeline"], row["device"], row["dtype"])
        if row["error"] is not None:
            table.add_row(*head, row["error"])
            continue
        figures = (
            f"{row['load_s']:.1f}", f"{row['loaded_bytes'] / _MIB:.0f}", f"{row['peak_bytes'] / _MIB:.0f}",
            f"{row['median_s']:.3f}", f"{row['max_s']:.3f}", f"{row['units_per_s']:,.0f}",
        )  # fmt: skip
        table.add_row(*head, *figures)
    console().print(table)
