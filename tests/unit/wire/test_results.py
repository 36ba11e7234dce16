import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import Pixels
from livefleet.media import Container, Rendition
from livefleet.wire.multipart import BadUpload
from livefleet.wire.results import ResultReader, encode_result
from tests.builders.wire import a_profile

pytestmark = pytest.mark.unit

TYPE = "multipart/mixed; boundary=00112233445566778899"
BOUNDARY = "00112233445566778899"


def read(body: bytes, piece: int = 7, **limits) -> tuple[Rendition, ...]:
    reader = ResultReader(TYPE, **({"max_parts": 10} | limits))
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
    return reader.renditions()


@given(st.lists(st.tuples(st.binary(max_size=200), st.integers(0, 2**62)), min_size=1, max_size=5), st.integers(1, 100))
def test_result__there_and_back_in_any_pieces(contents, piece):
    renditions = [Rendition(data, Pixels(pixels)) for data, pixels in contents]
    body = b"".join(encode_result([a_profile()] * len(renditions), renditions, BOUNDARY))
    assert read(body, piece) == tuple(renditions)


def test_encode__part_headers():
    profiles = [a_profile(), a_profile(container=Container.MP4)]
    body = b"".join(encode_result(profiles, [Rendition(b"one", Pixels(1)), Rendition(b"two", Pixels(2))], BOUNDARY))
    head = f"--{BOUNDARY}\r\nContent-Length: 3\r\nContent-Type: video/mp2t\r\nPixels: 1\r\n\r\none\r\n".encode()
    assert body.startswith(head)
    assert b"Content-Type: video/mp4\r\nPixels: 2\r\n\r\ntwo\r\n" in body
    assert body.endswith(f"--{BOUNDARY}--\r\n".encode())


def test_encode__perceptual_hash__follows_its_rendition_without_pixels():
    renditions = [Rendition(b"one", Pixels(1), b"hash"), Rendition(b"two", Pixels(2)), Rendition(b"3", Pixels(3), b"")]
    body = b"".join(encode_result([a_profile()] * 3, renditions, BOUNDARY))
    hashed = f"one\r\n--{BOUNDARY}\r\nContent-Length: 4\r\nContent-Type: application/octet-stream\r\n\r\nhash\r\n"
    assert hashed.encode() in body
    assert read(body) == tuple(renditions)


def test_read__perceptual_hash_after_its_rendition__belongs_to_it():
    body = (
        f"--{BOUNDARY}\r\nPixels: 4\r\n\r\nvideo\r\n"
        f"--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\n\r\nhash\r\n--{BOUNDARY}--\r\n"
    )
    assert read(body.encode()) == (Rendition(b"video", Pixels(4), b"hash"),)


@pytest.mark.parametrize(
    ("body", "limits", "fault"),
    [
        (f"--{BOUNDARY}\r\n\r\nhash\r\n--{BOUNDARY}--\r\n", {}, "without a rendition"),
        (f"--{BOUNDARY}\r\nPixels: many\r\n\r\nv\r\n--{BOUNDARY}--\r\n", {}, "'many'"),
        (f"--{BOUNDARY}\r\nPixels: {2**63}\r\n\r\nv\r\n--{BOUNDARY}--\r\n", {}, f"'{2**63}'"),
        (f"--{BOUNDARY}\r\nPixels: -1\r\n\r\nv\r\n--{BOUNDARY}--\r\n", {}, "'-1'"),
        (f"--{BOUNDARY}\r\nPixels: 1\r\n\r\nhalf", {}, "unexpected end"),
        (f"--{BOUNDARY}\r\nPixels: 1\r\n\r\n12345\r\n--{BOUNDARY}--\r\n", {"max_part": 4}, "more than 4 bytes"),
        (f"--{BOUNDARY}\r\nPixels: 1\r\n\r\n1\r\n--{BOUNDARY}--\r\n", {"max_parts": 0}, "more than 0 parts"),
        ("no multipart at all", {}, "boundary"),
    ],
)
def test_read__broken__says_how(body, limits, fault):
    with pytest.raises(BadUpload, match=fault):
        read(body.encode(), **limits)


def test_reader__no_boundary__is_refused():
    with pytest.raises(BadUpload, match="boundary"):
        ResultReader("multipart/mixed", max_parts=1)
