import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai.runner_line import BEAT, LoadStep, RunnerLines, step_line

pytestmark = pytest.mark.unit


def heard(*pieces: bytes) -> RunnerLines:
    lines = RunnerLines()
    for piece in pieces:
        lines.feed(piece)
    return lines


def test_lines__a_load__its_steps_then_beats():
    lines = heard(BEAT, step_line(LoadStep.PIPELINE))
    assert lines.step is LoadStep.PIPELINE
    lines.feed(step_line(LoadStep.PROOF) + BEAT * 3)
    assert (lines.step, lines.beats, lines.words) == (LoadStep.PROOF, 4, "")


def test_lines__why_it_gave_up__is_kept_also_without_an_end():
    assert heard(BEAT, b"cannot load /x: no\n", BEAT).words == "cannot load /x: no"
    lines = heard(b"cannot load /x: n")
    assert lines.words == ""
    lines.end()
    assert lines.words == "cannot load /x: n"


@given(st.integers(1, 9))
def test_lines__cut_anywhere__are_the_same(size: int):
    said = BEAT + step_line(LoadStep.PROOF) + BEAT + b"cannot\n"
    lines = heard(*(said[n : n + size] for n in range(0, len(said), size)))
    assert (lines.beats, lines.step, lines.words) == (2, LoadStep.PROOF, "cannot")


def test_lines__one_without_an_end__does_not_grow():
    lines = heard(*[b"x" * 1000] * 100)
    lines.end()
    assert len(lines.words) <= 4096
