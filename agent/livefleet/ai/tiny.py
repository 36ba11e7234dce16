"""`python -m livefleet.ai.tiny FOLDER [--kind KIND] [--seed N]`: a toy model of random weights, made on the spot."""

import argparse
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from livefleet.ai.pipelines.tiny import TINY_DIFFUSION, write_tiny_pipeline
from livefleet.ai.pipelines.tiny_image_to_text import write_tiny_blip
from livefleet.ai.pipelines.tiny_llm import write_tiny_llm
from livefleet.ai.pipelines.tiny_segment_anything_2 import write_tiny_sam2
from livefleet.ai.pipelines.tiny_voices import write_tiny_speecht5, write_tiny_vits
from livefleet.ai.pipelines.tiny_whisper import write_tiny_faster_whisper, write_tiny_whisper

__all__ = ["TINY_MODELS", "main"]

TINY_MODELS: Mapping[str, Callable[..., None]] = {
    **{kind: partial(write_tiny_pipeline, kind=kind) for kind in TINY_DIFFUSION},
    "audio-to-text": write_tiny_whisper,
    "faster-whisper": write_tiny_faster_whisper,
    "segment-anything-2": write_tiny_sam2,
    "llm": write_tiny_llm,
    "image-to-text": write_tiny_blip,
    "text-to-speech": write_tiny_vits,
    "speecht5": write_tiny_speecht5,
}
"""By kind: what makes it, given the folder and `seed`."""

_WRITTEN_LAST = ("model_index.json", "config.json")  # one of them is in every model's folder


def main(arguments: list[str] | None = None) -> None:
    """Make it, unless it is already there."""
    parser = argparse.ArgumentParser(prog="python -m livefleet.ai.tiny", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where it goes; a node.yaml names it as the model's `source`")
    parser.add_argument(
        "--kind", choices=sorted(TINY_MODELS), default="text-to-image", help="what it does; %(default)s"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same weights")
    asked = parser.parse_args(arguments)
    if any((asked.folder / name).is_file() for name in _WRITTEN_LAST):
        print(f"{asked.folder} is already there")
        return
    if asked.folder.exists():
        parser.error(f"{asked.folder} is there and is no pipeline; name another folder")
    # Read when transformers is imported: its notices about optional packages and its bars say nothing here.
    os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    TINY_MODELS[asked.kind](asked.folder, seed=asked.seed)
    size = sum(file.stat().st_size for file in asked.folder.rglob("*") if file.is_file())
    print(f"{asked.folder} made: {size / 1e6:.1f} MB of random weights")


if __name__ == "__main__":
    main()
