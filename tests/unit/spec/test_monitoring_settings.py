from pathlib import Path

import pytest
from ruamel.yaml import YAML

from livefleet.kernel import BadInput
from livefleet.spec import load_node
from tests.builders.spec import a_fleet

pytestmark = pytest.mark.unit

HEAD = "version: 1\nname: f\n"
HOST = "hosts:\n  a: {address: x, role: orchestrator, orchestrator: {service_uri: 'https://a:8935'}"


def test_metrics_per_stream__off_unless_declared__and_survives_rendering(tmp_path: Path) -> None:
    assert not a_fleet(tmp_path, f"{HEAD}{HOST}}}\n").node("a").monitoring.metrics_per_stream
    node = a_fleet(tmp_path, f"{HEAD}{HOST}, monitoring: {{metrics_per_stream: true}}}}\n").node("a")
    rendered = tmp_path / "node.yaml"
    with rendered.open("w") as file:
        YAML(typ="safe").dump(node.model_dump(mode="json", exclude_none=True), file)
    assert load_node(rendered).monitoring.metrics_per_stream


def test_metrics_per_stream__not_a_switch__is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="metrics_per_stream"):
        a_fleet(tmp_path, f"{HEAD}{HOST}, monitoring: {{metrics_per_stream: sometimes}}}}\n")
