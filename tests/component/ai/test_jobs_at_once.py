"""Two jobs at once on one set of weights: what a pipeline changes while it works is its own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.builders.ai import runner_settings

# diffusers warns of what it will drop some day.
pytestmark = [pytest.mark.component, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_pipelines__prompts_at_the_same_time__each_gets_the_padding_it_asked_for(tiny_model):
    from livefleet.ai.pipelines.text_to_image import TextToImageModel

    warm = TextToImageModel(runner_settings(source=str(tiny_model), capacity=2))
    with warm._a_pipeline() as one, warm._a_pipeline() as other, ThreadPoolExecutor(2) as threads:

        def lengths(pipeline, padding: str) -> set[int]:
            return {len(pipeline.tokenizer("a cat", padding=padding).input_ids) for _ in range(3000)}

        padded = threads.submit(lengths, one, "max_length")
        plain = threads.submit(lengths, other, "longest")
        assert padded.result() == {one.tokenizer.model_max_length}
        (length,) = plain.result()
        assert length < one.tokenizer.model_max_length
