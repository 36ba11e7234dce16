"""The pulled slices and their standing as files: each written whole and on disk before it counts."""

import hashlib
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from livefleet.kernel import BadInput
from livefleet.kernel.durable_file import make_folder, write_durably
from livefleet.pull.standing import Standing
from livefleet.spec import NodeSpec, load_node

__all__ = ["PullStore"]

_STANDING: Final = TypeAdapter(Standing)


class PullStore:
    """`standing.json` and `slices/SHA256.yaml` in a folder of the node's state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "standing.json"
        self._slices = folder / "slices"

    def standing(self) -> Standing:
        """What is remembered; nothing where nothing was pulled yet. Raises BadInput for a file that is damaged."""
        try:
            return _STANDING.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return Standing()
        except (OSError, ValidationError) as error:
            raise BadInput(
                f"{self._file}: cannot be read; remove it to start with what was applied: {error}"
            ) from error

    def set_aside(self) -> None:
        """Moves a damaged `standing.json` out of the way; a human may look at it."""
        self._file.replace(self._file.with_name("standing.damaged.json"))

    def remember(self, standing: Standing) -> None:
        """Durable when this returns; slices that nothing names any more go."""
        _write(self._file, _STANDING.dump_json(standing))
        named = {held.sha256 for held in (standing.good, standing.trying) if held is not None}
        for file in self._slices.glob("*.yaml"):
            if file.stem not in named:
                file.unlink(missing_ok=True)

    def keep(self, content: bytes) -> str:
        """Puts a slice on disk; `remember` must name it next. Returns its SHA-256."""
        sha256 = hashlib.sha256(content).hexdigest()
        _write(self.path(sha256), content)
        return sha256

    def path(self, sha256: str) -> Path:
        """Where that slice lies."""
        return self._slices / f"{sha256}.yaml"

    def load(self, sha256: str) -> NodeSpec:
        """The slice, read. Raises BadInput when it is gone, was changed, or is no node's spec (any more)."""
        path = self.path(sha256)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BadInput(f"{path}: is not what was pulled")
        return load_node(path)


def _write(path: Path, content: bytes) -> None:
    make_folder(path.parent)
    write_durably(path, content)
