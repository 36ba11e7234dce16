"""What is pulled is what real loaders need: no file too few."""

import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from livefleet.ai import AiPool, Weights
from livefleet.ai.hub import HubFile
from livefleet.ai.tiny import TINY_MODELS
from livefleet.ai.weight_files import INDEX, components_of, needed_files
from livefleet.ai.weights_pull import Patience
from livefleet.kernel import ConditionBoard
from livefleet.spec import Pipeline, WeightsSettings
from tests.builders.ai import MODEL_ID, PATIENT, a_job, a_placement, pngs
from tests.builders.hub import a_hub

pytestmark = pytest.mark.component

# What else a repository holds. A pull that took one of these would be noticed by its size.
BESIDE = {
    "README.md": b"#", ".gitattributes": b"*", "whole.safetensors": b"w" * 9000, "whole.ckpt": b"w" * 9000,
    "unet/diffusion_pytorch_model.bin": b"w" * 9000, "unet/flax_model.msgpack": b"w" * 9000,
    "onnx/model.onnx": b"w" * 9000, "unet_onnx/model.safetensors": b"w" * 9000,
}  # fmt: skip


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("kind", sorted(TINY_MODELS))
def test_needed_files__of_every_kind_of_model__are_all_that_its_writer_wrote(tiny_models: Path, kind: str) -> None:
    """The writers are transformers', diffusers' and ctranslate2's own."""
    files = files_of(tiny_models / kind)
    listed = [HubFile(path, len(data), "a" * 64) for path, data in files.items()]
    components = components_of(files[INDEX]) if INDEX in files else None
    whisper = any(name in kind for name in ("whisper", "audio"))
    pipeline = (
        Pipeline.AUDIO_TO_TEXT if whisper else Pipeline(kind) if kind in set(Pipeline) else Pipeline.IMAGE_TO_TEXT
    )

    chosen = {file.path for file in needed_files(listed, pipeline, "float32", components)}

    assert chosen == set(files)


async def test_pool__model_from_a_hub__is_pulled_loaded_and_answers(
    tmp_path: Path, tiny_model: Path, board: ConditionBoard, eventually: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    needed = files_of(tiny_model)
    with a_hub() as hub:
        hub.add(MODEL_ID, needed | BESIDE)
        settings = WeightsSettings(hub=hub.url, keep_free=1)
        weights = Weights(settings, state_folder=tmp_path, patience=Patience(first_pause_s=0.01))
        pool = AiPool(
            [a_placement()],
            source_of=weights.source_of,
            run_dir=tmp_path / "run",
            state_folder=tmp_path,
            board=board,
            rng=random.Random(1),
            request_timeout_s=120,
            limits=PATIENT,
            cpu_threads=1,
        )
        async with pool:
            await eventually(lambda: any(model.warm for model in pool.advertised()))
            result = await pool.run(a_job())

    assert len(pngs(result)) == 1
    assert hub.sent == sum(len(data) for data in needed.values())
