from pathlib import Path

import pytest
from pydantic import ValidationError

from livefleet.spec import ObjectStoreSettings, load_node, to_yaml
from tests.builders.spec import a_fleet, problems

pytestmark = pytest.mark.unit

FLEET = """\
name: demo
network: offchain
secrets: {bucket: {file: secrets/bucket}}
defaults: {role: orchestrator, duties: [transcoding]}
hosts:
  a:
    address: 203.0.113.10
    orchestrator:
      service_uri: https://a.example.com:8935
      peer_networks: [10.0.0.0/8]
      object_store: STORE
"""
STORE = "{url: 's3://eu-west-3/live-segments/eu', access_key: AKID, secret: bucket}"


def with_store(store: str) -> str:
    return FLEET.replace("STORE", store)


def test_object_store__survives_render_and_brings_its_secret(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path, with_store(STORE))
    node = fleet.node("a")
    assert node.orchestrator is not None
    assert node.orchestrator.object_store == ObjectStoreSettings(
        url="s3://eu-west-3/live-segments/eu", access_key="AKID", secret="bucket"
    )
    assert node.orchestrator.peer_networks == ("10.0.0.0/8",)
    assert node.secrets == {"bucket": "secrets/bucket"}
    file = tmp_path / "node.yaml"
    file.write_text(to_yaml(node))
    assert load_node(file) == node


def test_object_store__layers__are_merged(tmp_path: Path) -> None:
    text = with_store("{secret: bucket, url: 's3://eu-west-3/live-segments/a'}").replace(
        "duties: [transcoding]}",
        "duties: [transcoding], orchestrator: {object_store: {access_key: AKID, url: 's3://eu-west-3/all'}}}",
    )
    settings = a_fleet(tmp_path, text).node("a").orchestrator
    assert settings is not None
    assert settings.object_store is not None
    assert (settings.object_store.url, settings.object_store.access_key) == ("s3://eu-west-3/live-segments/a", "AKID")


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (
            STORE.replace("secret: bucket", "secret: buckets"),
            "no secret `buckets` under `secrets` (a); did you mean `bucket`?",
        ),
        (STORE.replace("access_key: AKID, ", ""), "S3 needs `access_key`"),
        ("{url: 's3://KEY:hidden@eu-west-3/b-1', access_key: AKID, secret: bucket}", "credentials do not belong"),
        ("{url: 'gs://b-1', access_key: AKID, secret: bucket}", "`access_key` is for S3"),
        ("{url: 'https://store/b-1', access_key: AKID, secret: bucket}", "write it as s3://REGION/BUCKET/PREFIX"),
        ("{url: 's3://eu-west-3', access_key: AKID, secret: bucket}", "is no name of a bucket"),
        ("{url: 's3://eu-west-3/b-1/../x', access_key: AKID, secret: bucket}", "is no prefix"),
        ("{url: 's3://eu-west-3/b-1/a//b', access_key: AKID, secret: bucket}", "is no prefix"),
    ],
)
def test_object_store__wrong__is_told_where_it_stands(tmp_path: Path, store: str, said: str) -> None:
    (problem, *_) = problems(tmp_path, with_store(store))
    assert said in problem
    assert problem.startswith("fleet.yaml:11:")
    assert "hidden" not in problem


def test_peer_networks__no_network__is_told(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, with_store(STORE).replace("10.0.0.0/8", "10.0.0.1/8"))
    assert "no network in CIDR notation" in problem


@pytest.mark.parametrize("url", ["gs://b-1", "gs://b.dots/p/q", "s3+http://127.0.0.1:9000/b-1", "s3+https://h/b-1/p"])
def test_object_store__right_url__is_taken(url: str) -> None:
    key = None if url.startswith("gs") else "AKID"
    assert ObjectStoreSettings(url=url, access_key=key, secret="s").url == url


def test_object_store__without_a_secret__is_no_store() -> None:
    with pytest.raises(ValidationError, match="secret"):
        ObjectStoreSettings.model_validate({"url": "gs://b-1"})
