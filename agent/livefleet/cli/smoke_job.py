"""Jobs that a gateway of ours pays one orchestrator for, stage by stage."""

import asyncio
import re
import secrets
import tempfile
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any

from livefleet.cli.smoke_requests import small_request
from livefleet.control import SmokeJob, SmokeStage
from livefleet.kernel import LivefleetError, OutsideWorld
from livefleet.media.inspection import MediaInfo, inspect
from livefleet.media.ladder import parse_profile
from livefleet.media.sample import make_clip
from livefleet.media.segmenter import SourceSegment, split
from livefleet.spec import SmokeSettings
from livefleet.wire.channel import Endpoint
from livefleet.wire.gateway import (
    PIPELINES,
    Payer,
    StreamClient,
    StreamReport,
    TooDear,
    ask,
    estimate_units,
    get_orchestrator,
    model_capabilities,
    price_of,
)
from livefleet.wire.proto import lp_rpc_pb2 as pb

__all__ = ["SmokeClip", "SmokeGateway"]

_SEGMENT_S = 1.0
_BITRATE = 150_000  # a segment then fits what HTTP/2 sends unasked: a host that refuses early is heard at once
_STATUS = re.compile(r"(?:^|: )(\d{3}) ")  # of an HTTP answer, in the client's words
_RESERVE = "insufficient sender reserve"  # the reference's words for an account without money


class _Failed(LivefleetError):
    """A job came no further."""

    def __init__(self, stage: SmokeStage, text: str, advice: str) -> None:
        super().__init__(text)
        self.stage = stage
        self.advice = advice


@dataclass(frozen=True, slots=True)
class _Passed:
    text: str
    price: Fraction | None


