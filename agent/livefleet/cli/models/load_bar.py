"""How far a load is, on a terminal as a bar against the time it took before, elsewhere a line a step."""

from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from livefleet.cli.models.agent_status import load_text
from livefleet.cli.output import console

__all__ = ["LoadBar"]


class LoadBar:
    """Shows one model's way while entered. A model on several devices has a bar for each."""

    def __init__(self, model_id: str, *, quiet: bool) -> None:
        self._model_id = model_id
        self._quiet = quiet
        self._out = console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            TimeElapsedColumn(), console=self._out, disable=quiet or not self._out.is_terminal,
        )  # fmt: skip
        self._bars: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)

    def show(self, runner: dict[str, Any]) -> None:
        """A runner as /status tells it."""
        device, loading = runner["device"], runner.get("loading")
        if not self._out.is_terminal:
            self._say(device, loading["step"] if loading else runner["state"], load_text(runner))
            return
        bar = self._bars.get(device)
        if bar is None:
            bar = self._bars[device] = self._progress.add_task(f"{self._model_id} on {device}", total=None, text="")
        if loading is None:
            self._progress.update(bar, text=runner["state"])
            return
        # What takes longer than it did before stays just short of its end.
        total = loading["expected_s"]
        done = min(loading["elapsed_s"], 0.99 * total)
        self._progress.update(bar, total=total or None, completed=done, text=load_text(runner))

    def _say(self, device: str, step: str, text: str) -> None:
        if not self._quiet and self._said.get(device) != step:
            self._said[device] = step
            self._out.print(f"{self._model_id} on {device}: {text}", markup=False)
