from dataclasses import replace

import pytest

from livefleet.ai import AiResult, Media
from livefleet.kernel import Refused
from livefleet.wire.ai_film import with_film
from tests.builders.ai import a_job, images

pytestmark = pytest.mark.unit


def frames(*batches: list[object]) -> AiResult:
    return AiResult({"frames": list(batches)}, {"0": Media(b"png", "image/png")})


async def test_with_film__other_results__pass_untouched():
    result = images(b"png")
    assert await with_film(a_job(), result) is result


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (frames(), "unexpected number of image-to-video outputs expected=1 actual=0"),
        (frames([], []), "unexpected number of image-to-video outputs expected=1 actual=2"),
        (AiResult({"frames": None}), "unexpected number of image-to-video outputs expected=1 actual=0"),
        (frames([]), "image-to-video container sent no frames"),
        (frames([{"url": "0", "seed": 1, "nsfw": False}] * 1000), "image-to-video container sent no frames"),
        (frames([{"url": "elsewhere", "seed": 1, "nsfw": False}]), "image-to-video container sent broken frames"),
        (frames([{"url": "0", "seed": "x", "nsfw": False}]), "image-to-video container sent broken frames"),
        (frames(["text"]), "image-to-video container sent broken frames"),
    ],
)
async def test_with_film__runner_answers_nonsense__is_refused_with_the_references_words(result: AiResult, text: str):
    with pytest.raises(Refused) as refused:
        await with_film(replace(a_job()), result)
    assert refused.value.text.startswith(text)
    assert refused.value.status == 500
