"""The real worker process under damaged segments: it answers every one, and blames the segment."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livefleet.media.inspection import inspect
from livefleet.media.messages import Done
from tests.builders.hostile_media import KINDS, NOT_PUNISHED, Damage, WorkerProcess, damaged, seeds
from tests.builders.media import a_clip

pytestmark = pytest.mark.component

DEADLINE_S = 60  # a shared machine; a segment takes a tenth of a second

part = st.integers(0, 0xFFFF)
damages = st.builds(Damage, st.sampled_from(KINDS), part, part, st.integers(0, 0xFFFFFFFF))


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with WorkerProcess(tmp_path_factory.mktemp("worker")) as running:
        yield running


def check(worker, data):
    answer = worker.run(data, DEADLINE_S)
    if isinstance(answer, Done):
        assert answer.encoded_pixels == tuple(inspect(path).pixels for path in worker.outputs)
    else:
        assert answer.text in NOT_PUNISHED, answer.detail


@pytest.mark.parametrize("number", range(len(seeds())))
def test_worker__undamaged__is_transcoded(worker, number):
    assert isinstance(worker.run(seeds()[number], DEADLINE_S), Done)


@settings(max_examples=150, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, len(seeds()) - 1),
    donor=st.integers(0, len(seeds()) - 1),
    several=st.lists(damages, min_size=1, max_size=8),
)
def test_worker__damaged_segment__is_answered(worker, seed, donor, several):
    check(worker, damaged(seed, donor, several))


@settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=4000), sync=st.booleans())
def test_worker__noise__is_answered(worker, data, sync):
    if sync:
        data = b"".join(b"G" + data[at : at + 187].ljust(187, b"\xff") for at in range(0, len(data), 187))
    check(worker, data)


def test_worker__huge_picture_claimed__is_refused_before_it_takes_memory(worker):
    clip = a_clip(0.2, suffix=".webm", codec="libvpx", width=160, height=96, audio=False)
    assert isinstance(worker.run(clip, DEADLINE_S), Done)
    start_code = b"\x9d\x01\x2a"
    assert start_code in clip
    before = worker.peak_memory_mb
    at = clip.index(start_code) + len(start_code)
    check(worker, clip[:at] + struct.pack("<HH", 16383, 16383) + clip[at + 4 :])
    assert worker.peak_memory_mb - before < 200
