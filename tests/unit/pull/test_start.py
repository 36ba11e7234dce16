"""What a node starts with, where its environment was made for other duties than those that it has pulled."""

from pathlib import Path

import pytest

from livefleet.pull import Held, PullStore, Standing, newest_settings
from livefleet.spec import NodeSpec, node_digest, to_yaml

pytestmark = pytest.mark.unit


def a_worker(**fields: object) -> NodeSpec:
    known = {"fleet": "f", "name": "n", "role": "worker", "worker": {"orchestrator": "o:8935", "secret": "join"}}
    return NodeSpec.model_validate({**known, **fields})


@pytest.mark.parametrize("is_there", [True, False])
def test_start__packages_of_what_was_pulled_are_missing__goes_on_with_what_was_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "av" and not is_there else object())
    applied, pulled = a_worker(), a_worker(duties=["transcoding"])
    store = PullStore(tmp_path)
    held = Held(version=3, sha256=store.keep(to_yaml(pulled).encode()), applied=node_digest(applied))
    store.remember(Standing(good=held))
    assert newest_settings(applied, store) == (pulled if is_there else applied)
    assert (store.standing().good is None) == (not is_there)
