"""Which wheels a node needs: the locked packages reached from livefleet's own requirements."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

__all__ = ["Closure", "closure", "read_lock", "requirements_of", "wheels_by_name"]


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


def wheels_by_name(folder: Path, lock: Mapping[str, str]) -> dict[str, Path]:
    """The wheels of a folder that carry the locked version, by canonical name."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.whl")):
        name, version, _, _ = parse_wheel_filename(path.name)
        if lock.get(name) in (str(version), version.public):
            found[name] = path
    return found


@dataclass(frozen=True, slots=True)
class Closure:
    """The wheels reached, and the packages that were reached but have no wheel yet."""

    wheels: tuple[Path, ...]
    missing: tuple[str, ...]


def closure(roots: Iterable[Requirement], extras: frozenset[str], wheels: Mapping[str, Path], python: str) -> Closure:
    """All that is reached from `roots` with `extras`, markers judged for Linux and that Python (`3.11`)."""
    environment = _environment(python)
    needed: dict[str, frozenset[str]] = {}
    queue = list(_applicable(roots, extras, environment))
    while queue:
        name, wanted = queue.pop()
        if name in needed and wanted <= needed[name]:
            continue
        needed[name] = needed.get(name, frozenset()) | wanted
        if name in wheels:
            queue.extend(_applicable(requirements_of(wheels[name]), needed[name], environment))
    return Closure(
        wheels=tuple(wheels[name] for name in sorted(needed) if name in wheels),
        missing=tuple(name for name in sorted(needed) if name not in wheels),
    )


def _applicable(
    requirements: Iterable[Requirement], extras: frozenset[str], environment: Environment
) -> Iterator[tuple[str, frozenset[str]]]:
    for requirement in requirements:
        marker = requirement.marker
        contexts = [{**environment, "extra": extra} for extra in (extras or {""})] + [{**environment, "extra": ""}]
        if marker is None or any(marker.evaluate(dict(context)) for context in contexts):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


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
