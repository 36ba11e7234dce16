import asyncio
import json
import re

import pytest

from livefleet.ai import AiJob, AiResult, Media
from livefleet.kernel import Refused
from livefleet.spec import Pipeline
from livefleet.wire.server.ai_answers import AiAnswers
from livefleet.wire.server.stream_store import StreamStore
from tests.builders.ai import images
from tests.builders.clock import HandClock
from tests.builders.wire import a_rng

pytestmark = pytest.mark.unit

BASE = "https://node:8935"


class Shelf:
    """Answers, and where their files lie."""

    def __init__(self, **limits):
        self.clock = HandClock()
        self.store = StreamStore(BASE, self.clock)
        self.answers = AiAnswers(memory=self.store, own=None, rng=a_rng(), **limits)

    async def of(self, result, pipeline=Pipeline.TEXT_TO_IMAGE, *, new_gateway=True):
        answer = await self.answers.of(AiJob(pipeline, "m", {}, 1), result, new_gateway=new_gateway)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        return json.loads(answer.body)

    def get(self, url):
        found = self.store.get(url.removeprefix(f"{BASE}/stream/"))
        return None if found is None else found.data


async def test_of__files__get_a_url_each_in_one_folder():
    shelf = Shelf()
    first, second = [entry["url"] for entry in (await shelf.of(images(b"one", b"two")))["images"]]
    assert (shelf.get(first), shelf.get(second)) == (b"one", b"two")
    assert re.fullmatch(rf"{BASE}/stream/[0-9a-f]{{8}}/[0-9a-f]{{8}}\.png", first)
    assert first.rpartition("/")[0] == second.rpartition("/")[0]
    assert first != second


@pytest.mark.parametrize(
    ("content_type", "ending"),
    [("image/png", "png"), ("image/jpeg", "jpg"), ("image/gif", "gif"), ("video/mp4", "mp4"), ("audio/wav", "wav")],
)
async def test_of__kinds_of_files__have_their_endings(content_type, ending):
    shelf = Shelf()
    body = await shelf.of(AiResult({"audio": {"url": "0"}}, {"0": Media(b"x", content_type)}))
    assert body["audio"]["url"].endswith(f".{ending}")
    assert shelf.store.get(body["audio"]["url"].removeprefix(f"{BASE}/stream/")).media_type == content_type


async def test_of__another_kind__is_refused():
    with pytest.raises(Refused, match="unsupported image format: image/webp") as caught:
        await Shelf().of(AiResult({"images": [{"url": "0"}]}, {"0": Media(b"x", "image/webp")}))
    assert caught.value.status == 500


@pytest.mark.parametrize("pipeline", list(Pipeline))
async def test_of__old_gateway__three_pipelines_answer_inline(pipeline):
    body = await Shelf().of(images(b"one"), pipeline, new_gateway=False)
    inline = pipeline in {Pipeline.TEXT_TO_IMAGE, Pipeline.IMAGE_TO_IMAGE, Pipeline.UPSCALE}
    assert body["images"][0]["url"].startswith("data:image/png;base64,b25l" if inline else f"{BASE}/stream/")


async def test_of__no_json__is_refused():
    with pytest.raises(Refused, match="no JSON"):
        await Shelf().of(AiResult({"score": float("nan")}))


async def test_of__ten_minutes_later__the_files_are_gone():
    shelf = Shelf()
    url = (await shelf.of(images(b"one")))["images"][0]["url"]
    shelf.clock.time += 599
    assert shelf.get(url) == b"one"
    shelf.clock.time += 1
    assert shelf.get(url) is None


async def test_of__too_many_bytes__the_oldest_results_go_first():
    shelf = Shelf(limit=10)
    urls = [(await shelf.of(images(b"1234")))["images"][0]["url"] for _ in range(4)]
    assert [shelf.get(url) is not None for url in urls] == [False, False, True, True]


async def test_of__one_result_above_the_limit__is_kept_whole():
    shelf = Shelf(limit=10)
    entries = (await shelf.of(images(b"12345678", b"12345678")))["images"]
    assert [shelf.get(entry["url"]) for entry in entries] == [b"12345678", b"12345678"]


async def test_of__expired_results__count_no_more():
    shelf = Shelf(limit=10)
    await shelf.of(images(b"12345678"))
    shelf.clock.time += 601
    url = (await shelf.of(images(b"12345678")))["images"][0]["url"]
    assert shelf.get(url) is not None


async def test_of__masks_of_megabytes__the_loop_goes_on_meanwhile():
    shelf, turns = Shelf(), 0

    async def tick():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    ticking = asyncio.ensure_future(tick())
    body = await shelf.of(AiResult({"masks": "0.5, " * 1_000_000, "scores": "[1]"}), Pipeline.SEGMENT_ANYTHING_2)
    ticking.cancel()
    assert (len(body["masks"]), turns > 5) == (5_000_000, True)
