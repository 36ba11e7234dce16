"""`livefleet bench`: what this machine holds."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode, OutsideWorld, SystemClock

if TYPE_CHECKING:
    from livefleet.media import Device, Profile
    from livefleet.media.live_load import SegmentTiming
    from livefleet.media.self_benchmark import BenchmarkPlan, Level, Measurement

__all__ = ["command"]

DEFAULT_LADDER = "P240p30fps16x9,P360p30fps16x9,P720p30fps16x9"
_BUSY = 0.1  # of the cores
COLUMNS = "timestamp,session,segment,seg_dur,transcode_time,frames"


@click.group()
def command() -> None:
    """Measure this machine."""


@command.command()
@click.option("--ladder", metavar="NAMES", help=f"Standard names by comma.  [default: {DEFAULT_LADDER}]")
@click.option("--profile", "profiles", multiple=True, help="Standard name or 640x360@30:800k; repeatable.")
@click.option("--device", default="all", show_default=True, help="`cpu`, a GPU's UUID, or all (GPUs, else the CPU).")
@click.option("--seconds", type=click.FloatRange(2), default=10.0, show_default=True, help="Media a session and try.")
@click.option("--budget", "budget_s", type=float, default=240.0, show_default=True, help="Seconds a device, at most.")
@click.option("--segment", "segment_s", type=click.FloatRange(0.5), default=2.0, show_default=True, help="Its seconds.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Media to send in a circle.")
@click.option("--source", default="1920x1080", show_default=True, metavar="WxH", help="Generated media without --file.")
@click.option("--down-mbit", type=float, help="What the network brings in; counts against the limit.")
@click.option("--up-mbit", type=float, help="What the network takes out; counts against the limit.")
@click.option("--write", "state", metavar="NODE_STATE", type=click.Path(file_okay=False, path_type=Path),
              help="Keep the limits in this node's state folder (/var/lib/livefleet).")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def transcode(
    ctx: click.Context,
    ladder: str | None,
    profiles: tuple[str, ...],
    device: str,
    seconds: float,
    budget_s: float,
    segment_s: float,
    file: Path | None,
    source: str,
    down_mbit: float | None,
    up_mbit: float | None,
    state: Path | None,
    *,
    as_json: bool,
) -> None:
    """Find how many real-time sessions each device holds.

    Sessions send at their own pace; a number holds when 95 % of its segments are answered within 0.8 of their duration
    and none fails. Run it while the machine is idle. Exit code 1 when a device does not hold even one session.
    """
    from livefleet.media.self_benchmark import BenchmarkPlan

    wanted = (ladder or ("" if profiles else DEFAULT_LADDER)).split(",")
    plan = BenchmarkPlan(
        profiles=_profiles([*filter(None, wanted), *profiles]),
        seconds=seconds,
        budget_s=budget_s,
        in_bit_per_s=None if down_mbit is None else down_mbit * 1e6,
        out_bit_per_s=None if up_mbit is None else up_mbit * 1e6,
    )
    found = asyncio.run(_measure(plan, device, file, _size(source), segment_s, state))
    if as_json:
        print_json([_document(measurement) for measurement in found])
    else:
        for measurement in found:
            _print(measurement)
    ctx.exit(ExitCode.DONE if all(m.record.limit for m in found) else ExitCode.PARTLY_FAILED)


async def _measure(
    plan: "BenchmarkPlan", wanted: str, file: Path | None, size: tuple[int, int], segment_s: float, state: Path | None
) -> "list[Measurement]":
    from livefleet.hardware import read_snapshot
    from livefleet.media import TranscodeError
    from livefleet.media.benchmark import load_benchmark, save_benchmark
    from livefleet.media.self_benchmark import live_media, measure_device

    clock = SystemClock()
    snapshot = read_snapshot(clock.now())
    devices = _devices(wanted, [gpu.uuid for gpu in snapshot.gpus if gpu.uuid and gpu.fault is None])
    known = None if state is None else load_benchmark(state)  # before minutes are spent on what cannot be kept
    found: list[Measurement] = []
    with tempfile.TemporaryDirectory(dir=_scratch()) as scratch:
        folder = Path(scratch)
        try:
            name, media = live_media(folder, file=file, width=size[0], height=size[1], segment_s=segment_s)
        except TranscodeError as error:
            raise BadInput(f"{file}: {error}") from error
        for device in devices:
            say = _progress(device.id)
            try:
                measured = await measure_device(
                    device,
                    plan,
                    media,
                    source=name,
                    driver_version=None if device.id == "cpu" else snapshot.driver_version,
                    run_dir=folder / "media",
                    clock=clock,
                    on_level=say,
                )
            except OutsideWorld as error:
                if len(devices) == 1:
                    raise
                sys.stderr.write(f"{error}\n")  # a GPU without encoder among others
                continue
            if measured.record.cores_of_others > _BUSY * measured.record.cores:
                sys.stderr.write(f"{device.id}: the machine was not idle, so the limit is too low; measure again\n")
            found.append(measured)
            if known is not None and state is not None:
                known = known.with_device(measured.record)
                save_benchmark(state, known)
    if not found:
        raise OutsideWorld("no device has a working encoder")
    return found


def _profiles(names: Sequence[str]) -> "tuple[Profile, ...]":
    from livefleet.media.ladder import parse_profile

    return tuple(parse_profile(name.strip()) for name in names)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise BadInput(f"{text!r} is no size; write 1920x1080")
    return int(width), int(height)


def _devices(wanted: str, gpus: Sequence[str]) -> "list[Device]":
    from livefleet.media import CPU, Device, DeviceKind

    if wanted == "cpu" or (wanted == "all" and not gpus):
        return [CPU]
    if wanted != "all" and wanted not in gpus:
        raise BadInput(f"no GPU {wanted!r} here; there are: {', '.join(gpus) or 'none'}")
    return [Device(uuid, DeviceKind.NVIDIA) for uuid in (gpus if wanted == "all" else [wanted])]


def _scratch() -> str | None:
    """Memory rather than a disk, where there is a place for it."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- a private folder is made within


