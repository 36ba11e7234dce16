"""Whether a job's capabilities fit the node's, as `/segment` decides it."""

import pytest

from livefleet.wire import Capabilities, Capability, ModelConstraint
from livefleet.wire.capabilities import WIRE_VERSION
from tests.builders.wire import MODEL, OnePlace, RecordingTranscoder, credentials_for, work_headers

pytestmark = pytest.mark.component

SOURCE = b"S" * 5000
IDS = (Capability.AUTH_TOKEN, Capability.H264, Capability.MPEGTS)


def job(*, ids=IDS, words=None, min_version="", **models):
    """Needs of a job; `models` is {model id: constraint} for images."""
    wanted = {Capability.TEXT_TO_IMAGE: models["images"]} if models else {}
    plain = Capabilities.of(ids)
    return Capabilities(
        words=plain.words if words is None else words,
        capacities=plain.capacities,
        min_version=min_version,
        models=wanted,
    )


@pytest.fixture
async def node(serve):
    return await serve(transcoder=RecordingTranscoder(), ai=OnePlace())


@pytest.mark.parametrize(
    ("needs", "fits"),
    [
        (None, True),
        (job(), True),
        (job(ids=(*IDS, Capability.HEVC_ENCODE)), False),
        (job(words=(*job().words, 0)), False),
        (job(min_version=WIRE_VERSION), True),
        (job(min_version="0.5"), True),
        (job(min_version="v99.1.0"), False),
        (job(min_version="not a version"), True),
        (job(images={MODEL: ModelConstraint()}), True),
        (job(images={MODEL: ModelConstraint(warm=True)}), True),
        (job(images={MODEL: ModelConstraint(runner_version="0.9")}), True),
        (job(images={MODEL: ModelConstraint(runner_version="2.0")}), False),
        (job(images={"unknown": ModelConstraint()}), False),
        (job(words=(), images={MODEL: ModelConstraint()}), True),
        (job(words=(), images={"unknown": ModelConstraint()}), False),
    ],
    ids=[
        "no capabilities",
        "what is offered",
        "an id too many",
        "a word of zeroes too many",
        "this version",
        "an older version",
        "a newer version",
        "no version",
        "a model",
        "a warm model",
        "an older runner",
        "a newer runner",
        "another model",
        "a model without bits",
        "another model without bits",
    ],
)
async def test_segment__needs__fit_or_are_refused(node, needs, fits):
    token = (await node.info()).auth_token
    headers = work_headers(credentials_for(token, SOURCE, capabilities=needs), signer=None)
    response = await node.http.post(f"{node.uri}/segment", content=SOURCE, headers=headers)
    if fits:
        assert response.status_code == 200
    else:
        assert (response.status_code, response.text) == (403, "incompatible capabilities\n")
