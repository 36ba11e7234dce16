"""Lines that wait on the disk: in order, whole, within the bound, over a restart."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livefleet.health.log_spool import LogSpool, SpooledLine

pytestmark = pytest.mark.unit

MIB = 1 << 20


def a_line(number: int, size: int = 20) -> SpooledLine:
    return SpooledLine(number, "info", f"{number} ".ljust(size, "x"))


def drained(spool: LogSpool) -> list[SpooledLine]:
    found = []
    for _ in range(10_000):
        if (next_up := spool.oldest()) is None:
            return found
        found += next_up[1]
        spool.done(next_up[0])
    raise AssertionError("no end")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=st.lists(st.text(max_size=40), max_size=20))
def test_lines__any_text__come_out_as_they_went_in(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    spool = LogSpool(tmp_path_factory.mktemp("spool"), MIB)
    lines = [SpooledLine(at, "info", text) for at, text in enumerate(texts)]
    for line in lines:
        spool.add(line)
    assert drained(spool) == lines
    assert spool.waiting_bytes == 0


def test_restart__what_waited__is_there_again(tmp_path: Path) -> None:
    before = LogSpool(tmp_path, MIB)
    for number in range(5):
        before.add(a_line(number))
    after = LogSpool(tmp_path, MIB)
    after.add(a_line(5))
    assert [line.at_ns for line in drained(after)] == [0, 1, 2, 3, 4, 5]


def test_full__the_oldest_go_and_are_counted(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, MIB)
    for number in range(3000):
        spool.add(a_line(number, 1000))
    assert spool.waiting_bytes <= MIB
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= MIB
    left = [line.at_ns for line in drained(spool)]
    assert spool.dropped > 0
    assert left == list(range(spool.dropped, 3000))


def test_taken_while_it_was_shipped__what_went_meanwhile__is_not_counted_twice(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, MIB)
    spool.add(a_line(0))
    shipping = spool.oldest()
    assert shipping is not None
    for number in range(1, 3000):
        spool.add(a_line(number, 1000))
    spool.done(shipping[0])
    assert spool.waiting_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_line_of_a_megabyte__is_cut(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, MIB)
    spool.add(SpooledLine(1, "info", "x" * MIB))
    (line,) = drained(spool)
    assert len(line.text) < 70_000


def test_line_that_the_machine_cut_off__is_left_out(tmp_path: Path) -> None:
    LogSpool(tmp_path, MIB).add(a_line(1))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b'[2, "in')
    assert [line.at_ns for line in drained(LogSpool(tmp_path, MIB))] == [1]


def test_folder_gone__counts_and_goes_on(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path / "spool", MIB)
    (tmp_path / "spool").rmdir()
    spool.add(a_line(1))
    assert spool.dropped == 1
    assert spool.oldest() is None
