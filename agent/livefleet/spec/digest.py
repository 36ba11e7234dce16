"""A node's spec as text for its file, and as one short name for its content."""

import hashlib
import io
import json
from typing import Any

from ruamel.yaml import YAML

from livefleet.spec.node import NodeSpec

__all__ = ["digest_in_short", "node_digest", "to_yaml"]


def node_digest(node: NodeSpec) -> str:
    """`sha256:` and 64 hex digits over the canonical JSON. Equal for equal specs, whatever order they were written in.

    Values that are None do not count, so that a new optional field leaves digests as they are.
    """
    canonical = json.dumps(_plain(node), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def digest_in_short(digest: str) -> str:
    """The first 12 hex digits: what people tell digests apart by."""
    return digest.removeprefix("sha256:")[:12]


def to_yaml(node: NodeSpec) -> str:
    """The text of node.yaml: the same for the same spec, and read back by `load_node` as an equal one."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # declared as None; the model's order
    writer.width = 120
    text = io.StringIO()
    writer.dump(_plain(node), text)
    return (
        f"# Node {node.name} of fleet {node.fleet}, written by livefleet; the next apply overwrites changes.\n"
        f"# {node_digest(node)}\n{text.getvalue()}"
    )


def _plain(node: NodeSpec) -> dict[str, Any]:
    return node.model_dump(mode="json", exclude_none=True)
