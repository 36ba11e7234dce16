"""Who is told of alerts, how often, and when not."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from livefleet.spec.alerts import Span
from livefleet.spec.local_time import WEEK, TimeOfDay, TimeZone, Weekday
from livefleet.spec.model import SpecModel
from livefleet.spec.network import ListenAddress

__all__ = [
    "DiscordReceiver", "Heartbeat", "NotifySettings", "PagerDutyReceiver", "QuietHours", "Receiver", "TelegramReceiver",
    "WebhookReceiver", "notify_secrets",
]  # fmt: skip

_LOOPBACK: Final = ("127.", "localhost:", "[::1]:")

ReceiverName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
"""Small letters, digits and `-`: it is also part of a path."""


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise ValueError(f"{text!r} is no http(s) URL without user and fragment")
    return text


HttpUrl = Annotated[str, AfterValidator(_http_url)]


def _url_or_secret(text: str) -> str:
    return _http_url(text) if "://" in text else text


UrlOrSecret = Annotated[str, StringConstraints(min_length=1), AfterValidator(_url_or_secret)]
"""An http or https URL, or the name (under `secrets`) of a secret that holds one, since many such URLs are secrets."""


class _Receiver(SpecModel):
    """What all ways have in common."""

    name: ReceiverName | None = None
    """What it is called in notes and logs. None: its kind."""

    severities: tuple[Literal["critical", "warning", "info"], ...] = Field(
        default=("critical", "warning", "info"), min_length=1
    )
    """Which alerts go there."""


class DiscordReceiver(_Receiver):
    """A channel of Discord."""

    kind: Literal["discord"]
    """`discord`."""

    url: str = Field(min_length=1)
    """Name (under `secrets`) of the channel's webhook URL."""

    @field_validator("url")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if "://" in value:
            raise ValueError("whoever has this URL can write to the channel: keep it under `secrets`, and name it here")
        return value


class TelegramReceiver(_Receiver):
    """A chat of Telegram, by a bot."""

    kind: Literal["telegram"]
    """`telegram`."""

    token: str = Field(min_length=1)
    """Name (under `secrets`) of the bot's token."""

    chat: int
    """The chat's number; that of a group is negative."""

    api: HttpUrl = "https://api.telegram.org"
    """Where Telegram's bot API is; another one where a server of one's own speaks it."""


class PagerDutyReceiver(_Receiver):
    """A service of PagerDuty."""

    kind: Literal["pagerduty"]
    """`pagerduty`."""

    key: str = Field(min_length=1)
    """Name (under `secrets`) of the integration key (Events API v2)."""

    severities: tuple[Literal["critical", "warning", "info"], ...] = Field(default=("critical",), min_length=1)
    """Which alerts go there: by default those for which somebody is woken."""

    api: HttpUrl = "https://events.pagerduty.com/v2/enqueue"
    """Where events go; `https://events.eu.pagerduty.com/v2/enqueue` for accounts in the EU."""


class WebhookReceiver(_Receiver):
    """Any program that takes Alertmanager's JSON by POST."""

    kind: Literal["webhook"]
    """`webhook`."""

    url: UrlOrSecret
    """Where it listens: a URL, or the name (under `secrets`) of a secret that holds it."""

    secret: str | None = None
    """Name (under `secrets`) of the secret that bodies are signed with (HMAC-SHA256), so that the receiver knows who
    sent them. None: they are not signed."""


Receiver = Annotated[
    DiscordReceiver | TelegramReceiver | PagerDutyReceiver | WebhookReceiver, Field(discriminator="kind")
]
"""One way to people."""


class QuietHours(SpecModel):
    """Hours in which only critical alerts are told, `{opens: "22:00", closes: "07:00", timezone: Europe/Berlin}`.

    What still fires when they are over is told then.
    """

    days: tuple[Weekday, ...] = Field(default=WEEK, min_length=1)
    """Days on which they begin."""

    opens: TimeOfDay
    """Local time, `HH:MM`."""

    closes: TimeOfDay
    """Local time, `HH:MM`; at or before `opens` it is that of the next day."""

    timezone: TimeZone = "UTC"
    """Name of a time zone as in `Europe/Berlin`."""

    def spans(self) -> Iterator[tuple[tuple[Weekday, ...], str, str]]:
        """Days, from and to (`24:00` at most) without crossing midnight."""
        if self.opens < self.closes:
            yield self.days, self.opens, self.closes
            return
        yield self.days, self.opens, "24:00"
        if self.closes > "00:00":
            following = tuple(WEEK[(WEEK.index(day) + 1) % len(WEEK)] for day in self.days)
            yield following, "00:00", self.closes


class Heartbeat(SpecModel):
    """A service outside that says when the monitor itself is down, by hearing nothing any more."""

    url: UrlOrSecret
    """Asked by POST as long as monitoring works: a URL, or the name (under `secrets`) of a secret that holds it."""

    every: Span = 60.0
    """How often. The service should wait for three of them before it tells somebody."""


class NotifySettings(SpecModel):
    """Notifications. Without receivers alerts are seen on Prometheus' and Alertmanager's own pages only."""

    receivers: tuple[Receiver, ...] = ()
    """Who is told. Secrets stay with the monitor's agent, which passes on what Alertmanager sends and puts them in:
    Alertmanager's file has none."""

    quiet_hours: QuietHours | None = None
    """When only critical alerts are told. None: never."""

    heartbeat: Heartbeat | None = None
    """Who is to notice that the monitor is down. None: nobody."""

    wait: Span = 30.0
    """How long a first alert waits for others like it, to be told together: alerts of one name in one fleet are one
    message."""

    every: Span = 300.0
    """How long what is added to such a message waits."""

    repeat_critical: Span = 4 * 3600.0
    """After how long a critical alert that goes on is told again."""

    repeat: Span = 24 * 3600.0
    """The same for others."""

    relay_listen: ListenAddress = "127.0.0.1:9095"
    """Where the monitor's agent takes notifications from Alertmanager, to sign them and put secrets in. Loopback."""

    @field_validator("relay_listen")
    @classmethod
    def _is_loopback(cls, value: str) -> str:
        if not value.startswith(_LOOPBACK):
            raise ValueError("whoever reaches the relay can notify people in your name: give a loopback address")
        return value

    @model_validator(mode="after")
    def _names_differ(self) -> "NotifySettings":
        names = [receiver.name or receiver.kind for receiver in self.receivers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two receivers are called `{name}`: give each a `name` of its own")
        return self

    @cached_property
    def by_name(self) -> dict[str, DiscordReceiver | TelegramReceiver | PagerDutyReceiver | WebhookReceiver]:
        """The receivers by what they are called."""
        return {receiver.name or receiver.kind: receiver for receiver in self.receivers}

    @property
    def needs_relay(self) -> bool:
        """Whether anything is sent at all."""
        return bool(self.receivers) or self.heartbeat is not None


def notify_secrets(settings: NotifySettings) -> Iterator[str]:
    """Names of the secrets that the monitor's agent needs for it."""
    for receiver in settings.receivers:
        match receiver:
            case DiscordReceiver():
                yield receiver.url
            case TelegramReceiver():
                yield receiver.token
            case PagerDutyReceiver():
                yield receiver.key
            case WebhookReceiver():
                yield from (name for name in (receiver.secret,) if name is not None)
                yield from _secret_of(receiver.url)
    if settings.heartbeat is not None:
        yield from _secret_of(settings.heartbeat.url)


def _secret_of(url: str) -> Iterator[str]:
    if "://" not in url:
        yield url
