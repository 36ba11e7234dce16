import base64

import pytest

from livefleet.kernel import Refused
from livefleet.spec import Pipeline
from livefleet.wire import Capabilities, Capability, ModelConstraint
from livefleet.wire.segment import EMPTY_HASH
from tests.builders.wire import (
    GATEWAY,
    IMAGE_BODY,
    MODEL,
    ORCHESTRATOR,
    OnePlace,
    TabPayments,
    a_payment,
    credentials_for,
    work_headers,
)

pytestmark = pytest.mark.component


@pytest.fixture
async def artist(serve):
    ai, payments = OnePlace(), TabPayments()
    orchestrator = await serve(payments=payments, signer=ORCHESTRATOR, ai=ai)
    orchestrator.ai = ai
    orchestrator.payments = payments
    orchestrator.token = (await orchestrator.info()).auth_token
    return orchestrator


def headers(token, payment=None, **changes):
    credentials = credentials_for(
        token,
        b"",
        **(
            {
                "manifest_id": f"27_{MODEL}".encode(),
                "sequence": 0,
                "source_hash": EMPTY_HASH,
                "profiles": (),
                "capabilities": Capabilities.of(
                    {*range(13), 14, 26}, models={Capability.TEXT_TO_IMAGE: {MODEL: ModelConstraint()}}
                ),
            }
            | changes
        ),
    )
    return work_headers(credentials, payment or a_payment()) | {"Authorization": "Livepeer-AI-Worker-1.0"}


async def ask(artist, body=None, **changed):
    sent = headers(artist.token) | changed
    return await artist.http.post(
        f"{artist.uri}/text-to-image", json=IMAGE_BODY if body is None else body, headers=sent
    )


async def test_get_orchestrator__warm_model__is_advertised(artist):
    capabilities = (await artist.info()).capabilities
    assert capabilities.models == {27: {MODEL: ModelConstraint(warm=True, capacity=1, runner_version="1.0")}}
    assert capabilities.ids >= {*range(13), 14, 26, 27}


async def test_text_to_image__images_are_stored_and_their_pixels_charged(artist):
    response = await ask(artist, **{"Content-Type": "application/json"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    images = response.json()["images"]
    assert [(i["seed"], i["nsfw"]) for i in images] == [(0, False), (1, False)]
    assert images[0]["url"] != images[1]["url"]
    files = [await artist.http.get(i["url"]) for i in images]
    assert [f.content for f in files] == [b"\x89PNG 0", b"\x89PNG 1"]
    assert files[0].headers["content-type"] == "image/png"
    assert artist.payments.debits == [(f"27_{MODEL}", 64 * 32 * 2)]
    assert artist.payments.tab[(GATEWAY.address, f"27_{MODEL}")] < 10**18
    assert artist.payments.quoted[-1] == (f"27_{MODEL}", (("text-to-image", MODEL),))
    assert artist.ai.in_use == 0
    assert artist.server.snapshot().images_ok == 2


async def test_text_to_image__old_gateway__gets_data_urls(artist):
    response = await ask(artist, **{"Authorization": "", "Content-Type": "application/json"})
    url = response.json()["images"][0]["url"]
    assert url == "data:image/png;base64," + base64.b64encode(b"\x89PNG 0").decode()


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"prompt": "x"}, 400, "model_id"),
        ({"model_id": MODEL}, 400, "prompt"),
        ({"model_id": "other/model", "prompt": "x"}, 503, "insufficient capacity"),
    ],
)
async def test_text_to_image__bad_request__is_plain_text(artist, body, status, text):
    response = await ask(artist, body, **{"Content-Type": "application/json"})
    assert response.status_code == status
    assert text in response.text
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert artist.payments.received == []


async def test_text_to_image__busy__is_503_before_anything_is_paid(artist):
    with artist.ai.reserve(Pipeline.TEXT_TO_IMAGE, MODEL):
        response = await ask(artist, **{"Content-Type": "application/json"})
    assert (response.status_code, response.text) == (503, "insufficient capacity\n")
    assert artist.payments.received == []


async def test_text_to_image__no_token__is_403(artist):
    sent = headers(None) | {"Content-Type": "application/json"}
    response = await artist.http.post(f"{artist.uri}/text-to-image", json=IMAGE_BODY, headers=sent)
    assert (response.status_code, response.text) == (403, "missing auth token\n")


async def test_text_to_image__unpaid__is_400_and_the_place_is_free_again(artist):
    sent = headers(artist.token, a_payment(tickets=0)) | {"Content-Type": "application/json"}
    response = await artist.http.post(f"{artist.uri}/text-to-image", json=IMAGE_BODY, headers=sent)
    assert (response.status_code, response.text) == (400, "Insufficient balance\n")
    assert artist.ai.in_use == 0


async def test_text_to_image__runner_fails__is_500_and_not_charged(artist):
    artist.ai.error = Refused("text-to-image container returned 400: prompt too long", status=500)
    response = await ask(artist, **{"Content-Type": "application/json"})
    assert response.status_code == 500
    assert "returned 400" in response.text
    assert artist.payments.debits == []
    assert artist.ai.in_use == 0
