"""Hosts and nodes for deploy tests."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploys.facts import Observed
from deploys.models import Release, Wheel
from deploys.parcel import Parcel, pack
from livefleet.spec import NodeSpec, ReleaseSettings

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
        temporary_free_kib=50_000_000,
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
        installer_version="0.13.9 x86_64",
    )


def a_wheel_fact(path: Path, **fields: Any) -> Wheel:
    """A wheel as it was looked into, without a file."""
    name, version = path.name.split("-")[:2]
    known = {"sha256": f"{name[:2].encode().hex():0<64}", "size": 1 << 20, "unpacked": 3 << 20, "bytecode": 1 << 20}
    return Wheel(path=path, name=name, version=version, **{**known, **fields})


def a_parcel(*, release: Release | None = None, wheels: tuple[Wheel, ...] | None = None, **settings: Any) -> Parcel:
    release = release or a_release()
    needed = wheels if wheels is not None else tuple(map(a_wheel_fact, release.wheels))
    return pack(release, a_wheel_fact(release.wheel), needed, ReleaseSettings.model_validate(settings), None)


def a_checkout(folder: Path) -> Path:
    """A copy of what a deploy is made from, so that a test may change it and nobody else does."""
    folder.mkdir(parents=True)
    for name in ("agent", "deploys", "inventory"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    return folder
