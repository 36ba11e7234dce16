"""Profiles with those that they extend: one list of layers, the strongest first."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from livefleet.spec.document import Document, Place
from livefleet.spec.problem import Problem, SpecError, did_you_mean
from livefleet.spec.profile import LayerData, Origin, ProfileFile, ProfileFolders

__all__ = ["CheckLayer", "NamedProfile", "ProfileChains", "profiles_named"]

NamedProfile = tuple[str, Origin]
"""A profile's name, and where it was said."""

CheckLayer = Callable[[str, Document], tuple[dict[str, Any] | None, Sequence[Problem]]]
"""Of a profile's name and file: its data in normal form (None where it is no mapping), and what is wrong with it."""


class ProfileChains:
    """Reads each file once, however many hosts name it. `problems` grows with what is found wrong."""

    def __init__(self, folders: ProfileFolders, check: CheckLayer) -> None:
        self.problems: list[Problem] = []
        self._folders = folders
        self._check = check
        self._layers: dict[ProfileFile, LayerData | None] = {}

    def layers(self, named: Sequence[NamedProfile]) -> list[LayerData]:
        """The layers of these profiles, of which the later wins. One that several extend lies below all of them."""
        chain: list[LayerData] = []
        for name, origin in reversed(named):
            file = self._find(name, origin, "profile")
            if file is not None:
                chain += self._chain(file, ())
        return _each_at_its_lowest(chain)

    def _chain(self, file: ProfileFile, above: tuple[ProfileFile, ...]) -> list[LayerData]:
        layer = self._layer(file)
        if layer is None:
            return []
        chain = [layer]
        for base, place in reversed(list(_extended(layer))):
            origin = Origin(layer.name, layer.file, place.line, place.column)
            found = self._find(base, origin, "extends", behind=file.rank if base == file.name else -1)
            if found is None:
                continue
            if found in (*above, file):
                way = " > ".join(one.name for one in (*above, file, found))
                message = f"`extends: {base}` goes in a circle: {way}"
                self.problems.append(_problem(origin, message, "take it away here or there", "extends"))
                continue
            chain += self._chain(found, (*above, file))
        return chain

    def _find(self, name: str, origin: Origin, said: str, *, behind: int = -1) -> ProfileFile | None:
        file = self._folders.find(name, behind=behind)
        if file is None:
            others = [one for one in self._folders.names() if one != name]
            hint = did_you_mean(name, others) or f"write profiles/{name}.yaml beside the fleet file"
            message = f"no profile `{name}`" + (" besides this one" if behind >= 0 else "")
            self.problems.append(_problem(origin, message, hint, said))
        return file

    def _layer(self, file: ProfileFile) -> LayerData | None:
        if file not in self._layers:
            self._layers[file] = self._read(file)
        return self._layers[file]

    def _read(self, file: ProfileFile) -> LayerData | None:
        try:
            document = file.read()
        except SpecError as error:
            self.problems += error.problems
            return None
        data, problems = self._check(file.name, document)
        self.problems += [*document.problems, *problems]
        return None if data is None else LayerData(f"profile {file.name}", document.file, data, document.place)


def profiles_named(value: Any, origin_of: Callable[[tuple[str | int, ...]], Origin | None]) -> list[NamedProfile]:
    """What `profile:` names, a text or a list of texts; anything else was told where its layer stands."""
    names = value if isinstance(value, list) else [value]
    found = []
    for index, name in enumerate(names):
        origin = origin_of(("profile", index) if isinstance(value, list) else ("profile",))
        if isinstance(name, str) and origin is not None:
            found.append((name, origin))
    return found


def _extended(layer: LayerData) -> Iterator[tuple[str, Place]]:
    """What a layer extends, each with its place."""
    said = layer.data.get("extends")
    place = layer.place.children.get("extends")
    if place is None:
        return
    if isinstance(said, str):
        yield said, place
    elif isinstance(said, list):
        yield from ((name, place.children[index]) for index, name in enumerate(said) if isinstance(name, str))


def _each_at_its_lowest(chain: Iterable[LayerData]) -> list[LayerData]:
    kept: dict[str, LayerData] = {}
    for layer in reversed(list(chain)):
        kept.setdefault(layer.file, layer)
    return list(kept.values())[::-1]


def _problem(origin: Origin, message: str, hint: str, path: str) -> Problem:
    return Problem(origin.file, origin.line, origin.column, message, hint, path)
