"""`python -m livefleet.ai.tiny FOLDER [--seed N]`: a toy text-to-image pipeline of random weights, made on the spot."""

import argparse
import os
from pathlib import Path

from livefleet.ai.pipelines.tiny import write_tiny_pipeline

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Make it, unless it is already there."""
    parser = argparse.ArgumentParser(prog="python -m livefleet.ai.tiny", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where it goes; a node.yaml names it as the model's `source`")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same weights")
    asked = parser.parse_args(arguments)
    if (asked.folder / "model_index.json").is_file():
        print(f"{asked.folder} is already there")
        return
    if asked.folder.exists():
        parser.error(f"{asked.folder} is there and is no pipeline; name another folder")
    # Read when transformers is imported: its notices about optional packages and its bars say nothing here.
    os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    write_tiny_pipeline(asked.folder, seed=asked.seed)
    size = sum(file.stat().st_size for file in asked.folder.rglob("*") if file.is_file())
    print(f"{asked.folder} made: {size / 1e6:.1f} MB of random weights")


if __name__ == "__main__":
    main()
