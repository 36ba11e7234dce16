"""`livefleet gateway`: be a paying gateway for a moment."""

import asyncio
import secrets
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from livefleet.cli.gateway_ai import ai
from livefleet.cli.gateway_options import payer_of, paying_options
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode

__all__ = ["command"]

DEFAULT_PROFILES = ("P144p30fps16x9", "P240p30fps16x9", "P360p30fps16x9")


@click.group()
def command() -> None:
    """Discover an orchestrator, pay it with real tickets, and check what comes back.

    On-chain, --key-file names the file of an account with deposit and reserve in the TicketBroker (a V3 keystore with
    --password-file, or 64 hex digits). Without it the gateway speaks off-chain: nothing is signed or paid.
    """


command.add_command(ai)


@command.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@paying_options
@click.option("--profile", "profiles", multiple=True, help="Standard name or 640x360@30:800k; repeatable.")
@click.option("--sample", type=float, default=20.0, show_default=True, help="Seconds of generated clip without FILE.")
@click.option("--segment", "segment_s", type=float, default=2.0, show_default=True, help="Seconds a segment.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Keep the renditions here.")
@click.option("--realtime", is_flag=True, help="Send at the stream's own pace.")
@click.option("--extra-nodes", default=0, type=click.IntRange(min=0), help="Use so many of the nodes it names as well.")
@click.pass_context
def transcode(
    ctx: click.Context,
    file: Path | None,
    orchestrator: str,
    key_file: Path | None,
    password_file: Path | None,
    as_json: bool,
    profiles: tuple[str, ...],
    sample: float,
    segment_s: float,
    out: Path | None,
    realtime: bool,
    extra_nodes: int,
) -> None:
    """Stream FILE (or a generated clip) and check every rendition."""
    report = asyncio.run(
        _transcode(
            file, orchestrator, key_file, password_file, profiles or DEFAULT_PROFILES, sample, segment_s, out,
            realtime=realtime, progress=not as_json, extra_nodes=extra_nodes,
        )
    )  # fmt: skip
    if as_json:
        print_json(_as_json(report))
    else:
        _print_stream(report)
    ctx.exit(ExitCode.DONE if report.ok else ExitCode.PARTLY_FAILED)


@command.command("text-to-image")
@paying_options
@click.option("--model", "model_id", required=True, help="Model id as the orchestrator advertises it.")
@click.option("--prompt", required=True)
@click.option("--width", default=512, show_default=True, type=int)
@click.option("--height", default=512, show_default=True, type=int)
@click.option("--steps", default=None, type=int, help="num_inference_steps.")
@click.option("--seed", default=None, type=int)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Folder for the PNG.")
def image(
    orchestrator: str,
    key_file: Path | None,
    password_file: Path | None,
    as_json: bool,
    model_id: str,
    prompt: str,
    width: int,
    height: int,
    steps: int | None,
    seed: int | None,
    out: Path,
) -> None:
    """Make one image."""
    from livefleet.wire.channel import parse_endpoint
    from livefleet.wire.gateway import text_to_image

    request: dict[str, Any] = {"model_id": model_id, "prompt": prompt, "width": width, "height": height}
    request |= {k: v for k, v in {"num_inference_steps": steps, "seed": seed}.items() if v is not None}
    payer = payer_of(key_file, password_file)
    report = asyncio.run(text_to_image(parse_endpoint(orchestrator), payer, request))
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for seed_used, png in zip(report.seeds, report.images, strict=True):
        target = out / f"{model_id.replace('/', '_')}-{seed_used}.png"
        target.write_bytes(png)
        files.append(str(target))
    if as_json:
        print_json(
            {
                "orchestrator": report.orchestrator, "model_id": model_id, "price": str(report.price or 0),
                "tickets": report.tickets, "round_trip_s": report.round_trip_s, "files": files, "seeds": report.seeds,
            }
        )  # fmt: skip
        return
    table = Table("image", "size", "seed", "tickets", "price wei/px", "seconds", box=None)
    for name, size, seed_used in zip(files, report.sizes, report.seeds, strict=True):
        table.add_row(
            name, f"{size[0]}x{size[1]}", str(seed_used), str(report.tickets), str(report.price or 0),
            f"{report.round_trip_s:.2f}",
        )  # fmt: skip
    console().print(table)


