"""Alertmanager's file: who is told what, grouped, repeated, held back. There is no secret in it.

Notifications go to the relay of the monitor's agent on loopback (health/alert_relay.py), which puts secrets in and
signs: Debian's Alertmanager 0.25 reads neither Discord's URL nor Telegram's token from a file, and no version signs.
"""

import io
from collections.abc import Iterable
from typing import Any, Final, assert_never

from ruamel.yaml import YAML

from livefleet.monitoring.alert import AlertRule
from livefleet.monitoring.promql import span
from livefleet.monitoring.rules import alert_rules
from livefleet.spec.alerts import AlertSettings
from livefleet.spec.notify import (
    DiscordReceiver,
    NotifySettings,
    PagerDutyReceiver,
    QuietHours,
    TelegramReceiver,
    WebhookReceiver,
)

__all__ = ["alertmanager_text"]

_NOBODY: Final = "nobody"
_HEARTBEAT: Final = "livefleet-heartbeat"
_QUIET: Final = "quiet-hours"
_PLACEHOLDER: Final = "put-in-by-the-relay"
_MOST_ALERTS: Final = 50  # in one call of a webhook; Alertmanager says how many it left out
_GONE: Final = ("NodeDown", "NodeSilent")
_DAYS: Final = {
    "mon": "monday", "tue": "tuesday", "wed": "wednesday", "thu": "thursday", "fri": "friday", "sat": "saturday",
    "sun": "sunday",
}  # fmt: skip

_TITLE: Final = (
    '{{ if eq .Status "firing" }}{{ .CommonLabels.severity | toUpper }}{{ else }}RESOLVED{{ end }} '
    "{{ .GroupLabels.alertname }} ({{ .Alerts | len }}) {{ .CommonLabels.fleet }}"
)
_LINES: Final = (
    "{{ range .Alerts }}{{ .Annotations.summary }}"
    '{{ if eq .Status "firing" }}\n{{ .Annotations.advice }}\n{{ .Annotations.runbook_url }}{{ end }}\n\n{{ end }}'
)
_TITLED_LINES: Final = f"{_TITLE}\n\n{_LINES}"


def alertmanager_text(settings: NotifySettings, alerts: AlertSettings | None = None) -> str:
    """alertmanager.yml. Alerts are held back only by those that are not switched off in `alerts`."""
    quiet = settings.quiet_hours
    document: dict[str, Any] = {
        "route": {
            "receiver": _NOBODY,
            "group_by": ["alertname", "fleet"],
            "group_wait": span(settings.wait),
            "group_interval": span(settings.every),
            "repeat_interval": span(settings.repeat),
            "routes": list(_routes(settings)),
        },
        "inhibit_rules": list(_inhibitions(alert_rules(alerts or AlertSettings()))),
        **({} if quiet is None else {"time_intervals": [_interval(quiet)]}),
        "receivers": list(_receivers(settings)),
    }
    yaml = YAML()
    yaml.width = 4096
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue()


def _routes(settings: NotifySettings) -> Iterable[dict[str, Any]]:
    heartbeat = settings.heartbeat
    beat = {}
    if heartbeat is not None:
        # What was told less than `repeat_interval` ago is left out of a round, so it has to be the shorter one.
        beat = {"group_interval": span(heartbeat.every), "repeat_interval": span(heartbeat.every / 2)}
    yield {
        "matchers": ['severity="heartbeat"'],
        "receiver": _NOBODY if heartbeat is None else _HEARTBEAT,
        "group_wait": "0s",
        **beat,
    }
    for name, receiver in settings.by_name.items():
        if "critical" in receiver.severities:
            yield {
                "matchers": ['severity="critical"'],
                "receiver": name,
                "repeat_interval": span(settings.repeat_critical),
                "continue": True,
            }
        others = [severity for severity in receiver.severities if severity != "critical"]
        if others:
            mute = {} if settings.quiet_hours is None else {"mute_time_intervals": [_QUIET]}
            matcher = f'severity=~"{"|".join(others)}"'
            yield {"matchers": [matcher], "receiver": name, "continue": True, **mute}


def _inhibitions(rules: Iterable[AlertRule]) -> Iterable[dict[str, Any]]:
    rules = tuple(rules)
    names = {rule.name for rule in rules}
    if gone := [name for name in _GONE if name in names]:
        yield {
            "source_matchers": [f'alertname=~"{"|".join(gone)}"'],
            "target_matchers": [f'alertname!~"{"|".join(_GONE)}"', 'node!=""'],
            "equal": ["node"],
        }
    for rule in rules:
        sources = [name for name in rule.held_by if name in names and name not in _GONE]
        if sources:
            yield {
                "source_matchers": [f'alertname=~"{"|".join(sources)}"'],
                "target_matchers": [f'alertname="{rule.name}"'],
                "equal": list(rule.held_on),
            }


def _interval(quiet: QuietHours) -> dict[str, Any]:
    return {
        "name": _QUIET,
        "time_intervals": [
            {
                "times": [{"start_time": begins, "end_time": ends}],
                "weekdays": [_DAYS[day] for day in days],
                "location": quiet.timezone,
            }
            for days, begins, ends in quiet.spans()
        ],
    }


def _receivers(settings: NotifySettings) -> Iterable[dict[str, Any]]:
    relay = f"http://{settings.relay_listen}"
    yield {"name": _NOBODY}
    if settings.heartbeat is not None:
        beat = {"url": f"{relay}/heartbeat", "send_resolved": False, "max_alerts": 1}
        yield {"name": _HEARTBEAT, "webhook_configs": [beat]}
    for name, receiver in settings.by_name.items():
        url = f"{relay}/{receiver.kind}/{name}"
        match receiver:
            case DiscordReceiver():
                config = {"webhook_url": url, "send_resolved": True, "title": _TITLE, "message": _LINES}
            case TelegramReceiver():
                config = {
                    "api_url": url,
                    "bot_token": _PLACEHOLDER,
                    "chat_id": receiver.chat,
                    "send_resolved": True,
                    "parse_mode": "HTML",
                    "message": _TITLED_LINES,
                }
            case PagerDutyReceiver():
                config = {
                    "url": url,
                    "routing_key": _PLACEHOLDER,
                    "send_resolved": True,
                    "description": _TITLE,
                    "severity": "{{ .CommonLabels.severity }}",
                    "client": "livefleet",
                    "details": {"alerts": _LINES},
                }
            case WebhookReceiver():
                config = {"url": url, "send_resolved": True, "max_alerts": _MOST_ALERTS}
            case _:
                assert_never(receiver)
        yield {"name": name, f"{receiver.kind}_configs": [config]}
