"""Flags as the files that start go-livepeer: a command line, a `-config` file, a unit, a compose file."""

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Final

from livefleet.control.importer.exporting import Command, HostFlags

__all__ = ["FORMATS"]

_IMAGE: Final = "livepeer/go-livepeer:v0.9.1"
_FILES: Final = frozenset({"ethKeystorePath", "ethPassword", "orchSecret"})


def _argv(flags: HostFlags) -> str:
    return "\n".join(_argv_of(command) for command in flags.commands)


def _argv_of(command: Command) -> str:
    environment = "".join(f"{name}={shlex.quote(value)} " for name, value in command.environment.items())
    words = [" ".join(map(shlex.quote, words)) for words in _words(command)]
    return " \\\n  ".join([f"{environment}livepeer", *words]) + "\n"


def _config(flags: HostFlags) -> str:
    """`key value` lines; a `#` begins a remark in them, and variables have no place there."""
    texts = []
    for command in flags.commands:
        lines = [f"# {command.name}: livepeer -config FILE"]
        lines += [f"# to be set in its environment: {name}={value}" for name, value in command.environment.items()]
        lines += [f"{name} {_text(value)}" for name, value in command.flags]
        texts.append("\n".join(lines) + "\n")
    return "\n".join(texts)


def _systemd(flags: HostFlags) -> str:
    texts = []
    for command in flags.commands:
        words = [" ".join(map(_unit_word, words)) for words in _words(command)]
        environment = [f'Environment="{name}={value}"' for name, value in command.environment.items()]
        start = " \\\n    ".join(["ExecStart=/usr/local/bin/livepeer", *words])
        lines = [
            "[Unit]",
            f"Description=go-livepeer {command.name}",
            "After=network-online.target",
            "Wants=network-online.target",
            "",
            "[Service]",
            "User=livefleet",
            *environment,
            start,
            "Restart=on-failure",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
        ]
        texts.append("\n".join(lines) + "\n")
    return "\n".join(texts)


def _compose(flags: HostFlags) -> str:
    lines = ["services:"]
    for command in flags.commands:
        lines += [
            f"  {command.name}:",
            f"    image: {_IMAGE}",
            "    restart: unless-stopped",
            "    network_mode: host",
            "    command:",
        ]
        lines += [f"      - {json.dumps(_glued(words).replace('$', '$$'))}" for words in _words(command)]
        lines += ["    volumes:", *(f"      - {json.dumps(f'{path}:{path}:ro')}" for path in _files(command))]
        lines += ["      - livepeer:/root/.lpData"]
        if any(name == "aiModels" for name, _ in command.flags):
            lines[-1:-1] = ['      - "./aiModels.json:/aiModels.json:ro"']
        lines += _devices(command)
    return "\n".join([*lines, "volumes:", "  livepeer: {}"]) + "\n"


def _files(command: Command) -> list[str]:
    """Files and folders of the host that the flags name."""
    return list(dict.fromkeys(str(value) for name, value in command.flags if name in _FILES))


def _devices(command: Command) -> list[str]:
    if not any(name == "nvidia" for name, _ in command.flags):
        return []
    uuids = command.environment.get("CUDA_VISIBLE_DEVICES")
    which = f"device_ids: {json.dumps(uuids.split(','))}" if uuids else "count: all"
    return [
        "    deploy:",
        "      resources:",
        "        reservations:",
        "          devices:",
        f"            - {{driver: nvidia, {which}, capabilities: [gpu]}}",
    ]


def _words(command: Command) -> list[list[str]]:
    """Each flag as one or two words. Go wants `-name=false`; `-name false` would end the flags."""
    return [
        [f"-{name}"] if value is True else [f"-{name}=false"] if value is False else [f"-{name}", str(value)]
        for name, value in command.flags
    ]


def _glued(words: list[str]) -> str:
    name, *value = words
    if name == "-aiModels":
        return "-aiModels=/aiModels.json"
    return f"{name}={value[0]}" if value else name


def _unit_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(word) & set(" \t'\"{};\\") else escaped


def _text(value: str | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else value


FORMATS: Final[Mapping[str, Callable[[HostFlags], str]]] = {
    "argv": _argv,
    "config": _config,
    "systemd": _systemd,
    "compose": _compose,
}
"""Each format by its name."""