async def _transcode(
    file: Path | None,
    orchestrator: str,
    key_file: Path | None,
    password_file: Path | None,
    profiles: tuple[str, ...],
    sample_s: float,
    segment_s: float,
    out: Path | None,
    *,
    realtime: bool,
    progress: bool,
    extra_nodes: int,
) -> Any:
    from livefleet.media import Profile
    from livefleet.media.inspection import inspect
    from livefleet.media.ladder import parse_profile
    from livefleet.media.sample import make_clip
    from livefleet.media.segmenter import split
    from livefleet.wire.channel import parse_endpoint
    from livefleet.wire.gateway import StreamClient

    wanted = [parse_profile(text) for text in profiles]
    endpoint = parse_endpoint(orchestrator)
    payer = payer_of(key_file, password_file)
    with tempfile.TemporaryDirectory(prefix="livefleet-gateway-") as folder:
        if file is None:
            file = Path(folder) / "sample.ts"
            await asyncio.to_thread(make_clip, file, seconds=sample_s)
        segments = await asyncio.to_thread(split, file, seconds=segment_s)
        if not segments:
            raise BadInput(f"{file}: no video segment in it")
        source = await asyncio.to_thread(inspect, segments[0].data)

    def keep(sequence: int, profile: Profile, data: bytes) -> None:
        assert out is not None
        target = out / profile.name / f"{sequence}.{'mp4' if profile.container.value == 'mp4' else 'ts'}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    outcomes = []
    async with StreamClient(
        endpoint, payer, wanted, manifest_id=secrets.token_hex(4), keep=keep if out else None, extra_nodes=extra_nodes
    ) as stream:
        async for outcome in stream.run(segments, source=source, realtime=realtime):
            outcomes.append(outcome)
            if progress:
                _print_progress(outcome, len(segments))
        return stream.report(outcomes)


def _print_progress(outcome: Any, total: int) -> None:
    if isinstance(outcome, tuple):
        console(stderr=True).print(f"segment {outcome[0]}: lost: {outcome[1]}")
        return
    verdict = "; ".join(outcome.problems) or "ok"
    console(stderr=True).print(
        f"segment {outcome.sequence + 1}/{total}: {outcome.round_trip_s:.2f} s, {outcome.tickets} ticket(s), {verdict}"
    )


def _print_stream(report: Any) -> None:
    table = Table("rendition", "size", "segments", "frames", "pixels", "sound", "bytes", box=None)
    names = [r.profile for r in report.segments[0].renditions] if report.segments else []
    for position, name in enumerate(names):
        found = [s.renditions[position] for s in report.segments if position < len(s.renditions)]
        table.add_row(
            name, f"{found[0].width}x{found[0].height}", str(len(found)), str(sum(r.frames for r in found)),
            f"{sum(r.pixels for r in found):,}", "yes" if all(r.has_audio for r in found) else "no",
            f"{sum(r.size for r in found):,}",
        )  # fmt: skip
    console().print(table)
    spent = report.spending
    console().print(
        f"orchestrator {report.orchestrator}  recipient {report.recipient or 'off-chain'}  "
        f"price {report.price or 0} wei/pixel\n"
        f"{len(report.segments)} segment(s) in {sum(s.round_trip_s for s in report.segments):.1f} s, "
        f"{report.retries} retried, {len(report.failures)} lost; {spent.tickets} ticket(s) sent, "
        f"expected value {float(spent.expected_value):.0f} wei, fees {float(spent.fees):.0f} wei"
    )
    for segment in report.segments:
        for problem in segment.problems:
            console(stderr=True).print(f"segment {segment.sequence}: {problem}")
    for failure in report.failures:
        console(stderr=True).print(failure)


def _as_json(report: Any) -> dict[str, Any]:
    spent = report.spending
    return {
        "ok": report.ok,
        "orchestrator": report.orchestrator,
        "recipient": report.recipient,
        "price": str(report.price or 0),
        "retries": report.retries,
        "failures": report.failures,
        "spending": {
            "tickets": spent.tickets,
            "expected_value_wei": str(spent.expected_value),
            "face_value_wei": spent.face_value,
            "fees_wei": str(spent.fees),
        },
        "segments": [
            {
                "sequence": s.sequence,
                "source_duration_s": s.source_duration_s,
                "round_trip_s": round(s.round_trip_s, 4),
                "download_s": round(s.download_s, 4),
                "tickets": s.tickets,
                "pixels": s.pixels,
                "fee_wei": str(s.fee),
                "signature_ok": s.signature_ok,
                "problems": s.problems,
                "renditions": [{name: getattr(r, name) for name in r.__dataclass_fields__} for r in s.renditions],
            }
            for s in report.segments
        ],
    }
