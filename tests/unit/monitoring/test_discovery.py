"""Target lists: who is in which, with which labels."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.monitoring import target_list
from livefleet.monitoring.discovery import doors, through
from livefleet.spec import MonitoredHost

pytestmark = pytest.mark.unit

A = MonitoredHost(name="a", role="worker", address="10.0.0.1:7937", token="scrape", exporter="10.0.0.1:7937")
OWN = MonitoredHost(name="mon", role="monitor", address="127.0.0.1:7936", exporter="127.0.0.1:9100")
PULLS = MonitoredHost(name="p", role="worker", address="10.0.0.2:7937", token="scrape", pulls=True)
PUSHES = MonitoredHost(name="far", role="worker")


def test_target_list__exporter_behind_the_door__is_asked_by_its_path() -> None:
    agent, exporter = json.loads(target_list("f", [A]))
    assert agent == {
        "targets": ["10.0.0.1:7937"],
        "labels": {"job": "livefleet", "fleet": "f", "node": "a", "role": "worker"},
    }
    assert exporter["labels"] == {**agent["labels"], "job": "node", "__metrics_path__": "/node"}


def test_target_list__exporter_on_the_same_machine__is_asked_itself() -> None:
    _, exporter = json.loads(target_list("f", [OWN]))
    assert exporter["targets"] == ["127.0.0.1:9100"]
    assert "__metrics_path__" not in exporter["labels"]


def test_target_list__nobody__is_an_empty_list() -> None:
    assert json.loads(target_list("f", [])) == []


def test_doors__one_for_each_way_in__and_none_for_who_pushes() -> None:
    assert doors([A, OWN, PULLS, PUSHES]) == ((False, ""), (False, "scrape"))


def test_through__host_in_pull_mode__is_told_apart() -> None:
    assert list(through([A, PULLS, PUSHES], (False, "scrape"), pulling=False)) == [A]
    assert list(through([A, PULLS, PUSHES], (False, "scrape"), pulling=True)) == [PULLS]


hosts = st.builds(
    MonitoredHost,
    name=st.text(min_size=1, max_size=20),
    role=st.sampled_from(["worker", "orchestrator"]),
    address=st.sampled_from(["", "h:1", "[::1]:2"]),
    tls=st.booleans(),
    token=st.sampled_from(["", "t", "u"]),
    pulls=st.booleans(),
)


@given(st.lists(hosts, max_size=8))
def test_lists__together__have_each_host_that_is_asked_once(found: list[MonitoredHost]) -> None:
    listed = [host for door in doors(found) for way in (True, False) for host in through(found, door, pulling=way)]
    assert sorted(map(repr, listed)) == sorted(repr(host) for host in found if host.address)
