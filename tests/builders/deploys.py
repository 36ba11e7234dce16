"""Hosts and nodes for deploy tests."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploys.facts import Observed
from deploys.release import Release
from livefleet.spec import NodeSpec

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_800_000_000


def a_node(**fields: Any) -> NodeSpec:
    given = {
        "fleet": "demo",
        "name": "solo",
        "role": "orchestrator",
        "orchestrator": {"service_uri": "https://127.0.0.1:8935"},
        **fields,
    }
    return NodeSpec.model_validate(given)


def a_host(**fields: Any) -> Observed:
    """A bare Debian 12 with systemd, as root."""
    bare = Observed(
        uid=0,
        user="root",
        machine="x86_64",
        kernel="6.1.0-27-amd64",
        os_id="debian",
        os_version="12",
        systemd=True,
        python=(3, 11, 2),
        clock=NOW,
        disk_free_kib=50_000_000,
        nginx=True,
        apt=True,
        sudo=True,
    )
    return replace(bare, **fields)


def a_release(digest: str = "aaaaaaaaaaaa") -> Release:
    return Release(
        version="0.1.0",
        digest=digest,
        wheel=Path("/cache/own/x/livefleet-0.1.0-py3-none-any.whl"),
        wheels=(Path("/cache/wheels/click-8.5.1-py3-none-any.whl"),),
        installer=Path("/venv/bin/uv"),
        bundle_digest="bbbbbbbbbbbb",
    )


def a_checkout(folder: Path) -> Path:
    """A copy of what a deploy is made from, so that a test may change it and nobody else does."""
    folder.mkdir(parents=True)
    for name in ("agent", "deploys", "inventory"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    return folder
