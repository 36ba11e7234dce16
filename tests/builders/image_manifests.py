"""Manifests of images."""

from typing import Any


def a_manifest(**fields: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "profile": "cpu",
        "profile_sha256": "a" * 64,
        "fleet": None,
        "first_boot_sha256": "b" * 64,
        "suite": "bookworm",
        "architecture": "amd64",
        "epoch": 1_700_000_000,
        "sources": [{"line": "http://m.example/debian bookworm main", "date": None}],
        "kernels": [],
        "driver": None,
        "release": {"id": "0.1.0-abc", "python": "3.11", "extras": ["node"], "wheels": []},
        "packages": [{"name": "apt", "version": "2.6.1", "architecture": "amd64", "sha256": "c" * 64}],
        "tools": {"tar": "1.34"},
        "tree_sha256": "d" * 64,
        "file": None,
        **fields,
    }
