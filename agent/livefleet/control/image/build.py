"""Has an image made by the deploys, in a process of its own, and passes on what it tells."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from livefleet.control.apply import find_checkout
from livefleet.kernel import BadInput, ExitCode, LivefleetError, OutsideWorld
from livefleet.spec import ImageFormat

__all__ = ["BuildStage", "ImageRequest", "build_image"]

_STOP_GRACE_S: Final = 30


@dataclass(frozen=True, slots=True)
class BuildStage:
    """Something that takes a while has begun."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What image is to be made. `first_boot` is the file's path; nothing in a request is a secret."""

    profiles: tuple[str, ...]  # the later wins
    first_boot: Path
    out: Path
    format: ImageFormat
    fleet: Path | None = None
    suite: str = "bookworm"
    apt_sources: tuple[str, ...] = ()
    snapshot: str | None = None
    duties: tuple[str, ...] = ()
    authorized_keys: tuple[str, ...] = ()
    epoch: int | None = None
    size_mib: int | None = None
    kernel: str | None = None
    packages: tuple[str, ...] = ()
    consoles: tuple[str, ...] = ()


def build_image(request: ImageRequest, *, on_stage: Callable[[BuildStage], None], checkout: Path | None = None) -> Path:
    """Make it; returns its manifest's path.

    Raises BadInput where it cannot be made as asked, before anything is; OutsideWorld where a package source, a
    package's script or a tool fails; LivefleetError where the run itself broke.
    """
    folder = checkout or find_checkout(Path.cwd())
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploys.image", *_arguments(request)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            events = [event for line in process.stdout if (event := _heard(line, on_stage)) is not None]
            code = process.wait()
        finally:
            _end(process)
        log.seek(0)
        printed = log.read().strip()[-3000:]
    return _result(events[-1] if events else {}, code, printed)


def _heard(line: str, on_stage: Callable[[BuildStage], None]) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return None  # something that a tool printed
    if event.get("event") == "stage":
        on_stage(BuildStage(str(event["stage"]), str(event["text"])))
        return None
    return event


def _result(event: dict[str, Any], code: int, printed: str) -> Path:
    match event.get("event"):
        case "done" if code == ExitCode.DONE:
            return Path(event["manifest"])
        case "bad_input":
            raise BadInput(event["reason"])
        case "failed" if code == ExitCode.OUTSIDE_SAID_NO:
            raise OutsideWorld(event["reason"])
        case "failed":
            raise LivefleetError(event["reason"])
        case _:
            raise LivefleetError(f"making the image ended with status {code}:\n{printed}")


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _arguments(request: ImageRequest) -> Iterator[str]:
    yield from ("--format", str(request.format), "--suite", request.suite)
    yield from ("--first-boot", str(request.first_boot.absolute()), "--out", str(request.out.absolute()))
    single = {
        "--fleet": None if request.fleet is None else str(request.fleet.absolute()),
        "--snapshot": request.snapshot,
        "--epoch": None if request.epoch is None else str(request.epoch),
        "--size": None if request.size_mib is None else str(request.size_mib),
        "--kernel": request.kernel,
    }
    for option, value in single.items():
        if value is not None:
            yield from (option, value)
    for option, values in (
        ("--profile", request.profiles),
        ("--apt-source", request.apt_sources),
        ("--duty", request.duties),
        ("--authorized-key", request.authorized_keys),
        ("--package", request.packages),
        ("--console", request.consoles),
    ):
        for value in values:
            yield f"{option}={value}"
