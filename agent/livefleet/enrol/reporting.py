"""Tells the operator's service how an enrolled host is: small, signed, best effort, and never in the node's way."""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final, Protocol

from livefleet.enrol.client import EnrolClient
from livefleet.enrol.errors import EnrolError
from livefleet.enrol.identity import load_identity
from livefleet.enrol.placing import EnrolPlaces
from livefleet.kernel import Backoff, BadInput, Blocking, run_duty
from livefleet.spec import NodePaths
from livefleet.spec.enrolment import HostReport

__all__ = ["ReportSink", "Reports", "reports_of"]

log = logging.getLogger(__name__)

_EVERY_S: Final = 60.0
_LOOK_S: Final = 5.0  # news is told within this
_EXCHANGE_S: Final = 6.0  # a node that stops waits no longer for its last report


class ReportSink(Protocol):
    """Where reports go."""

    def report(self, report: HostReport) -> None:
        """Take one. May block for seconds. Raises EnrolError."""


class Reports:
    """One a minute, and soon after readiness, what keeps the node from it, or its settings have changed.

    What fails is tried again later, and that is all.
    """

    def __init__(
        self,
        sink: ReportSink,
        told: Callable[[], HostReport],
        *,
        every_s: float = _EVERY_S,
        look_s: float = _LOOK_S,
        rng: random.Random | None = None,
    ) -> None:
        self._sink = sink
        self._told = told
        self._every_s = every_s
        self._look_s = look_s
        self._rng = rng or random.Random()
        self._fault: str | None = None

    async def run(self) -> None:
        """Until cancelled; an error of ours is logged and tried again, since a node serves without being heard."""
        await run_duty("enrol_report", self._rounds, on_failure=lambda _: None)

    async def _rounds(self) -> None:
        backoff = Backoff(first_s=self._every_s, factor=2.0, cap_s=60 * self._every_s, jitter=0.2)
        async with Blocking("enrol-report") as blocking:
            while True:
                report = self._told()
                try:
                    await blocking.run(self._sink.report, report)
                except EnrolError as error:
                    self._note(str(error.fault), str(error))
                    await asyncio.sleep(backoff.next(self._rng))
                else:
                    self._note(None, "")
                    backoff.reset()
                    await self._until_news(report)

    async def _until_news(self, sent: HostReport) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._every_s * self._rng.uniform(0.8, 1.2)
        while (left_s := until - loop.time()) > 0:
            await asyncio.sleep(min(left_s, self._look_s))
            now = self._told()
            if _news(now) != _news(sent):
                return

    def _note(self, fault: str | None, text: str) -> None:
        """Once for each change."""
        if fault == self._fault:
            return
        self._fault = fault
        if fault is None:
            log.info("enrol_report.taken")
        else:
            log.warning("enrol_report.not_taken", extra={"fault": fault, "error": text})


def _news(report: HostReport) -> tuple[object, ...]:
    return report.ready, report.reasons, report.digest


def reports_of(paths: NodePaths, told: Callable[[], HostReport]) -> Reports | None:
    """For a host that has enrolled; None for every other, and where its key is gone."""
    places = EnrolPlaces(paths)
    enrolment = places.enrolled()
    if enrolment is None:
        return None
    try:
        identity = load_identity(places.identity)
    except BadInput as error:
        log.warning("enrol_report.no_key", extra={"error": str(error)})
        return None
    client = EnrolClient(enrolment.url, enrolment.trust, identity, exchange_s=_EXCHANGE_S)
    return Reports(client, told)
