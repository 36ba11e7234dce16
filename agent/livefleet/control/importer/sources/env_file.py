"""Files of variables: docker's `--env-file`, compose's `.env`, systemd's `EnvironmentFile`, and shells' `set -a`."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from livefleet.control.importer.findings import Spot
from livefleet.control.importer.process import Process
from livefleet.control.importer.sources.base import Reading, Source, host_name
from livefleet.control.importer.words import Dialect, Word, expand, literal

__all__ = ["parse_env", "read_env"]

_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)


def parse_env(text: str, file: str, known: Mapping[str, Word] | None = None) -> dict[str, Word]:
    """`NAME=VALUE` lines; `#` begins a remark, quotes around a value are taken away, a backslash at the end goes on."""
    found: dict[str, Word] = {}
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first or number
        if line.endswith("\\"):
            pending += line[:-1]
            continue
        content, at = (pending + line).strip(), first
        pending, first = "", 0
        if not content or content[0] in "#;":
            continue
        match = _LINE.fullmatch(content)
        if match is None:
            continue
        name, value = match[1], match[2].strip()
        spot = Spot(file, at, 1)
        if value[:1] == "'" and value.rstrip().endswith("'") and len(value) > 1:
            found[name] = literal(value[1:-1], spot)
            continue
        if value[:1] == '"' and value.endswith('"') and len(value) > 1:
            value = value[1:-1]
        else:
            value = re.sub(r"\s+#.*", "", value)
        found[name] = expand(value, spot, Dialect.SHELL, {**(known or {}), **found})
    return found


def read_env(source: Source) -> Reading:
    """A file of variables as a source of its own: one process."""
    environment = parse_env(source.text, source.shown)
    name = host_name(PurePosixPath(source.shown).name.removeprefix(".").removesuffix(".env") or "node")
    process = Process(
        name=name,
        machine=source.machine,
        spot=source.start(),
        kind="env",
        environment=environment,
        folder=source.folder,
    )
    return Reading((process,))
