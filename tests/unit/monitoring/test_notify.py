import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from livefleet.monitoring.notify import alertmanager_text
from livefleet.monitoring.rules import alert_rules
from livefleet.spec.alerts import AlertSettings
from livefleet.spec.notify import NotifySettings, QuietHours, notify_secrets

pytestmark = pytest.mark.unit

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RECEIVERS = [
    {"kind": "discord", "url": "discord-hook"},
    {"kind": "telegram", "token": "bot", "chat": -100},
    {"kind": "pagerduty", "key": "pager"},
    {"kind": "webhook", "url": "https://example.com/hook", "secret": "hmac", "severities": ["warning"]},
    {"kind": "webhook", "name": "second", "url": "hook-url"},
]


def settings(**fields):
    return NotifySettings.model_validate({"receivers": RECEIVERS} | fields)


def document(notify, alerts=None):
    return YAML(typ="safe").load(alertmanager_text(notify, alerts))


def routes_of(notify):
    return document(notify)["route"]["routes"]


def test_routes__each_receiver__gets_its_severities_and_the_heartbeat_nobody():
    beat, *routes = routes_of(settings())
    assert beat == {"matchers": ['severity="heartbeat"'], "receiver": "nobody", "group_wait": "0s"}
    critical = [route["receiver"] for route in routes if route["matchers"] == ['severity="critical"']]
    assert critical == ["discord", "telegram", "pagerduty", "second"]
    others = {route["receiver"]: route["matchers"] for route in routes if route["receiver"] not in "pagerduty"}
    assert others["webhook"] == ['severity=~"warning"']
    assert all(route["continue"] for route in routes)


def test_routes__quiet_hours__hold_back_all_but_critical_alerts():
    notify = settings(quiet_hours={"opens": "22:00", "closes": "07:00", "timezone": "Europe/Berlin"})
    for route in routes_of(notify):
        is_held = "mute_time_intervals" in route
        assert is_held == ("warning" in route["matchers"][0]), route
    (interval,) = document(notify)["time_intervals"]
    assert {span["location"] for span in interval["time_intervals"]} == {"Europe/Berlin"}


def test_text__secrets__are_not_in_it():
    text = alertmanager_text(settings(heartbeat={"url": "beat-url"}))
    for name in ("discord-hook", "hmac", "hook-url", "beat-url", "https://example.com"):
        assert name not in text
    assert set(re.findall(r"https?://[^/\s]+", text)) == {"http://127.0.0.1:9095"}


def test_text__no_receivers__tells_nobody():
    found = document(NotifySettings())
    assert [receiver["name"] for receiver in found["receivers"]] == ["nobody"]
    assert not NotifySettings().needs_relay


def test_inhibition__a_node_that_is_down__holds_back_all_else_of_it_but_not_the_heartbeat():
    first, *others = document(settings())["inhibit_rules"]
    assert first["source_matchers"] == ['alertname=~"NodeDown|NodeSilent"']
    assert first["target_matchers"] == ['alertname!~"NodeDown|NodeSilent"', 'node!=""']
    assert first["equal"] == ["node"]
    held = {rule["target_matchers"][0].split('"')[1]: rule for rule in others}
    assert held.keys() == {rule.name for rule in alert_rules(AlertSettings()) if {*rule.held_by} - {"NodeDown"}}
    assert held["GasLow"]["equal"] == ["node", "key"]


def test_inhibition__an_alert_that_is_switched_off__holds_nothing_back():
    text = alertmanager_text(settings(), AlertSettings(off=("NodeDown", "NodeSilent", "GasNearlyOut")))
    assert "GasNearlyOut" not in text
    assert 'alertname=~"NodeDown' not in text


def test_secrets__what_the_monitor_needs():
    notify = settings(heartbeat={"url": "beat-url"})
    assert list(notify_secrets(notify)) == ["discord-hook", "bot", "pager", "hmac", "hook-url", "beat-url"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"receivers": [RECEIVERS[0], RECEIVERS[0]]}, "two receivers are called `discord`"),
        ({"receivers": [{"kind": "discord", "url": "https://discord.com/api/x"}]}, "keep it under `secrets`"),
        ({"receivers": [{"kind": "webhook", "url": "ftp://x/y"}]}, "is no http"),
        ({"receivers": [{"kind": "webhook", "url": "https://u:p@x/y"}]}, "is no http"),
        ({"receivers": [{"kind": "mail", "to": "x"}]}, "does not match any of the expected tags"),
        ({"relay_listen": "0.0.0.0:9095"}, "loopback"),
        ({"quiet_hours": {"opens": "22", "closes": "07:00"}}, "no time of day"),
        ({"quiet_hours": {"opens": "22:00", "closes": "07:00", "timezone": "Mars/Base"}}, "no known time zone"),
        ({"wait": "soon"}, "no length of time"),
        ({"heartbeat": {"url": "x", "every": "0s"}}, "greater than 0"),
    ],
)
def test_settings__bad_input__says_what_is_wrong(fields, said):
    with pytest.raises(ValidationError, match=said):
        settings(**fields)


@pytest.mark.parametrize(
    ("text", "seconds"), [("7d", 604800), ("1d12h", 129600), ("0.5d", 43200), ("90s", 90), (45, 45), ("30", 30)]
)
def test_span__as_people_write_it(text, seconds):
    assert AlertSettings.model_validate({"drift_after": text}).drift_after == seconds


@pytest.mark.parametrize("text", ["d", "7 d", "1d2", "1dd", "-1d", "1d1d", "", "nan", "1e3d", float("inf"), 0])
def test_span__anything_else__is_refused(text):
    with pytest.raises(ValidationError):
        AlertSettings.model_validate({"drift_after": text})


@pytest.mark.parametrize(
    "fields", [{"gas_runway": "1d"}, {"disk_free": 0.02}, {"off": ["no work"]}, {"runbook_url": "RUNBOOK.md"}]
)
def test_alert_settings__contradictions_and_bad_names__are_refused(fields):
    with pytest.raises(ValidationError):
        AlertSettings.model_validate(fields)


clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))


@given(days=st.sets(st.sampled_from(WEEK), min_size=1), opens=clocks, closes=clocks)
def test_quiet_hours__spans__cover_each_night_and_never_cross_midnight(days, opens, closes):
    quiet = QuietHours(days=tuple(days), opens=opens, closes=closes)
    covered = set()
    for on, begins, ends in quiet.spans():
        assert begins < ends
        covered |= {WEEK.index(day) * 1440 + minute for day in on for minute in range(minutes(begins), minutes(ends))}
    lasts = (minutes(closes) - minutes(opens)) % 1440 or 1440
    wanted = {
        (WEEK.index(day) * 1440 + minutes(opens) + minute) % (7 * 1440) for day in days for minute in range(lasts)
    }
    assert covered == wanted


def minutes(clock):
    hour, minute = map(int, clock.split(":"))
    return hour * 60 + minute


def test_receivers__order_of_the_spec__is_kept():
    names = [receiver["name"] for receiver in document(settings())["receivers"]]
    assert names == ["nobody", "discord", "telegram", "pagerduty", "webhook", "second"]
    assert all(a != b for a, b in pairwise(names))
