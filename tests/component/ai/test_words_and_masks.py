"""llm, image-to-text and segment-anything-2 in real runner processes, with toy models of random weights."""

import asyncio
import json
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from livefleet.ai import AiJob, RunnerRefused, kind_of, parse_job
from livefleet.spec import Pipeline
from tests.builders.ai import a_placement
from tests.builders.images import a_png

pytestmark = pytest.mark.component

FOLDERS = {
    Pipeline.LLM: "llm",
    Pipeline.IMAGE_TO_TEXT: "image-to-text",
    Pipeline.SEGMENT_ANYTHING_2: "segment-anything-2",
}
"""Pipelines by their model's name, which is also their folder's."""

DARK, LIGHT = a_png(48, 32, shade=20), a_png(48, 32, shade=230)


def a_chat(content: str = "Hello?", **fields: Any) -> AiJob:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    return parse_job(kind_of(Pipeline.LLM), {"messages": messages, "model": "llm", "max_tokens": 24} | fields)


def a_look(pipeline: Pipeline, picture: bytes, **fields: Any) -> AiJob:
    return parse_job(kind_of(pipeline), {"model_id": FOLDERS[pipeline]} | fields, picture)


async def test_runners__words_and_masks__are_what_gateways_read(a_pool, tiny_models: Path, eventually):
    placements = [
        a_placement(pipeline=pipeline, model_id=name, source=str(tiny_models / name), capacity=2)
        for pipeline, name in FOLDERS.items()
    ]
    async with a_pool(*placements) as pool:
        await eventually(lambda: len(pool.advertised()) == len(placements))
        await check_whole_answers(pool)
        await check_streams(pool)
        await check_two_at_once(pool)
        await check_captions(pool)
        await check_masks(pool)


async def text_of(pool, **fields: Any) -> str:
    return (await pool.run(a_chat(**fields))).body["choices"][0]["message"]["content"]


async def check_whole_answers(pool):
    answer = (await pool.run(a_chat(seed=5))).body
    assert answer["model"] == "llm"
    assert answer["usage"]["prompt_tokens"] > 40
    assert 1 <= answer["usage"]["completion_tokens"] <= 24
    assert (await pool.run(a_chat(seed=5))).body["choices"] == answer["choices"]
    assert await text_of(pool, seed=6) != await text_of(pool, seed=5)
    # The likeliest tokens are the same whatever the dice say.
    likeliest = {
        await text_of(pool, seed=seed, **how)
        for seed in (1, 2)
        for how in ({"temperature": 0}, {"top_k": 1, "temperature": 2}, {"top_p": 0, "temperature": 2})
    }
    assert len(likeliest) == 1
    with pytest.raises(RunnerRefused, match=r"LLM container returned 400: messages: the prompt has \d+ tokens"):
        await pool.run(a_chat("x" * 600))


async def check_streams(pool):
    with pool.reserve(Pipeline.LLM, "llm") as place:
        chunks = [chunk async for chunk in place.stream(a_chat(seed=5, stream=True))]
    assert all(len(chunk["choices"]) == 1 for chunk in chunks)
    assert all(len(json.dumps(chunk)) < 2**16 for chunk in chunks)
    ends = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert not any(ends[:-1])
    assert ends[-1] in {"stop", "length"}
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == await text_of(pool, seed=5)
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(counts)

    # A prompt that does not fit is the client's fault in a stream too, which gateways know by these words.
    with (
        pool.reserve(Pipeline.LLM, "llm") as place,
        pytest.raises(RunnerRefused, match=r"LLM container returned 400: messages: the prompt has \d+ tokens"),
    ):
        await anext(place.stream(a_chat("x" * 600, stream=True)))

    # A reader that leaves frees the place at the next token, and nothing is broken by it.
    for _ in range(3):
        with pool.reserve(Pipeline.LLM, "llm") as place:
            async with aclosing(place.stream(a_chat(stream=True, max_tokens=400))) as unread:
                await anext(unread)
    assert await text_of(pool, temperature=0)


async def check_two_at_once(pool):
    alone = [await text_of(pool, seed=seed, max_tokens=60) for seed in (1, 2)]
    together = await asyncio.gather(*(text_of(pool, seed=seed, max_tokens=60) for seed in (1, 2)))
    assert together == alone


