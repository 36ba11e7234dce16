from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Pixels, SessionId
from livefleet.media import PERCEPTUAL_HASH, Container, H264Profile, Probe, Profile, VideoCodec, capability_ids
from livefleet.media.messages import (
    LENGTH_BYTES,
    Done,
    EndSession,
    Failed,
    Ready,
    RunJob,
    body_length,
    frame,
    parse_from_worker,
    receive,
)

pytestmark = pytest.mark.unit

profiles = st.builds(
    Profile,
    name=st.text(),
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    bitrate=st.integers(1, 10**8),
    container=st.sampled_from(Container),
    h264_profile=st.sampled_from(H264Profile),
    codec=st.sampled_from(VideoCodec),
)
jobs = st.builds(
    RunJob,
    id=st.integers(0),
    sequence=st.integers(0),
    source=st.just(Path("/dev/shm/x/source")),
    outputs=st.just((Path("/dev/shm/x/0"),)),
    duration_ms=st.integers(0, 300_000),
    profiles=st.lists(profiles, max_size=3).map(tuple),
    orchestrator_id=st.text(),
    clip_from_ms=st.none() | st.integers(0, 1000),
    clip_to_ms=st.none() | st.integers(0, 1000),
    kind=st.just("run"),
)
answers = st.one_of(
    st.builds(Failed, id=st.integers(0), text=st.text(), detail=st.text(), kind=st.just("failed")),
    st.builds(
        Done,
        id=st.integers(0),
        encoded_pixels=st.lists(st.integers(0).map(Pixels)).map(tuple),
        decoded_pixels=st.integers(0).map(Pixels),
        kind=st.just("done"),
    ),
    st.just(Ready(Probe("cpu", ("libx264",), (15,), ""))),
)


class Wire:
    """A connection's reading end over bytes in memory, a few at a time."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def recv(self, count: int) -> bytes:
        part, self.data = self.data[: min(count, 7)], self.data[min(count, 7) :]
        return part


@given(jobs)
def test_job__through_the_wire__is_the_same(job):
    assert receive(Wire(frame(job))) == job


@given(answers)
def test_answer__through_the_wire__is_the_same(answer):
    data = frame(answer)
    assert body_length(data[:LENGTH_BYTES]) == len(data) - LENGTH_BYTES
    assert parse_from_worker(data[LENGTH_BYTES:]) == answer


def test_end_of_a_session__through_the_wire__is_the_same():
    message = EndSession(SessionId("s1"))
    assert receive(Wire(frame(message))) == message


def test_receive__agent_gone_mid_message__is_the_end():
    whole = frame(RunJob(1, 1, Path("/a"), (), 1, (), "x"))
    assert receive(Wire(b"")) is None
    assert receive(Wire(whole[:-3])) is None


def test_body_length__absurd__is_refused():
    with pytest.raises(ValueError, match="a message of"):
        body_length(b"\xff\xff\xff\xff")


def test_parse__unknown_kind__is_refused():
    with pytest.raises(ValueError, match="kind"):
        parse_from_worker(b'{"kind": "hallo"}')


def test_capability_ids__of_a_probe():
    fine = Probe("cpu", ("libx264",), (15, 25))
    assert capability_ids(fine) == {*range(13), 15, 25, 26}
    assert PERCEPTUAL_HASH not in capability_ids(fine)
    assert PERCEPTUAL_HASH in capability_ids(Probe("cpu", ("libx264",), (PERCEPTUAL_HASH,)))
    assert capability_ids(Probe("GPU-1", (), (), "h264_nvenc: no")) == frozenset()
