"""Data as the text of a file that programs read and people look at."""

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

__all__ = ["HEAD", "yaml_text"]

HEAD = "# Written by livefleet; `livefleet apply` puts it back.\n"


def yaml_text(data: Mapping[str, Any]) -> str:
    """YAML in the data's order, the same for the same data."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # declared as None; the data's order
    writer.width = 120
    text = io.StringIO()
    writer.dump(dict(data), text)
    return HEAD + text.getvalue()
