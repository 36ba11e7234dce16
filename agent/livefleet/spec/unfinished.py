"""What a spec that passes every check still lacks before it can be applied: placeholders, and secrets not there yet."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from livefleet.spec.load import Fleet
from livefleet.spec.problem import Problem
from livefleet.spec.profile import Origin, Trail
from livefleet.spec.secrets import SecretToSend

__all__ = ["unfinished"]

# Names and addresses that are kept for documents. Source: RFC 2606, RFC 5737, RFC 3849.
_PLACEHOLDER: Final = re.compile(
    r"(?<![\w.-])(?:[\w-]+\.)*(?:example\.(?:com|net|org)|[\w-]+\.example|[\w-]+\.invalid)(?!\.?[\w-])"
    r"|(?<![\d.])(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}(?![\d.])"
    r"|2001:db8:[0-9a-f:]*",
    re.IGNORECASE,
)


def unfinished(fleet: Fleet, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """One warning a place, in the file's order. Nothing is read but whether files are there."""
    found = {
        problem for host in fleet.hosts for problem in (*_placeholders(fleet, host), *_secrets(fleet, host, environ))
    }
    return tuple(sorted(found))


def _placeholders(fleet: Fleet, host: str) -> Iterator[Problem]:
    origins = fleet.origins(host)
    said = fleet.node(host).model_dump(mode="json", exclude={"keys", "secrets"})
    said["address"] = fleet.host(host).address
    for path, text in _texts(said):
        match = _PLACEHOLDER.search(text)
        origin = origins.of(path) if match else None
        if match and origin is not None:
            yield _problem(origin, f"{match[0]} is a placeholder, kept for documents", "say your own", path)


def _texts(data: Any, prefix: Trail = ()) -> Iterator[tuple[Trail, str]]:
    match data:
        case str():
            yield prefix, data
        case dict():
            for key, value in data.items():
                yield from _texts(value, (*prefix, key))
        case list() | tuple():
            for index, value in enumerate(data):
                yield from _texts(value, (*prefix, index))


def _secrets(fleet: Fleet, host: str, environ: Mapping[str, str]) -> Iterator[Problem]:
    for item in fleet.secrets_to_send(host):
        path = tuple(item.name.split("."))
        origin = fleet.origins(host).nearest(path, at_key=True)
        told = _absent(item, environ)
        if told is not None and origin is not None:
            yield _problem(origin, f"{item.name}: {told[0]}", told[1], path)


def _absent(item: SecretToSend, environ: Mapping[str, str]) -> tuple[str, str] | None:
    if item.ref.env is not None and not environ.get(item.ref.env):
        return f"the environment variable {item.ref.env} is not set", "set it for `livefleet apply`"
    if item.ref.file is None or (item.base / Path(item.ref.file).expanduser()).exists():
        return None
    kept_as = "put the secret there, readable by you alone"
    is_key = item.name.startswith("keys.") and item.name.count(".") == 1
    hint = f"`livefleet keys new --out {item.ref.file}` makes one" if is_key else kept_as
    return f"no file {item.ref.file} yet", hint


def _problem(origin: Origin, message: str, hint: str, path: Trail) -> Problem:
    return Problem(origin.file, origin.line, origin.column, message, hint, ".".join(str(part) for part in path))
