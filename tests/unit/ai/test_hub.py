"""A hub's answers, right and wrong."""

import contextlib
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai.errors import WeightsBroken
from livefleet.ai.hub import (
    ContentHash,
    HubFile,
    Listing,
    file_path,
    is_commit,
    is_repository,
    listing_path,
    listing_text,
    parse_listing,
)
from tests.builders.hub import COMMIT, git_sha1

pytestmark = pytest.mark.unit


def an_answer(*siblings: Any, sha: Any = COMMIT) -> str:
    return json.dumps({"sha": sha, "siblings": list(siblings), "tags": ["more", "than we read"]})


def a_file(path: str = "config.json", **fields: Any) -> dict[str, Any]:
    return {"rfilename": path, "size": 2, "blobId": "b" * 40} | fields


def test_listing__of_the_hub__is_read() -> None:
    answer = an_answer(a_file(), a_file("unet/x.safetensors", lfs={"sha256": "c" * 64, "size": 7, "pointerSize": 134}))

    assert parse_listing(answer, name="hub") == Listing(
        COMMIT,
        (HubFile("config.json", 2, None, "b" * 40), HubFile("unet/x.safetensors", 7, "c" * 64, "b" * 40)),
    )


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("", "not a hub's answer"),
        ("<html>", "not a hub's answer"),
        ("[]", "not a hub's answer"),
        (an_answer(sha="main"), "sha: String should match pattern"),
        (an_answer(a_file(size=-1)), "siblings.0.size"),
        (an_answer(a_file(size=None)), "no size or hash of config.json"),
        (an_answer(a_file(blobId=None)), "no size or hash of config.json"),
        (an_answer(a_file(lfs={"sha256": "short", "size": 1})), "siblings.0.lfs.sha256"),
        *((an_answer(a_file(path)), "leads out of the repository") for path in
          ("../x", "/etc/passwd", "a/../../x", "a//b", "./a", "a\nb")),
    ],
)  # fmt: skip
def test_listing__wrong__is_broken(answer: str, told: str) -> None:
    with pytest.raises(WeightsBroken, match=told):
        parse_listing(answer, name="hub")


names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)
hub_files = st.builds(
    HubFile,
    path=st.lists(names, min_size=1, max_size=3).map("/".join),
    size=st.integers(0, 2**50),
    sha256=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    git_sha1=st.text("0123456789abcdef", min_size=40, max_size=40),
)


@given(st.lists(hub_files, max_size=4))
def test_listing__written__is_read_back(files: list[HubFile]) -> None:
    listing = Listing(COMMIT, tuple(files))
    assert parse_listing(listing_text(listing), name="here") == listing


@given(st.binary(max_size=60))
def test_listing__anything__is_read_or_broken(data: bytes) -> None:
    with contextlib.suppress(WeightsBroken):
        parse_listing(data, name="hub")


@given(st.binary(max_size=200), st.integers(1, 50))
def test_hash__of_any_chunks__is_gits_or_sha256(data: bytes, step: int) -> None:
    for file in (
        HubFile("a", len(data), None, git_sha1(data)),
        HubFile("a", len(data), hashlib.sha256(data).hexdigest(), "a" * 40),
    ):
        digest = ContentHash(file)
        for start in range(0, len(data), step):
            digest.update(data[start : start + step])
        assert digest.is_right
        digest.update(b"more")
        assert not digest.is_right


def test_hash__of_a_git_blob__is_what_git_says() -> None:
    """`printf 'hello\\n' | git hash-object --stdin`"""
    assert git_sha1(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner/name", True), ("gpt2", True), ("a/b/c", False), ("../x", False), ("a/..", False), ("/a/b", False),
        ("a b/c", False), ("", False), ("owner/na..me", False), ("a/" + "b" * 300, False),
    ],
)  # fmt: skip
def test_repository__is_an_id_or_not(text: str, expected: bool) -> None:
    assert is_repository(text) is expected


def test_paths__are_the_hubs() -> None:
    assert listing_path("o/n", "refs/pr/1") == "api/models/o/n/revision/refs%2Fpr%2F1"
    assert file_path("o/n", COMMIT, "a b/c#.json") == f"o/n/resolve/{COMMIT}/a%20b/c%23.json"
    assert is_commit(COMMIT)
    assert not is_commit("main")
