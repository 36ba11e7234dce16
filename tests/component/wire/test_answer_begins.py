"""When an answer's first bytes leave; gateways wait 2 s for headers and speak HTTP/2."""

import asyncio

import httpx
import pytest

from livefleet.wire.proto import lp_rpc_pb2 as pb
from tests.builders.wire import RecordingTranscoder, credentials_for, work_headers

pytestmark = pytest.mark.component


@pytest.mark.parametrize("http2", [True, False], ids=["HTTP/2", "HTTP/1.1"])
@pytest.mark.parametrize("size", [100, 500_000])
@pytest.mark.parametrize("sequence", [0, 7])
async def test_segment__work_not_done__headers_are_out(serve, http2, size, sequence):
    transcoder = RecordingTranscoder()
    transcoder.gate.clear()
    orchestrator = await serve(transcoder=transcoder)
    source = b"S" * size
    headers = work_headers(
        credentials_for((await orchestrator.info()).auth_token, source, sequence=sequence), signer=None
    )
    url = f"{orchestrator.uri}/segment"
    async with (
        asyncio.timeout(20),
        httpx.AsyncClient(http2=http2, verify=False) as http,
        http.stream("POST", url, content=source, headers=headers) as response,
    ):
        assert (response.status_code, response.http_version) == (200, "HTTP/2" if http2 else "HTTP/1.1")
        transcoder.gate.set()
        result = pb.TranscodeResult.FromString(await response.aread())
    assert result.seq == sequence
    assert len(result.data.segments) == 2
