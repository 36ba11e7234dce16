"""What a source is, by its content."""

import json
import re
from enum import StrEnum
from typing import Any, Final

from livefleet.control.importer.flags import flags
from livefleet.control.importer.settings import ENV_PREFIX
from livefleet.spec.pricing import is_address

__all__ = ["SourceKind", "detect"]

_SECTION: Final = re.compile(r"^\[(Unit|Service|Install)\]\s*$", re.MULTILINE)
_SIPHON: Final = re.compile(r"^\[keystore[0-9]*\]\s*$", re.MULTILINE)
_SERVICES: Final = re.compile(r"^services:\s*(#.*)?$", re.MULTILINE)
_API: Final = re.compile(r"^\s*(- )?apiVersion:", re.MULTILINE)
_ASSIGNMENT: Final = re.compile(r"(export\s+)?[A-Za-z_][A-Za-z0-9_]*=[^=]*", re.DOTALL)
_COMMAND: Final = re.compile(
    r"(^|[\s/;&(])(livepeer|go-livepeer)(:\S+)?(\s|\\|$)|\b(docker|podman)\b.*\brun\b", re.MULTILINE
)
_OTHER_PROGRAM: Final = re.compile(
    r"(^|[\s/])(titan|videominer|livepool|openpool(-manager)?|livepeer_cli|livepeer_bench)\s", re.MULTILINE
)


class SourceKind(StrEnum):
    """What a source may be."""

    ARGV = "argv"
    ENV = "env"
    CONFIG = "config"
    SYSTEMD = "systemd"
    COMPOSE = "compose"
    DOCKER_INSPECT = "docker-inspect"
    KUBERNETES = "kubernetes"
    SIPHON = "siphon"
    AI_MODELS = "ai-models"
    PRICES = "prices"
    POOL_MANAGER = "pool-manager"

    @property
    def is_companion(self) -> bool:
        """Whether it only goes with another source."""
        return self in (SourceKind.AI_MODELS, SourceKind.PRICES)


def detect(text: str) -> SourceKind | None:
    """The kind; None where nothing of it is recognised."""
    if text.lstrip()[:1] in ("{", "["):
        kind = _of_json(text)
        if kind is not None:
            return kind
    if _SIPHON.search(text):
        return SourceKind.SIPHON
    if _SECTION.search(text):
        return SourceKind.SYSTEMD
    if _SERVICES.search(text):
        return SourceKind.COMPOSE
    if _API.search(text) and re.search(r"^\s*(- )?kind:", text, re.MULTILINE):
        return SourceKind.KUBERNETES
    return _of_lines(text)


def _of_json(text: str) -> SourceKind | None:
    try:
        data = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return _of_broken_json(text)
    first = data[0] if isinstance(data, list) and data else data
    if not isinstance(first, dict):
        return None
    keys = {str(key).lower() for key in first}
    if {"config", "hostconfig"} & keys and {"id", "name", "path", "args", "config"} & keys:
        return SourceKind.DOCKER_INSPECT
    if "apiversion" in keys:
        return SourceKind.KUBERNETES
    if isinstance(data, list) and ("pipeline" in keys or "model_id" in keys):
        return SourceKind.AI_MODELS
    if keys & {"gateways", "broadcasters"} or _has_addresses(first):
        return SourceKind.PRICES
    if "services" in keys:
        return SourceKind.COMPOSE
    return SourceKind.POOL_MANAGER if "payoutthreshold" in keys or "poolcommissionrate" in keys else None


def _of_broken_json(text: str) -> SourceKind | None:
    """What it was meant to be, so that its own reader says what is wrong with it."""
    if '"HostConfig"' in text or '"Config"' in text:
        return SourceKind.DOCKER_INSPECT
    if '"pipeline"' in text:
        return SourceKind.AI_MODELS
    return SourceKind.PRICES if '"gateways"' in text or '"broadcasters"' in text else None


def _has_addresses(data: dict[str, Any]) -> bool:
    return bool(data) and all(is_address(str(key)) for key in data)


def _of_lines(text: str) -> SourceKind | None:
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        return None
    if _COMMAND.search("\n".join(lines)) or lines[0].startswith("-"):
        return SourceKind.ARGV
    assigned = [line for line in lines if _ASSIGNMENT.match(line)]
    if len(assigned) * 2 > len(lines) and any(ENV_PREFIX in line for line in assigned):
        return SourceKind.ENV
    names = {name.lower() for name in flags()}
    known = [line for line in lines if line.split()[0].lstrip("-").lower() in names]
    if known and len(known) * 2 >= len(lines):
        return SourceKind.CONFIG
    return SourceKind.ARGV if _OTHER_PROGRAM.search("\n".join(lines) + " ") else None