def _progress(device: str) -> "Any":
    def say(level: "Level") -> None:
        verdict = "hold" if level.held else "do not hold"
        why = f" ({', '.join(level.errors)})" if level.errors else ""
        done = f"{len(level.timings)} of {level.planned} segments"
        sys.stderr.write(f"{device}: {level.sessions} sessions {verdict}: {done}, ratio {level.ratio:.2f}{why}\n")

    return say


def _row(timing: "SegmentTiming") -> str:
    at = datetime.fromtimestamp(timing.at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-2]
    return f"{at},{timing.session},{timing.segment},{timing.duration_s:.4g},{timing.took_s:.4g},{timing.frames}"


def _summary(measurement: "Measurement") -> dict[str, str]:
    level, record = measurement.best or measurement.levels[0], measurement.record
    done = [timing for timing in level.timings if not timing.error]
    in_time = sum(timing.took_s <= timing.duration_s for timing in done)
    media_s = sum(timing.duration_s for timing in done)
    work_s = sum(timing.took_s for timing in done)
    return {
        "Device": record.device,
        "Source File": record.source,
        "Transcoding Options": ",".join(profile.name for profile in record.profiles),
        "Concurrent Sessions": str(level.sessions),
        "Total Segs Transcoded": str(len(done)),
        "Real-Time Segs Transcoded": str(in_time),
        "* Real-Time Segs Ratio *": f"{in_time / len(done):.4g}" if done else "-",
        "Total Source Duration": f"{media_s:.4g}s",
        "Total Transcoding Duration": f"{work_s:.4g}s",
        "* Real-Time Duration Ratio *": f"{work_s / media_s:.4g}" if done else "-",
        "Duration Ratio, 95th percentile": f"{level.ratio:.4g}",
        "Cores used by other programs": f"{record.cores_of_others:.2f} of {record.cores:g}",
        "Network in, a session": f"{record.in_bit_per_s / 1e6:.2f} Mbit/s",
        "Network out, a session": f"{record.out_bit_per_s / 1e6:.2f} Mbit/s",
        "Limit of the device": f"{record.hardware_limit}{'' if record.is_complete else ' or more: time was up'}",
        "Limit with the network": str(record.limit),
    }


def _print(measurement: "Measurement") -> None:
    level = measurement.best or measurement.levels[0]
    print(COLUMNS)
    for timing in sorted(level.timings, key=lambda timing: timing.at):
        print(_row(timing))
    table = Table(show_header=False, box=None)
    for name, value in _summary(measurement).items():
        table.add_row(name, value)
    console().print(table)


def _document(measurement: "Measurement") -> dict[str, Any]:
    return {
        "record": asdict(measurement.record),
        "summary": _summary(measurement),
        "levels": [
            {
                "sessions": level.sessions,
                "held": level.held,
                "segments": len(level.timings),
                "planned": level.planned,
                "duration_ratio_p95": None if level.ratio == float("inf") else level.ratio,
                "errors": level.errors,
            }
            for level in measurement.levels
        ],
        "segments": [_row(timing) for timing in (measurement.best or measurement.levels[0]).timings],
    }
