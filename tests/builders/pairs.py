"""For benchmarks: what a block cost, and ratios of two things that were measured turn and turn about."""

import statistics
import time
from typing import Self


class Spent:
    """Seconds of this process's CPUs (all its threads) and of the clock that a block took."""

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s = time.perf_counter() - self._wall
        self.cpu_s = time.process_time() - self._cpu


class Pairs:
    """One ratio a pair; its least, median and largest are told with what must hold."""

    def __init__(
        self, title: str, *, must: float | None = None, aim: float | None = None, at_most: bool = False
    ) -> None:
        self._title = title
        self._must = must
        self._aim = aim
        self._at_most = at_most
        self._ratios: list[float] = []

    def add(self, ratio: float) -> None:
        self._ratios.append(ratio)

    @property
    def median(self) -> float:
        return statistics.median(self._ratios)

    @property
    def holds(self) -> bool:
        """Whether the median is as good as it must be."""
        return self._must is None or (self.median <= self._must if self._at_most else self.median >= self._must)

    def show(self, more: str = "") -> None:
        sign = "<=" if self._at_most else ">="
        wanted = "" if self._must is None else f"   must {sign} {self._must:g}: {'met' if self.holds else 'MISSED'}"
        aimed = "" if self._aim is None else f" (aim {self._aim:g})"
        print(
            f"{self._title:<58} ratio {self.median:5.2f}   [{min(self._ratios):.2f} .. {max(self._ratios):.2f}] of "
            f"{len(self._ratios)}{wanted}{aimed}   {more}",
            flush=True,
        )
