"""What a node remembers of the reasons that it gave gateways to leave."""

import asyncio
import re
from dataclasses import replace

import pytest

from livefleet.kernel import SystemClock
from tests.builders.payments import GATEWAY, no_tickets
from tests.builders.wire import ORCHESTRATOR, RecordingTranscoder, TabPayments, credentials_for, work_headers

pytestmark = pytest.mark.component

SOURCE = b"source" * 100


def told(orchestrator):
    return [(s.gateway, s.error) for s in orchestrator.server.snapshot().suspensions]


async def send(orchestrator, *, sequence=7, **headers):
    token = (await orchestrator.info()).auth_token
    credentials = credentials_for(token, SOURCE, sequence=sequence)
    return await orchestrator.segment(SOURCE, work_headers(credentials, **({"signer": None} | headers)))


@pytest.mark.parametrize(
    ("failure", "remembered"),
    [
        (None, []),
        ("TranscoderInvalidVideo", []),  # the source's fault: gateways stay
        ("TranscoderBusy", [("", "TranscoderBusy")]),
        ("Invalid data found when processing input", [("", "Invalid data found when processing input")]),
    ],
)
async def test_segment__what_makes_gateways_leave__is_remembered(serve, failure, remembered):
    orchestrator = await serve(transcoder=RecordingTranscoder(failure=failure))
    assert (await send(orchestrator)).error == failure
    assert told(orchestrator) == remembered


async def test_segment__slower_than_it_lasts__is_remembered(serve):
    class Clock(SystemClock):
        ahead = 0.0

        def monotonic(self):
            return super().monotonic() + self.ahead

    clock, transcoder = Clock(), RecordingTranscoder()
    transcoder.gate.clear()
    orchestrator = await serve(transcoder=transcoder, clock=clock)
    sent = asyncio.create_task(send(orchestrator))
    async with asyncio.timeout(30):
        while not transcoder.jobs:
            await asyncio.sleep(0.01)
    clock.ahead = 60.0
    transcoder.gate.set()
    assert (await sent).error is None
    ((gateway, error),) = told(orchestrator)
    assert gateway == ""
    assert re.fullmatch(r"6\d\.\d s for a segment of 2\.0 s", error)


async def test_segment__refused_after_its_headers_held__names_the_gateway__and_strangers_leave_no_trace(serve):
    orchestrator = await serve(transcoder=RecordingTranscoder(), payments=TabPayments(), signer=ORCHESTRATOR)
    token = (await orchestrator.info(orchestrator.signed())).auth_token
    credentials = credentials_for(token, SOURCE)
    forged = replace(credentials, signature=b"\1" * 65)
    for each, status in ((forged, 403), (credentials, 400)):
        headers = work_headers(each, no_tickets(), **({"signer": None} if each is forged else {}))
        answer = await orchestrator.http.post(f"{orchestrator.uri}/segment", content=SOURCE, headers=headers)
        assert answer.status_code == status
    assert told(orchestrator) == [(GATEWAY, "Insufficient balance")]
