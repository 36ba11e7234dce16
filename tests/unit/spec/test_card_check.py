"""Declared cards against what else is declared: refused where it cannot work, warned of where it disappoints."""

from pathlib import Path

import pytest

from livefleet.spec import Problem, card_warnings
from tests.builders.spec import HEAD, a_fleet, problems

pytestmark = pytest.mark.unit

WORKER = "role: worker, worker: {orchestrator: 'o.example.com:8935', secret: pool}"
SDXL = "models: [{pipeline: text-to-image, model_id: some/sdxl%s}]"


def a_host(*more: str) -> str:
    return f"{HEAD}hosts:\n  a: {{address: x, {', '.join([WORKER, *more])}}}\n"


def told(folder: Path, *more: str) -> list[str]:
    return [problem.split(": ", 1)[1] for problem in problems(folder, a_host(*more))]


def warned(folder: Path, *more: str) -> list[Problem]:
    fleet = a_fleet(folder, a_host(*more))
    return list(card_warnings(fleet.node("a"), fleet.origins("a")))


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (("cards: [rtx-306]",), "no card `rtx-306` is known (a); did you mean `rtx-3060`?"),
        (("cards: [gtx-1080]", "duties: [ai]", SDXL % ""), "`some/sdxl` makes pictures, and GeForce GTX 1080 is a"),
        (
            ("cards: [gtx-1080, gtx-1660]", "duties: [ai]", "models: [{pipeline: upscale, model_id: u}]"),
            "GeForce GTX 1080 or GeForce GTX 1660 is a card for video",
        ),
        (("cards: [h100]", "duties: [transcoding]"), "H100 has no encoder (NVENC) (a); take the duty away, or set"),
        (
            ("cards: [gtx-1060]", "driver: {branch: 595}"),
            "branch 595 does not drive GeForce GTX 1060 any more (a); 580 is the last that does",
        ),
        (
            ("cards: [gtx-1060]", "driver: {version: 595.10.01}"),
            "branch 595 does not drive GeForce GTX 1060 any more (a); 580 is the last that does",
        ),
        (
            ("cards: [rtx-5090]", "driver: {branch: 550}"),
            "branch 550 does not drive GeForce RTX 5090 yet (a); 570 is the first that does",
        ),
        (
            ("cards: [titan-v]", "driver: {flavour: open}"),
            "the open kernel modules do not drive TITAN V (a); write proprietary",
        ),
        (
            ("cards: [t4]", "driver: {families: [ada]}"),
            "Tesla T4 is turing, and the driver is declared for ada (a); add `turing`, or take `families` away",
        ),
    ],
)
def test_validate__cannot_work_on_the_declared_card__is_refused(
    tmp_path: Path, declared: tuple[str, ...], words: str
) -> None:
    assert any(words in problem for problem in told(tmp_path, *declared)), told(tmp_path, *declared)


def test_validate__refusal__stands_where_the_mistake_is(tmp_path: Path) -> None:
    text = f"{HEAD}hosts:\n  a: {{address: x, profile: old, {WORKER},\n    driver: {{branch: 595}}}}\n"
    (problem,) = problems(tmp_path, text, old="cards: [gtx-1060]\n")
    assert problem.startswith("fleet.yaml:6:22: branch 595")


@pytest.mark.parametrize(
    "declared",
    [
        ("cards: [gtx-1080]", "duties: [transcoding]"),
        ("cards: [gtx-1080]", "duties: [ai]", SDXL % ", device: cpu"),
        ("cards: [gtx-1080]", "duties: [ai]", SDXL % ", url: 'http://127.0.0.1:9000'"),
        ("cards: [gtx-1080]", "duties: [ai]", "models: [{pipeline: audio-to-text, model_id: whisper}]"),
        ("cards: [gtx-1080, rtx-3060]", "duties: [ai]", SDXL % ""),
        ("cards: [rtx-2060]", "duties: [ai]", SDXL % ""),
        ("duties: [ai]", SDXL % ""),
        ("cards: [h100]", "duties: {transcoding: {encoder: software}}"),
        ("cards: [h100]", "gpus: none", "duties: [transcoding]"),
        ("cards: [h100, l4]", "duties: [transcoding]"),
        ("cards: [gtx-1060]", "driver: {branch: 595, install: false}"),
        ("cards: []", "driver: {branch: 595}"),
        ("cards: [rtx-3060]", "driver: {branch: 620}"),
        ("cards: [rtx-5090]", "driver: {branch: 570}"),
        ("cards: [gtx-1060]", "driver: {branch: 580}"),
    ],
)
def test_validate__may_work__is_left_alone(tmp_path: Path, declared: tuple[str, ...]) -> None:
    assert a_fleet(tmp_path, a_host(*declared)).hosts == ("a",)


def test_warnings__more_streams_than_the_driver_gives_sessions__are_told_with_both_numbers(tmp_path: Path) -> None:
    (problem,) = warned(tmp_path, "cards: [rtx-3060]", "duties: {transcoding: {max_sessions: 3}}")
    assert "3 streams of 3 renditions want 9 encoder sessions" in problem.message
    assert "the driver gives 8 to all GeForce RTX 3060 of a host together, or 12 by newer documents" in problem.message
    assert (problem.line, problem.path) == (5, "duties.transcoding.max_sessions")


@pytest.mark.parametrize(
    "declared",
    [
        ("cards: [rtx-3060]", "duties: {transcoding: {max_sessions: 2}}"),
        ("cards: [rtx-3060]", "duties: {transcoding: {max_sessions: auto}}"),
        ("cards: [rtx-3060]", "duties: {transcoding: {max_sessions: 9, encoder: software}}"),
        ("cards: [rtx-3060]", "gpus: none", "duties: {transcoding: {max_sessions: 9}}"),
        ("cards: [l4]", "duties: {transcoding: {max_sessions: 9}}"),
        ("cards: [titan-v]", "duties: {transcoding: {max_sessions: 9}}"),  # unknown whether it is counted
        ("duties: {transcoding: {max_sessions: 9}}",),
    ],
)
def test_warnings__sessions_that_there_are__are_none(tmp_path: Path, declared: tuple[str, ...]) -> None:
    assert warned(tmp_path, *declared) == []


def test_warnings__model_larger_than_every_variant__is_told(tmp_path: Path) -> None:
    (problem,) = warned(tmp_path, "cards: [rtx-3060]", "duties: [ai]", SDXL % ", memory: 13 GiB")
    assert problem.message == "`some/sdxl` is declared to need 13.0 GiB, and GeForce RTX 3060 has 12 GiB"
    assert warned(tmp_path, "cards: [rtx-3060]", "duties: [ai]", SDXL % ", memory: 11 GiB") == []
