"""A program for a host: the text of its modules, what it is to do, and how the host's Python takes both from stdin."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from livefleet.spec import NodeSpec

__all__ = ["HostProgram", "diagnostics_program", "logs_program"]

_HERE: Final = Path(__file__).parent
_PACKAGE: Final = "livefleet.control.host"
_START: Final = "import sys; exec(sys.stdin.buffer.read(int(sys.argv[1])))"
_LOAD: Final = """\
import json, sys, types
modules, entry, options = json.loads({packed!r})
for name, text in modules:
    sys.modules[name] = module = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
sys.exit(sys.modules[entry].main(options))
"""
_CREDENTIALS: Final = "/run/credentials/livefleet.service"  # where systemd puts the unit's
_ALL: Final = ("masking", "known", "logs", "diagnostics")  # each needs those before it alone


@dataclass(frozen=True, slots=True)
class HostProgram:
    """What is run, and what is sent to it. Nothing of either is secret."""

    words: tuple[str, ...]
    stdin: bytes = field(repr=False)
    timeout_s: float | None  # None: until nobody listens


def logs_program(node: NodeSpec, *, lines: int, since: float | None, follow: bool) -> HostProgram:
    """The agent's log; see `host/logs.py`."""
    options = {**_options(node), "lines": lines, "since": since, "follow": follow}
    return _program("logs", options, None if follow else 60.0)


def diagnostics_program(node: NodeSpec, *, deadline_s: float) -> HostProgram:
    """All that is told of a host; see `host/diagnostics.py`."""
    listen_host, _, port = node.monitoring.admin_listen.rpartition(":")
    here = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "[::]": "[::1]"}.get(listen_host, listen_host)  # noqa: S104 -- read, not bound
    options = {
        **_options(node),
        "admin": f"http://{here}:{port}",
        "opt": f"{node.root.rstrip('/')}/opt/livefleet",
        "run": str(node.paths.run),
        "deadline_s": deadline_s,
    }
    return _program("diagnostics", options, deadline_s + 30)


def _options(node: NodeSpec) -> dict[str, Any]:
    secrets = [*(path for key in node.keys.values() for path in key.files), *node.secrets.values()]
    return {
        "root": node.root,
        "state": str(node.paths.state),
        "folders": [str(node.paths.state), str(node.paths.run), _CREDENTIALS],
        "node_yaml": str(node.paths.node_yaml),
        "secrets": [str(node.paths.resolve(path)) for path in secrets],
        "unit": "livefleet.service",
        "file": str(node.paths.log / "agent.log"),
    }


def _program(entry: str, options: dict[str, Any], timeout_s: float | None) -> HostProgram:
    modules: Sequence[tuple[str, str]] = [(f"{_PACKAGE}.{name}", (_HERE / f"{name}.py").read_text()) for name in _ALL]
    text = _LOAD.format(packed=json.dumps([modules, f"{_PACKAGE}.{entry}", options])).encode()
    return HostProgram(("python3", "-c", _START, str(len(text))), text, timeout_s)
