"""Which wheels a node needs: the locked packages reached from livefleet's own requirements."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from types import MappingProxyType
from typing import Final

from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

__all__ = ["OWN", "Closure", "closure", "read_lock", "requirements_of", "wheels_by_name"]

OWN: Final = "livefleet"
"""The package whose requirements are the roots: an extra of it may name others of its own."""


def read_lock(text: str) -> dict[str, str]:
    """`name==version` lines as canonical name to version."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    pins = (line.partition("==") for line in lines if line)
    return {canonicalize_name(name): version for name, _, version in pins}


def requirements_of(wheel: Path) -> tuple[Requirement, ...]:
    """What a wheel says it needs."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.count("/") == 1 and n.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode(), headersonly=True)
    return tuple(Requirement(text) for text in metadata.get_all("Requires-Dist") or ())


def wheels_by_name(
    folder: Path, lock: Mapping[str, str], pinned: Mapping[str, SpecifierSet] = MappingProxyType({})
) -> dict[str, Path]:
    """The wheels of a folder that carry the locked version, or one that is `pinned`, by canonical name.

    A locked version without a local part (`2.13.0`) is met by any, one with it (`2.13.0+cu126`) by itself alone.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.whl")):
        name, version, _, _ = parse_wheel_filename(path.name)
        wanted = lock.get(name)
        if wanted is None and name in pinned:
            fits = pinned[name].contains(version, prereleases=True)
        else:
            fits = wanted in (str(version), version.public)
        if fits:
            found[name] = path
    return found


@dataclass(frozen=True, slots=True)
class Closure:
    """The wheels reached, and the packages that were reached but have no wheel yet.

    `pinned`: what wheels themselves want in one version only, as a build of PyTorch wants its CUDA libraries.
    """

    wheels: tuple[Path, ...]
    missing: tuple[str, ...]
    pinned: Mapping[str, SpecifierSet]


def closure(roots: Iterable[Requirement], extras: frozenset[str], wheels: Mapping[str, Path], python: str) -> Closure:
    """All that is reached from `roots` with `extras`, markers judged for Linux and that Python (`3.11`)."""
    environment = _environment(python)
    own = tuple(roots)
    needed: dict[str, frozenset[str]] = {}
    pinned: dict[str, SpecifierSet] = {}
    queue = list(_applicable(own, extras, environment))
    while queue:
        requirement = queue.pop()
        name, wanted = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if any(specifier.operator == "==" for specifier in requirement.specifier):
            pinned[name] = requirement.specifier
        if name in needed and wanted <= needed[name]:
            continue
        needed[name] = needed.get(name, frozenset()) | wanted
        if name == OWN or name in wheels:
            requires = own if name == OWN else requirements_of(wheels[name])
            queue.extend(_applicable(requires, needed[name], environment))
    needed.pop(OWN, None)
    return Closure(
        wheels=tuple(wheels[name] for name in sorted(needed) if name in wheels),
        missing=tuple(name for name in sorted(needed) if name not in wheels),
        pinned=pinned,
    )


def _applicable(
    requirements: Iterable[Requirement], extras: frozenset[str], environment: Environment
) -> Iterator[Requirement]:
    for requirement in requirements:
        marker = requirement.marker
        contexts = [{**environment, "extra": extra} for extra in (extras or {""})] + [{**environment, "extra": ""}]
        if marker is None or any(marker.evaluate(dict(context)) for context in contexts):
            yield requirement


def _environment(python: str) -> Environment:
    environment = default_environment()
    environment["python_version"] = python
    environment["python_full_version"] = f"{python}.0"
    environment["sys_platform"] = "linux"
    environment["platform_system"] = "Linux"
    environment["os_name"] = "posix"
    environment["implementation_name"] = "cpython"
    environment["platform_python_implementation"] = "CPython"
    return environment
