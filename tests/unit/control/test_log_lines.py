"""Agents' lines: read, put in order, made readable."""

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.control import parse_line
from livefleet.control.host.logs import tail_of_file
from livefleet.kernel.log import JsonFormatter

pytestmark = pytest.mark.unit


def written(event: str, at: float = 1_800_000_000.25, **extra: object) -> str:
    record = logging.LogRecord("livefleet.chain", logging.WARNING, "file", 1, event, None, None)
    record.created = at
    vars(record).update(extra)
    return JsonFormatter().format(record)


def test_line__as_the_agent_writes_it__is_readable() -> None:
    line = parse_line("gpu-1", 5.0, written("rpc.slow", endpoint="arb1", took_s=1.5))
    assert line.render() == "2027-01-15 08:00:00.250 warning rpc.slow endpoint=arb1 took_s=1.5"


def test_line__with_an_exception__it_follows_below() -> None:
    message = json.dumps({"ts": 0.5, "level": "error", "event": "boom", "exception": "Traceback\n  x\nValueError"})
    assert parse_line("a", 1.0, message).render().splitlines()[1:] == ["    Traceback", "      x", "    ValueError"]


def test_line__of_somebody_else__is_shown_as_it_is_and_counts_as_a_warning() -> None:
    line = parse_line("a", 0.0, "Traceback (most recent call last):")
    assert line.render() == "- -       Traceback (most recent call last):"
    assert parse_line("a", 0, written("x")).severity == line.severity


@settings(max_examples=50)
@given(
    st.text()
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)).map(json.dumps)
)
def test_line__any_text__is_never_lost(message: str) -> None:
    line = parse_line("a", 1.0, message)
    assert line.event == message or json.loads(message)["event"] == line.event
    assert line.render()


def test_line__control_characters_in_it__reach_no_terminal() -> None:
    line = parse_line("a", 1.0, json.dumps({"event": "x\x1b[2J", "manifest": "\x07\x9b31m\ty"}))
    assert line.render().endswith("x\\x1b[2J manifest=\\x07\\x9b31m\ty")


def test_tail__lines_without_a_time__go_with_the_line_before_and_since_cuts(tmp_path: Path) -> None:
    old, new = tmp_path / "agent.log.1", tmp_path / "agent.log"
    old.write_text(written("one", 100.0) + "\nplain\n")
    new.write_text(f"{written('two', 200.0)}\nTraceback\n  x\n{json.dumps({'ts': 300.5, 'event': 'supervisor'})}\n")
    files = [str(old), str(new)]
    assert [at for at, _ in tail_of_file(files, 100, None)] == [100.0, 100.0, 200.0, 200.0, 200.0, 300.5]
    assert [text for _, text in tail_of_file(files, 100, 150.0)][1:3] == ["Traceback", "  x"]
    assert len(tail_of_file(files, 2, None)) == 2
    assert tail_of_file([str(tmp_path / "none")], 2, None) == []
