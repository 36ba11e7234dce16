"""What segment-anything-2 is shown besides the picture: arrays as text. Without numpy, for the agent reads them too."""

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

__all__ = ["MAX_POINTS", "MaskPrompts", "mask_prompts"]

MAX_POINTS = 1024

_MAX_MASK_SIDE = 512
_LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class MaskPrompts:
    """One object's. Places are in pixels of the picture, or shares of its sides where they are normalized already."""

    points: tuple[tuple[float, float], ...] = ()  # (x, y)
    labels: tuple[int, ...] = ()  # a point's: 1 belongs to the object, 0 does not
    box: tuple[float, ...] = ()  # left, top, right, bottom; or empty
    mask: tuple[tuple[float, ...], ...] = ()  # rows of an earlier answer's logits


def mask_prompts(point_coords: str, point_labels: str, box: str, mask_input: str) -> MaskPrompts:
    """Read the four fields, empty ones as absent. Raises ValueError with the text for the client.

    An array of one object, which the library that ai-runner uses takes as well, is taken for the object.
    """
    points = _rows(_within(_array(point_coords, "point_coords"), 2), "point_coords", most=MAX_POINTS)
    if any(len(point) != 2 for point in points):
        raise ValueError("point_coords: every point is [x, y]")
    labels = _row(_within(_array(point_labels, "point_labels"), 1), "point_labels", most=MAX_POINTS)
    if any(label not in {0, 1} for label in labels):
        raise ValueError("point_labels: every label is 1 (belongs to the object) or 0 (does not)")
    if len(points) != len(labels):
        raise ValueError(f"point_labels: {len(labels)} labels for {len(points)} points of point_coords")
    frame = _row(_within(_array(box, "box"), 1), "box", most=4)
    if len(frame) not in {0, 4}:
        raise ValueError("box: [left, top, right, bottom]")
    mask = _rows(_within(_array(mask_input, "mask_input"), 2), "mask_input", most=_MAX_MASK_SIDE)
    if len({len(row) for row in mask}) > 1 or (mask and not mask[0]):
        raise ValueError("mask_input: all rows have the same length")
    return MaskPrompts(tuple((x, y) for x, y in points), tuple(map(int, labels)), frame, mask)


def _array(text: str, name: str) -> list[Any]:
    """ai-runner's words for what is no JSON."""
    if not text:
        return []
    try:
        found = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise ValueError(f"Error parsing JSON for {name}: {error}") from error
    if not isinstance(found, list):
        raise ValueError(f"{name}: not an array")  # noqa: TRY004 -- the value of a text is meant
    return found


def _within(array: list[Any], depth: int) -> list[Any]:
    """The one object of an array that is deeper by one."""
    inner: Any = array
    for _ in range(depth):
        inner = inner[0] if isinstance(inner, list) and inner else None
    return array[0] if isinstance(inner, list) and len(array) == 1 else array


def _rows(rows: list[Any], name: str, *, most: int) -> tuple[tuple[float, ...], ...]:
    if len(rows) > most:
        raise ValueError(f"{name}: {len(rows)} rows, at most {most} are taken")
    if not all(isinstance(row, list) for row in rows):
        raise ValueError(f"{name}: an array of arrays of numbers, of one object")
    return tuple(_row(row, name, most=most) for row in rows)


def _row(row: list[Any], name: str, *, most: int) -> tuple[float, ...]:
    if len(row) > most:
        raise ValueError(f"{name}: {len(row)} numbers in a row, at most {most} are taken")
    if not all(map(_is_number, row)):
        raise ValueError(f"{name}: an array of numbers, of one object")
    return tuple(map(float, row))


def _is_number(value: Any) -> bool:
    """A place in a picture or a score, not an infinity or a whole number of a thousand digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
