"""Smoke jobs: small paid jobs by which the operator's machine sees that hosts earn."""

from collections.abc import Iterator, Mapping

from pydantic import Field, field_validator

from livefleet.spec.keys import KeyRef, KeyRole
from livefleet.spec.model import SpecModel
from livefleet.spec.pricing import WeiAmount
from livefleet.spec.problem import did_you_mean

__all__ = ["SmokeSettings", "smoke_faults"]


class SmokeSettings(SpecModel):
    """What `livefleet smoke` sends as a gateway, and what it may cost. Never sent to hosts."""

    key: str | None = None
    """Name (under `keys`) of the paying gateway account: one of its own, with a deposit and a reserve in the
    TicketBroker, whose file stays on this machine. None: only hosts off chain can be tried."""

    after_apply: bool | None = None
    """Whether `livefleet apply` tries the orchestrators and workers that it changed. None: where `key` is declared;
    true also where nothing is paid, off chain. Its `--smoke` and `--no-smoke` stand above this; a rollout goes by
    `rollout.smoke`."""

    withhold: bool = False
    """Whether orchestrators on a chain are offered to nobody but this account until a paid job has passed on the
    release and the driver that they run, and again from one that failed at their work until one passes. `key` has to
    tell its `address`. False: they are offered as soon as they are ready."""

    max_price: WeiAmount = 0
    """Wei a pixel of video above which nothing is paid, and the host fails; hosts ask a little more than is declared,
    for redeeming. 0: none."""

    max_spend: WeiAmount = 100_000_000_000_000
    """Wei that all tickets of one host's jobs may be worth (their expected value). No ticket is signed beyond it; a
    host that asks more fails. The default is 0.0001 ETH; at usual prices a run takes a tenth of it."""

    max_face_value: WeiAmount = 0
    """Wei that one ticket may pay where it wins. 0: what gateways accept, whose limit is the account's own deposit."""

    seconds: float = Field(default=4.0, ge=1, le=20)
    """Length of the generated clip, in segments of a second."""

    profiles: tuple[str, ...] = Field(default=("P144p30fps16x9", "P240p30fps16x9"), min_length=1, max_length=8)
    """Renditions to ask for: standard names, or spelled out like `640x360@30:800k`."""

    timeout_s: float = Field(default=120.0, gt=0, le=3600)
    """How long one job may take: a video stream, or one request to a model."""

    worker_sessions: int = Field(default=8, ge=1, le=64)
    """Jobs at once, at most, until a worker is seen to have done one: its orchestrator decides who does what, and gives
    them to its own devices and other workers first."""

    @field_validator("profiles")
    @classmethod
    def _each_once(cls, profiles: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(profiles)) < len(profiles):
            raise ValueError("a rendition is listed twice")
        return profiles


def smoke_faults(settings: SmokeSettings, keys: Mapping[str, KeyRef]) -> Iterator[tuple[str, str, str]]:
    """What does not hold between the settings and the fleet's keys: field, message, hint. Pure."""
    if settings.key is None:
        if settings.withhold:
            yield "withhold", "nobody pays for the jobs that orchestrators are to wait for", "name an account as `key`"
        return
    key = keys.get(settings.key)
    if key is None:
        yield "key", f"no key `{settings.key}` under `keys`", did_you_mean(settings.key, keys)
    elif key.roles is not None and KeyRole.COLD in key.roles:
        yield "key", f"`{settings.key}` is a cold key, and smoke jobs sign with it", "use an account of its own"
    elif not set(key.places) & {"file", "env", "command"}:
        hint = "give it as `file`, `env` or `command`: smoke jobs are signed here, not on a host"
        yield "key", f"key `{settings.key}` cannot be read on this machine", hint
    elif settings.withhold and key.address is None:
        hint = f"give `{settings.key}` its `address`: hosts have to know whom to answer meanwhile"
        yield "withhold", f"no host could tell who `{settings.key}` is", hint
