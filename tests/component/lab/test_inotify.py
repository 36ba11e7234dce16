"""Many systemds need more inotify instances than a machine grants by default; it gets its own limit back."""

import pytest

from tests.lab import inotify
from tests.lab.lab import Lab

pytestmark = [pytest.mark.component, pytest.mark.timeout(900), pytest.mark.usefixtures("lab_base")]


def test_ensure_room__many_hosts__raises_the_limit_until_restored(tmp_path) -> None:
    before = int(inotify.LIMIT.read_text())
    try:
        inotify.ensure_room(1000, tmp_path)
        assert int(inotify.LIMIT.read_text()) == max(before, inotify.ENOUGH)
    finally:
        inotify.restore(tmp_path)
    assert int(inotify.LIMIT.read_text()) == before
    assert list(tmp_path.iterdir()) == []


def test_lab__few_hosts__leaves_the_limit_alone() -> None:
    before = inotify.LIMIT.read_text()
    with Lab.create("one"):
        assert inotify.LIMIT.read_text() == before
