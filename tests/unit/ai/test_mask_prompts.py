"""The arrays of a segment-anything-2 request, and what pictures of the two pipelines that only look cost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai import BadRequest, kind_of, parse_job
from livefleet.ai.errors import Malformed
from livefleet.ai.pipelines.mask_prompts import MAX_POINTS, MaskPrompts, mask_prompts
from livefleet.spec import Pipeline
from tests.builders.ai_files import png

pytestmark = pytest.mark.unit

MASKS = kind_of(Pipeline.SEGMENT_ANYTHING_2)
CAPTION = kind_of(Pipeline.IMAGE_TO_TEXT)


def read(point_coords: str = "", point_labels: str = "", box: str = "", mask_input: str = "") -> MaskPrompts:
    return mask_prompts(point_coords, point_labels, box, mask_input)


def test_prompts__nothing__is_nothing():
    assert read() == MaskPrompts() == read("[]", "[]", "[]", "[]")


def test_prompts__one_object__is_read():
    found = read("[[1, 2.5], [3, 4]]", "[1, 0]", "[0, 0, 10, 10]", "[[0.5, -1], [2, 3]]")
    assert found == MaskPrompts(((1.0, 2.5), (3.0, 4.0)), (1, 0), (0.0, 0.0, 10.0, 10.0), ((0.5, -1.0), (2.0, 3.0)))


def test_prompts__array_of_one_object__is_that_object():
    alone = read("[[1, 2]]", "[1]", "[0, 0, 9, 9]", "[[1, 2]]")
    assert read("[[[1, 2]]]", "[[1]]", "[[0, 0, 9, 9]]", "[[[1, 2]]]") == alone


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"point_coords": "[[1, 2"}, "Error parsing JSON for point_coords: EOF while parsing a list"),
        ({"box": "left"}, "Error parsing JSON for box: expected value"),
        ({"mask_input": "[" * 100_000}, "Error parsing JSON for mask_input: "),
        ({"box": "[NaN, 0, 1, 1]"}, "Error parsing JSON for box: "),
        ({"box": "[0, 0, 1e999, 1]"}, "box: an array of numbers"),
        ({"box": f"[0, 0, 1, {'9' * 10_000}]"}, "Error parsing JSON for box: number out of range"),
        ({"box": f"[0, 0, 1, {'9' * 400}]"}, "box: an array of numbers"),
        ({"box": "{}"}, "box: not an array"),
        ({"box": "[1, 2, 3]"}, "box: [left, top, right, bottom]"),
        ({"box": "[1, 2, 3, true]"}, "box: an array of numbers"),
        ({"box": "[[0, 0, 9, 9], [0, 0, 5, 5]]"}, "box: an array of numbers, of one object"),
        ({"point_coords": "[[1, 2]]"}, "point_labels: 0 labels for 1 points of point_coords"),
        ({"point_labels": "[1]"}, "point_labels: 1 labels for 0 points of point_coords"),
        ({"point_coords": "[[1, 2, 3]]", "point_labels": "[1]"}, "point_coords: every point is [x, y]"),
        ({"point_coords": "[1, 2]", "point_labels": "[1]"}, "point_coords: an array of arrays of numbers"),
        ({"point_coords": '[["a", 2]]', "point_labels": "[1]"}, "point_coords: an array of numbers"),
        ({"point_coords": "[[1, 2]]", "point_labels": "[7]"}, "point_labels: every label is 1"),
        ({"point_coords": json.dumps([[1, 2]] * (MAX_POINTS + 1))}, "point_coords: 1025 rows, at most 1024"),
        ({"mask_input": "[[1, 2], [3]]"}, "mask_input: all rows have the same length"),
        ({"mask_input": "[[], []]"}, "mask_input: all rows have the same length"),
        ({"mask_input": json.dumps([[0] * 513])}, "mask_input: 513 numbers in a row, at most 512"),
    ],
)
def test_parse__array_that_is_none__is_the_clients_fault(fields: dict, fault: str):
    with pytest.raises(BadRequest) as refused:
        parse_job(MASKS, {"model_id": "a/b"} | fields, png(8, 8))
    assert refused.value.text.startswith(f"segment anything 2 container returned 400: {fault}")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@given(_JSON, _JSON, _JSON, _JSON)
def test_prompts__any_json__is_read_or_refused(coords, labels, box, mask):
    try:
        found = read(*map(json.dumps, (coords, labels, box, mask)))
    except ValueError:
        return
    assert len(found.points) == len(found.labels)
    assert len(found.box) in {0, 4}
    assert all(len(row) == len(found.mask[0]) for row in found.mask)


@given(st.text())
def test_prompts__any_text__is_read_or_refused(text: str):
    try:
        found = read(box=text)
    except ValueError:
        return
    assert len(found.box) in {0, 4}


@pytest.mark.parametrize("kind", [MASKS, CAPTION])
def test_parse__picture__is_billed_by_its_pixels(kind):
    job = parse_job(kind, {"model_id": "a/b"}, png(40, 30))
    assert (job.units, job.media, job.streams) == (1200, None, False)


@pytest.mark.parametrize("kind", [MASKS, CAPTION])
@pytest.mark.parametrize(
    ("picture", "fault"), [(b"RIFF....WAVEfmt ", "image: unknown format"), (png(40, 30)[:20], "unexpected EOF")]
)
def test_parse__no_picture__is_refused_in_the_orchestrators_own_words(kind, picture: bytes, fault: str):
    with pytest.raises(Malformed) as refused:
        parse_job(kind, {"model_id": "a/b"}, picture)
    assert refused.value.text == fault


@pytest.mark.parametrize("kind", [MASKS, CAPTION])
@pytest.mark.parametrize(
    ("picture", "fault"), [(b"", "image: Field required"), (png(60_000, 8), "the image is 60000x8")]
)
def test_parse__picture_missing_or_too_large__is_the_clients_fault(kind, picture: bytes, fault: str):
    with pytest.raises(BadRequest) as refused:
        parse_job(kind, {"model_id": "a/b"}, picture)
    assert fault in refused.value.text


def test_parse__picture_whose_masks_would_be_too_long__is_refused_for_masks_alone():
    large = png(4000, 4000)
    with pytest.raises(BadRequest, match="the image has 16000000 pixels"):
        parse_job(MASKS, {"model_id": "a/b"}, large)
    assert parse_job(CAPTION, {"model_id": "a/b"}, large).units == 16_000_000


def test_parse__arrays__travel_as_the_text_they_are():
    job = parse_job(MASKS, {"model_id": "a/b", "box": "[0,0,4,4]", "return_logits": "false"}, png(8, 8))
    assert job.fields == {
        "model_id": "a/b", "box": "[0,0,4,4]", "point_coords": "", "point_labels": "", "mask_input": "",
        "multimask_output": True, "return_logits": False, "normalize_coords": True,
    }  # fmt: skip


def test_caption__words_of_ai_runner__have_no_dot():
    assert CAPTION.upload.too_large == "File size exceeds limit"
    assert (CAPTION.dot, CAPTION.token_dot) == ("", "")
