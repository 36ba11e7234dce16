"""Merging: host > groups (the later wins) > profiles > defaults > fleet, and where each value came from.

Of several profiles the later wins, and each wins over those that it extends.

Mappings merge deeply, lists and scalars replace. `duties` as a list says which duties are on, and no others; the
settings that lower layers give for those stay, so that a hardware profile may say how much a host takes on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from livefleet.spec.document import Document, Place, read_document

__all__ = [
    "CARD_TABLE",
    "LayerData",
    "Origin",
    "Origins",
    "ProfileFile",
    "ProfileFolders",
    "Trail",
    "Whole",
    "merge",
    "normal",
    "over",
]

Trail = tuple[str | int, ...]
"""Keys and indices from the top."""


class Whole(dict[str, Any]):
    """A mapping that hides every key of lower layers that it does not have itself."""


@dataclass(frozen=True, slots=True)
class LayerData:
    """One layer as read: raw data (normal form) and its places."""

    name: str  # `host gpu-1`, `group eu`, `profile cpu`, `defaults`, `fleet`
    file: str
    data: Mapping[str, Any]
    place: Place


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a merged value was said."""

    layer: str
    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.layer} ({self.file}:{self.line}:{self.column})"


def over(low: Any, high: Any) -> Any:
    """`high` laid over `low`. Neither is changed."""
    if not isinstance(high, dict) or not isinstance(low, dict):
        return high
    merged = {} if isinstance(high, Whole) else dict(low)
    for key, value in high.items():
        merged[key] = over(low[key], value) if key in low else value
    return merged


def merge(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All layers as one, the first given winning."""
    merged: Any = {}
    for data in reversed(list(layers)):
        merged = over(merged, dict(data))
    return dict(merged)


class Origins:
    """Answers where a value of the merged node came from. Looks it up when asked: nothing is kept beside the layers."""

    def __init__(self, layers: Sequence[LayerData]) -> None:
        self._layers = tuple(layers)  # the strongest first

    def of(self, path: Trail, *, at_key: bool = False) -> Origin | None:
        """The layer and position that gave `path`, or None where no layer did: a built-in default."""
        for layer in self._layers:
            place, replaced = _find(layer, path)
            if place is not None:
                line, column = (place.key_line, place.key_column) if at_key else (place.line, place.column)
                return Origin(layer.name, layer.file, line, column)
            if replaced:
                return None
        return None

    def nearest(self, path: Trail, *, at_key: bool = False) -> Origin | None:
        """The origin of `path`, or of the nearest mapping or list around it."""
        for length in range(len(path), 0, -1):
            origin = self.of(path[:length], at_key=at_key)
            if origin is not None:
                return origin
        return None

    def leaves(self, data: Any, prefix: Trail = ()) -> Iterator[tuple[Trail, Any, Origin | None]]:
        """Every leaf of a merged node's data with its value and origin, in order; empty collections are leaves.

        Keys and secrets are paths made for the host: their origin is where the fleet declares them.
        """
        items: Iterable[tuple[str | int, Any]]
        match data:
            case dict() if data:
                items = data.items()
            case list() | tuple() if data:
                items = enumerate(data)
            case _:
                named = prefix[:1] in (("keys",), ("secrets",)) and data
                yield prefix, data, self.nearest(prefix[:2]) if named else self.of(prefix)
                return
        for key, value in items:
            yield from self.leaves(value, (*prefix, key))


def _find(layer: LayerData, path: Trail) -> tuple[Place | None, bool]:
    """The place of `path` in a layer; else whether the layer hides what lower layers say of it."""
    data: Any = layer.data
    place = layer.place
    for key in path:
        if isinstance(data, dict):
            if key not in data:
                return None, isinstance(data, Whole)
        elif not (isinstance(data, list) and isinstance(key, int) and key < len(data)):
            return None, True
        data = data[key]
        place = place.children[key]
    return place, False


_SHORT: Final = {"network": "name", "firewall": "mode", "machine": "mode"}
"""Sections that may be written as one word, and whose it is."""


def normal(data: Any, place: Place) -> Any:
    """A layer in normal form: duties as a mapping of mappings or None, single words as mappings. Places follow."""
    if not isinstance(data, dict):
        return data
    data = dict(data)
    duties = data.get("duties")
    if isinstance(duties, list) and all(isinstance(duty, str) for duty in duties):
        spots = place.children["duties"]
        spots.children = {duty: spots.children[index] for index, duty in reversed(list(enumerate(duties)))}
        data["duties"] = Whole({duty: {} for duty in duties})
    elif isinstance(duties, dict):
        data["duties"] = {k: {} if v is True else None if v is False else v for k, v in duties.items()}
    for section, field in _SHORT.items():
        if isinstance(data.get(section), str):
            spot = place.children[section]
            spot.children = {field: spot}
            data[section] = {field: data[section]}
    return data


CARD_TABLE: Final = "cards"
"""The file among the profiles that is none: what is known of cards."""


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A profile that there is."""

    name: str
    rank: int  # of its folder, the best first
    path: Path

    def read(self) -> Document:
        """Parsed. Raises SpecError for a file that is not YAML."""
        return read_document(self.path, shown_as=_shown(self.path))


class ProfileFolders:
    """Finds profiles by name: the first folder that has the file wins."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)

    def find(self, name: str, *, behind: int = -1) -> ProfileFile | None:
        """The profile, in the folders behind that rank; None where none has it."""
        if Path(name).name != name or name == CARD_TABLE:
            return None  # a path is no name; the layer that has it is told so
        for rank, folder in enumerate(self._folders):
            file = folder / f"{name}.yaml"
            if rank > behind and file.is_file():
                return ProfileFile(name, rank, file)
        return None

    def names(self) -> list[str]:
        """Every profile that could be named."""
        found = {file.stem for folder in self._folders if folder.is_dir() for file in folder.glob("*.yaml")}
        return sorted(found - {CARD_TABLE})


def _shown(file: Path) -> str:
    """As short as it can be: from the working directory where the file is below it."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