async def check_captions(pool):
    async def caption(picture: bytes, **fields: Any) -> str:
        return (await pool.run(a_look(Pipeline.IMAGE_TO_TEXT, picture, **fields))).body["text"]

    dark = await caption(DARK)
    assert dark
    assert await caption(DARK) == dark != await caption(LIGHT)
    assert (await caption(DARK, prompt="a cat")).startswith("a cat")
    with pytest.raises(RunnerRefused, match="image-to-text container returned 400: prompt: 603 tokens"):
        await caption(DARK, prompt="a b " * 300 + "c ")
    # Its header is a picture's; the rest is cut off.
    with pytest.raises(RunnerRefused, match="image-to-text container returned 400: image: "):
        await caption(DARK[:60])


async def check_masks(pool):
    async def segmented(picture: bytes = DARK, **fields: Any) -> tuple[list, list, list]:
        body = (await pool.run(a_look(Pipeline.SEGMENT_ANYTHING_2, picture, **fields))).body
        return tuple(json.loads(body[name]) for name in ("masks", "scores", "logits"))

    point = {"point_coords": "[[10, 20]]", "point_labels": "[1]"}
    masks, scores, logits = await segmented(**point)
    assert (len(masks), len(masks[0]), len(masks[0][0])) == (3, 32, 48)
    assert (len(logits), len(logits[0]), len(logits[0][0])) == (3, 32, 32)  # a quarter of the toy's own side of 128
    assert scores == sorted(scores, reverse=True)
    assert await segmented(**point) == (masks, scores, logits)
    assert await segmented(LIGHT, **point) != (masks, scores, logits)
    assert (await segmented(point_coords="[[40, 5]]", point_labels="[1]"))[2] != logits

    # Places may be told as shares of the sides.
    shares = {"point_coords": json.dumps([[10 / 48, 20 / 32]]), "point_labels": "[1]", "normalize_coords": False}
    assert (await segmented(**shares))[2][0][0][0] == pytest.approx(logits[0][0][0], rel=1e-3)

    one, best, small = await segmented(box="[5, 5, 40, 30]", multimask_output=False, return_logits=False)
    assert (len(one), len(best), len(small)) == (1, 1, 1)
    assert {number for row in one[0] for number in row} <= {0.0, 1.0}
    assert (await segmented(mask_input=json.dumps([logits[0]])))[2] != (await segmented())[2]


PROBE = """
import json, sys, time
from pathlib import Path
from livefleet.ai.errors import Cancelled, DeadlinePassed
from livefleet.ai.pipelines.generation import Sampling, tokens
from livefleet.ai.pipelines.llm import KIND, RunnerLlm
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline
from tests.builders.ai import runner_settings

def loaded(**fields):
    return KIND.load(runner_settings(pipeline=Pipeline.LLM, source=sys.argv[1], **fields))

def asked(**fields):
    return RunnerLlm(messages=({"role": "user", "content": "Hello?"},), **fields)

class Counting(Stop):
    looks = 0
    def check(self):
        self.looks += 1
        if self.looks == self.most:
            self.cancel()
        super().check()

def ended(request, stop):
    try:
        said = list(model.stream(request, stop))
    except (Cancelled, DeadlinePassed) as error:
        return [type(error).__name__, stop.looks]
    return ["whole", len(said)]

model = loaded()
found = {}
for most in (1, 2, 10):
    stop = Counting(float("inf"))
    stop.most = most
    found[f"stop at {most}"] = ended(asked(max_tokens=400), stop)
late = Counting(time.monotonic() - 1)
late.most = -1
found["late"] = ended(asked(), late)
model._tokenizer.chat_template = None
found["plain"] = model._tokenizer.decode(model._prompt(asked().messages))
found["short"] = model.run(asked(max_tokens=400), None, 1, Stop(float("inf"))).body["usage"]
found["cut"] = loaded(optimization={"MAX_MODEL_LEN": "40"}).run(asked(max_tokens=400), None, 1, Stop(float("inf"))).body
print(json.dumps(found))
"""


def test_llm__stop_asked_for__ends_at_the_next_token_and_context_is_the_limit(tiny_models: Path):
    said = subprocess.run(
        [sys.executable, "-c", PROBE, str(tiny_models / "llm")], check=True, capture_output=True, text=True, timeout=120
    )
    found = json.loads(said.stdout)
    # Before the prompt is read, before the second token, before the tenth: never a token more.
    assert [found[f"stop at {most}"] for most in (1, 2, 10)] == [["Cancelled", 1], ["Cancelled", 2], ["Cancelled", 10]]
    assert found["late"] == ["DeadlinePassed", 1]
    assert found["plain"].endswith("user: Hello?\nassistant:")
    assert found["short"]["completion_tokens"] <= 400
    assert found["cut"]["usage"]["total_tokens"] <= 40
