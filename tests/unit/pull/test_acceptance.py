"""What an agent takes over by itself, and what only `apply` may bring."""

import pytest

from livefleet.pull import refusals
from tests.builders.spec import a_fleet

FLEET = """\
name: home
network: offchain
secrets: {join: {env: JOIN}, other: {env: OTHER}}
defaults: {profile: cpu, pull: {url: "https://bundles.example.com/home", trust: root.json}}
hosts:
  w1:
    address: 203.0.113.10
    role: worker
    duties: [transcoding]
    worker: {orchestrator: "o:8935", secret: join}
"""


def a_node(tmp_path, *changes):
    text = FLEET
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return a_fleet(tmp_path, text, cpu="gpus: none\n").node("w1")


def everything(path):
    return True


def nothing(path):
    return False


def test_other_settings__may_be_taken(tmp_path):
    newer = a_node(tmp_path, ("duties: [transcoding]", "duties: {transcoding: {max_sessions: 7}}"))
    assert refusals(a_node(tmp_path), newer, everything) == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: home", "name: away", "`fleet` would change"),
        ("    role: worker", "    root: /srv\n    role: worker", "`root` would change"),
        ("    role: worker", "    pull:\n    role: worker", "no longer looks"),
        ("    role: worker", "    service: {stop_timeout_s: 5}\n    role: worker", "`service` changes"),
    ],
)
def test_what_apply_alone_may_do__is_refused_by_name(tmp_path, old, new, said):
    reasons = refusals(a_node(tmp_path), a_node(tmp_path, (old, new)), everything)
    assert len(reasons) == 1
    assert said in reasons[0]


def test_a_worker_to_be_an_orchestrator__is_refused(tmp_path):
    orchestrator = a_node(
        tmp_path,
        ("role: worker", "role: orchestrator"),
        ('worker: {orchestrator: "o:8935", secret: join}', "orchestrator: {service_uri: 'https://o.example.com:8935'}"),
    )
    assert any("front door" in reason for reason in refusals(a_node(tmp_path), orchestrator, everything))


def test_a_secret_that_is_not_on_the_host__is_refused_with_what_to_do(tmp_path):
    reasons = refusals(a_node(tmp_path), a_node(tmp_path, ("secret: join", "secret: other")), nothing)
    assert [("apply once" in reason) for reason in reasons] == [True, True]
    assert any("`other`" in reason for reason in reasons)
