import pytest

from livefleet.kernel import ConditionBoard, SystemClock
from tests.builders.media import a_profile, a_segment


@pytest.fixture(scope="module")
def segment():
    return a_segment()


@pytest.fixture(scope="module")
def long_segment():
    """Takes about a second at the size of `heavy`."""
    return a_segment(2, width=640, height=360)


@pytest.fixture
def heavy():
    return a_profile(width=1280, height=720, bitrate=2_000_000)


@pytest.fixture
def board():
    return ConditionBoard(SystemClock())
