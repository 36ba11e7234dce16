"""A node whose devices have no room left, though the number of sessions would allow more."""

import asyncio

import grpc
import pytest

from livefleet.wire.capabilities import Capabilities, Capability, ModelConstraint
from tests.builders.wire import (
    ORCHESTRATOR,
    RecordingTranscoder,
    TabPayments,
    a_payment,
    credentials_for,
    work_headers,
)

pytestmark = pytest.mark.component

SOURCE = b"source" * 100


@pytest.fixture
def transcoder():
    return RecordingTranscoder(room=1)


@pytest.fixture
async def full(serve, transcoder):
    """One session runs, one more token is out; a second session does not fit."""
    payments = TabPayments()
    orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, transcoder=transcoder)
    running, late = [(await orchestrator.info()).auth_token for _ in range(2)]
    await orchestrator.segment(SOURCE, work_headers(credentials_for(running, SOURCE), a_payment()))
    return orchestrator, payments, running, late


async def test_no_room__discovery_is_capped(full):
    orchestrator, *_ = full
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await orchestrator.info()
    assert refused.value.details() == "Invalid orchestrator request: OrchestratorCapped"


async def test_no_room__whoever_wants_a_model_is_not_concerned(full):
    orchestrator, *_ = full
    models = {Capability.TEXT_TO_IMAGE: {"org/model": ModelConstraint()}}
    info = await orchestrator.info(orchestrator.signed(Capabilities.of([Capability.TEXT_TO_IMAGE], models=models)))
    assert info.auth_token is not None


async def test_no_room__new_session_is_capped_before_its_payment_is_taken(full):
    orchestrator, payments, _, late = full
    before = dict(payments.tab)
    headers = work_headers(credentials_for(late, SOURCE), a_payment())
    response = await orchestrator.http.post(f"{orchestrator.uri}/segment", content=SOURCE, headers=headers)
    assert (response.status_code, response.text.strip()) == (403, "OrchestratorCapped")
    assert payments.tab == before


async def test_no_room__the_running_session_goes_on(full):
    orchestrator, _, running, _ = full
    for sequence in (8, 9):
        headers = work_headers(credentials_for(running, SOURCE, sequence=sequence), a_payment())
        assert (await orchestrator.segment(SOURCE, headers)).error is None


async def test_room_again__after_the_session_has_ended(full, transcoder):
    orchestrator, _, running, late = full
    await orchestrator.server._sessions.end(running.session)
    outcome = await orchestrator.segment(SOURCE, work_headers(credentials_for(late, SOURCE), a_payment()))
    assert outcome.error is None
    assert transcoder.opened == {late.session}


async def test_place__held_while_the_source_is_read__and_given_back_when_it_is_wrong(serve, transcoder):
    orchestrator = await serve(transcoder=transcoder)
    slow, quick = [(await orchestrator.info()).auth_token for _ in range(2)]
    go_on = asyncio.Event()

    async def source():
        yield SOURCE[:10]
        await go_on.wait()
        yield b"something else"

    def posted(token, content):
        headers = work_headers(credentials_for(token, SOURCE), signer=None)
        return orchestrator.http.post(f"{orchestrator.uri}/segment", content=content, headers=headers)

    async with asyncio.TaskGroup() as group, asyncio.timeout(30):
        reading = group.create_task(posted(slow, source()))
        while not transcoder.opened:
            await asyncio.sleep(0.01)
        refused = await posted(quick, SOURCE)
        assert (refused.status_code, refused.text.strip()) == (403, "OrchestratorCapped")
        go_on.set()
    assert reading.result().status_code == 403
    assert not transcoder.opened
    assert (await posted(quick, SOURCE)).status_code == 200
