"""Sources told apart by their content."""

import pytest

from livefleet.control.importer.detect import SourceKind, detect
from tests.builders.setups import FOLDER, SETUPS

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("livepeer -orchestrator", SourceKind.ARGV),
        ("$ ./livepeer \\\n -orchestrator", SourceKind.ARGV),
        ("-orchestrator -v 6", SourceKind.ARGV),
        ("sudo podman run x livepeer/go-livepeer -v 6", SourceKind.ARGV),
        ("LP_V=6\nA=b\n", SourceKind.ENV),
        ("export LP_V=6", SourceKind.ENV),
        ("orchestrator\nethUrl https://x=y\n", SourceKind.CONFIG),
        ("# r\n-orchestrator true\nethUrl x\n", SourceKind.ARGV),
        ("[Unit]\nA=b\n[Service]\nExecStart=/bin/livepeer", SourceKind.SYSTEMD),
        ("orchestrator\ntranscoder\nv 6\nLP_V=6\n", SourceKind.CONFIG),
        ("services:\n  a: {image: x}\n", SourceKind.COMPOSE),
        ("apiVersion: v1\nkind: Pod\n", SourceKind.KUBERNETES),
        ('{"apiVersion": "v1", "kind": "Pod"}', SourceKind.KUBERNETES),
        ('[{"Id": "x", "Config": {}, "HostConfig": {}}]', SourceKind.DOCKER_INSPECT),
        ('[{"Config": {"Image":', SourceKind.DOCKER_INSPECT),
        ('[{"pipeline": "llm", "model_id": "x"}]', SourceKind.AI_MODELS),
        ('{"gateways": []}', SourceKind.PRICES),
        ('{"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed": 800}', SourceKind.PRICES),
        ("[keystore1]\nkeystore = x\n", SourceKind.SIPHON),
        ("hello world", None),
        ("", None),
        ("[1, 2]", None),
    ],
)
def test_detect__by_content(text: str, kind: SourceKind | None) -> None:
    assert detect(text) is kind


@pytest.mark.parametrize(("name", "sources"), SETUPS.items())
def test_detect__every_setup__is_recognised(name: str, sources: list[str]) -> None:
    assert all(detect((FOLDER / name / source).read_text()) is not None for source in sources)