class SmokeClip:
    """A generated clip, made once and when it is first needed. May be asked from any thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._made: tuple[tuple[SourceSegment, ...], MediaInfo] | None = None

    def segments(self) -> tuple[tuple[SourceSegment, ...], MediaInfo]:
        """Its segments, and what is in it. Takes a second the first time."""
        with self._lock:
            if self._made is None:
                with tempfile.TemporaryDirectory(prefix="livefleet-smoke-") as folder:
                    file = make_clip(Path(folder) / "clip.ts", self._seconds, width=640, height=360, bitrate=_BITRATE)
                    found = tuple(split(file, seconds=_SEGMENT_S))
                self._made = found, inspect(found[0].data)
            return self._made


class SmokeGateway:
    """A paying gateway before one orchestrator. One event loop's property.

    A job that fails is a SmokeJob that says so; nothing is raised but BadInput for settings that make no job.
    """

    def __init__(self, endpoint: Endpoint, payer: Payer, settings: SmokeSettings, clip: SmokeClip) -> None:
        self.endpoint = endpoint
        self._payer = payer
        self._settings = settings
        self._clip = clip
        self._profiles = tuple(parse_profile(text) for text in settings.profiles)

    async def video(self, *, held: AsyncExitStack | None = None) -> SmokeJob:
        """A stream. With `held` it is one segment, and the session stays open until that ends."""
        async with AsyncExitStack() as own:
            return await self._try("video", self._video(held or own, is_short=held is not None))

    async def model(self, pipeline: str, model_id: str) -> SmokeJob:
        """One request to a model."""
        return await self._try(f"{pipeline} {model_id}", self._model(pipeline, model_id))

    async def offered_models(self) -> tuple[tuple[str, str], ...]:
        """Pipeline and model id of each model on offer; none where nobody answers: the jobs say why."""
        try:
            info = await get_orchestrator(self.endpoint, self._payer, None)
        except OutsideWorld:
            return ()
        return _models_of(info)

    async def _try(self, what: str, doing: Coroutine[None, None, _Passed]) -> SmokeJob:
        started, before = time.monotonic(), self._payer.spending

        def job(text: str, **more: Any) -> SmokeJob:
            spent = self._payer.spending
            return SmokeJob(
                what,
                text,
                tickets=spent.tickets - before.tickets,
                spent=spent.expected_value - before.expected_value,
                took_s=time.monotonic() - started,
                **more,
            )

        try:
            async with asyncio.timeout(self._settings.timeout_s):
                passed = await doing
        except _Failed as failed:
            return job(str(failed), failed_at=failed.stage, advice=failed.advice)
        except TimeoutError:
            text = f"no result within {self._settings.timeout_s:g} s"
            return job(text, failed_at=SmokeStage.WORK, advice="see whether it is overloaded, or raise smoke.timeout_s")
        return job(passed.text, price=passed.price)

    async def _video(self, held: AsyncExitStack, *, is_short: bool) -> _Passed:
        segments, source = await asyncio.to_thread(self._clip.segments)
        if is_short:
            segments = segments[:1]
        try:
            client = await held.enter_async_context(
                StreamClient(self.endpoint, self._payer, self._profiles, manifest_id=secrets.token_hex(4))
            )
        except OutsideWorld as error:
            raise self._not_found(error) from error
        units = estimate_units(self._profiles, _SEGMENT_S)
        self._check_price(client.info, client.info.auth_token.session_id, units, most=self._settings.max_price)
        outcomes = [outcome async for outcome in client.run(segments, source=source)]
        report = client.report(outcomes)
        if report.failures:
            raise self._refused(report.failures[0])
        self._check_stream(report, len(segments))
        pixels = sum(segment.pixels for segment in report.segments)
        again = f", {report.retries} of them tried again" if report.retries else ""
        signed = "unsigned, as off chain" if self._payer.address is None else "signed"
        text = f"{len(segments)} segment(s){again} in {len(self._profiles)} rendition(s), {pixels} pixels, {signed}"
        return _Passed(text, report.price)

    async def _model(self, pipeline: str, model_id: str) -> _Passed:
        request = small_request(pipeline, model_id)
        try:
            info = await get_orchestrator(self.endpoint, self._payer, model_capabilities(request))
        except OutsideWorld as error:
            raise self._not_found(error) from error
        if (pipeline, model_id) not in _models_of(info):
            told = ", ".join(f"{name} of {kind}" for kind, name in _models_of(info)) or "no models"
            text = f"it does not offer this model now; it offers {told}"
            raise _Failed(SmokeStage.DISCOVER, text, "`livefleet models list` on the host, or its workers, says why")
        self._check_price(info, request.manifest_id, request.units())
        try:
            report = await ask(self.endpoint, self._payer, request, timeout_s=self._settings.timeout_s)
        except (OutsideWorld, TooDear) as error:
            raise self._refused(str(error)) from error
        if report.problems:
            raise _Failed(SmokeStage.CHECK, "; ".join(report.problems), _BAD_WORK)
        return _Passed(f"answered in {report.round_trip_s:.1f} s, {report.units} unit(s)", report.price)

    def _check_price(self, info: pb.OrchestratorInfo, session: str, units: int, *, most: int = 0) -> None:
        price = price_of(info)
        if price is not None and self._payer.address is None:
            text = f"it asks {_wei(price)} wei a unit, and there is no account to pay with"
            raise _Failed(SmokeStage.PAY, text, "declare one as smoke.key")
        if most and price is not None and price > most:
            text = f"it asks {_wei(price)} wei a pixel, and smoke.max_price is {most}"
            raise _Failed(SmokeStage.PRICE, text, "see `livefleet price`, or raise smoke.max_price")
        try:
            self._payer.tickets_due(info, session, units)
        except TooDear as error:
            advice = "see `livefleet price`, or raise smoke.max_spend or smoke.max_face_value"
            raise _Failed(SmokeStage.PRICE, str(error), advice) from error
        except OutsideWorld as error:
            raise _Failed(SmokeStage.PAY, str(error), "no gateway pays so: see `orchestrator.ticket`") from error

    def _check_stream(self, report: StreamReport, wanted: int) -> None:
        problems = [problem for segment in report.segments for problem in segment.problems]
        if len(report.segments) < wanted:
            problems.append(f"{len(report.segments)} of {wanted} segments came back")
        if problems:
            raise _Failed(SmokeStage.CHECK, "; ".join(problems), _BAD_WORK)

    def _not_found(self, error: OutsideWorld) -> _Failed:
        if _RESERVE in str(error):
            return self._unpaid(str(error))
        advice = f"is {self.endpoint} reachable from here, and does it take work? `livefleet why` says more"
        return _Failed(SmokeStage.DISCOVER, str(error), advice)

    def _refused(self, text: str) -> _Failed:
        """What a request for work came to, by the answer's status: payments are looked at first, and refused by 400."""
        if _RESERVE in text:
            return self._unpaid(text)
        match = _STATUS.search(text)
        if match is not None and match[1] == "400":
            return self._unpaid(text)
        return _Failed(SmokeStage.WORK, text, "look at its conditions and its log")

    def _unpaid(self, text: str) -> _Failed:
        advice = f"has {self._payer.address} a deposit and a reserve in the TicketBroker, and the host its chain?"
        return _Failed(SmokeStage.PAY, text, advice)


def _models_of(info: pb.OrchestratorInfo) -> tuple[tuple[str, str], ...]:
    """Pipeline and model id of each that is told."""
    offered = info.capabilities.constraints.PerCapability
    return tuple(
        sorted(
            (pipeline, model)
            for pipeline, form in PIPELINES.items()
            if form.capability in offered
            for model in offered[form.capability].models
        )
    )


_BAD_WORK = "gateways would leave this host: drain it, and look at its devices"


def _wei(price: Fraction) -> str:
    return str(price.numerator) if price.denominator == 1 else f"{float(price):.10g}"
