"""`livefleet gateway ai`: ask an orchestrator's models for something."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from livefleet.cli.gateway_options import payer_of, paying_options
from livefleet.cli.output import console, print_json
from livefleet.kernel import BadInput, ExitCode

__all__ = ["ai"]


@click.command("ai")
@click.argument("pipeline")
@paying_options
@click.option("--model", "model_id", required=True, help="Model id as the orchestrator advertises it.")
@click.option("--prompt", help="The words to work on; an llm's question, the text to speak.")
@click.option("--image", "--audio", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Input.")
@click.option(
    "--field", "fields", multiple=True, metavar="NAME=VALUE", help="Any other field; JSON or text. Repeatable."
)
@click.option("--stream", is_flag=True, help="Have an llm's answer in chunks.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Folder for what comes back."
)
@click.option("--timeout", "timeout_s", default=300.0, show_default=True, type=click.FloatRange(min=1), help="Seconds.")
@click.pass_context
def ai(
    ctx: click.Context,
    pipeline: str,
    orchestrator: str,
    key_file: Path | None,
    password_file: Path | None,
    as_json: bool,
    model_id: str,
    prompt: str | None,
    file: Path | None,
    fields: tuple[str, ...],
    stream: bool,
    out: Path,
    timeout_s: float,
) -> None:
    """One request to any AI PIPELINE (text-to-image, llm, audio-to-text, ...), and a look at what comes back."""
    from livefleet.wire.channel import parse_endpoint
    from livefleet.wire.gateway import ask

    request = _request(pipeline, model_id, prompt, file, fields, stream=stream)
    payer = payer_of(key_file, password_file)
    report = asyncio.run(ask(parse_endpoint(orchestrator), payer, request, timeout_s=timeout_s))
    files = _keep_media(report, out)
    if as_json:
        print_json(_as_json(report, files))
    else:
        _print(report, files)
    ctx.exit(ExitCode.PARTLY_FAILED if report.problems else ExitCode.DONE)


def _request(
    pipeline: str, model_id: str, prompt: str | None, file: Path | None, fields: tuple[str, ...], *, stream: bool
) -> Any:
    from livefleet.wire.gateway import AiRequest

    named: dict[str, Any] = {}
    for text in fields:
        name, is_pair, value = text.partition("=")
        if not name or not is_pair:
            raise BadInput(f"--field {text!r}: write NAME=VALUE")
        try:
            named[name] = json.loads(value)
        except ValueError:
            named[name] = value
    form = AiRequest(pipeline, model_id).form
    if bool(form.upload) != (file is not None):
        wants = f"needs a file: --{form.upload} FILE" if form.upload else "takes no file"
        raise BadInput(f"{pipeline} {wants}")
    if prompt is not None and pipeline == "llm":
        named.setdefault("messages", [{"role": "user", "content": prompt}])
    elif prompt is not None:
        named.setdefault(form.text, prompt)
    if stream:
        if pipeline != "llm":
            raise BadInput(f"{pipeline} does not answer in chunks; --stream is for llm")
        named["stream"] = True
    return AiRequest(pipeline, model_id, named, b"" if file is None else file.read_bytes())


def _keep_media(report: Any, out: Path) -> list[str]:
    """Write what came back; the names are ours, whatever the orchestrator calls its files."""
    endings = {"image/png": ".png", "video/mp4": ".mp4", "audio/wav": ".wav"}
    files = []
    for number, media in enumerate(report.media):
        out.mkdir(parents=True, exist_ok=True)
        name = f"{report.pipeline}-{report.model_id.replace('/', '_')}-{number}"
        target = out / f"{name}{endings.get(media.content_type, '.bin')}"
        target.write_bytes(media.data)
        files.append(str(target))
    return files


def _as_json(report: Any, files: list[str]) -> dict[str, Any]:
    return {
        "ok": not report.problems,
        "orchestrator": report.orchestrator,
        "pipeline": report.pipeline,
        "model_id": report.model_id,
        "price": str(report.price or 0),
        "units": report.units,
        "tickets": report.tickets,
        "round_trip_s": round(report.round_trip_s, 4),
        "first_byte_s": round(report.first_byte_s, 4),
        "text": report.text,
        "chunks": len(report.chunks),
        "answer": report.answer,
        "files": [
            {
                "path": path, "content_type": m.content_type, "width": m.width, "height": m.height,
                "frames": m.frames, "seconds": round(m.seconds, 3), "bytes": len(m.data),
            }
            for path, m in zip(files, report.media, strict=True)
        ],
        "problems": report.problems,
    }  # fmt: skip


def _print(report: Any, files: list[str]) -> None:
    if report.text:
        console().print(report.text, markup=False)
    if files:
        table = Table("file", "type", "size", "frames", "seconds", "bytes", box=None)
        for name, m in zip(files, report.media, strict=True):
            size = f"{m.width}x{m.height}" if m.width else ""
            table.add_row(
                name, m.content_type or "unknown", size, str(m.frames or ""), f"{m.seconds:.2f}" if m.seconds else "",
                f"{len(m.data):,}",
            )  # fmt: skip
        console().print(table)
    console().print(
        f"orchestrator {report.orchestrator}  price {report.price or 0} wei/unit  {report.units:,} unit(s)  "
        f"{report.tickets} ticket(s)  {report.round_trip_s:.2f} s, first byte after {report.first_byte_s:.2f} s"
    )
    for problem in report.problems:
        console(stderr=True).print(problem, markup=False)
