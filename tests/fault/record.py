"""What happened to the segments of all streams."""

import asyncio
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.fault.limits import DISCOVERY_FIRST_S, WORST_SCORE

PATIENCE_S = 90


@dataclass
class Record:
    """Every segment ends as one of `ok` and `failed`; on the way it may be turned away or an attempt may break."""

    offered: int = 0
    ok: int = 0
    carried: int = 0  # ok, under a token issued before the orchestrator's last restart
    failed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # attempts that were under way when they were lost
    refused: list[str] = field(default_factory=list)  # attempts answered with an error
    turned_away: int = 0  # attempts that nobody took, the door being closed
    waited: int = 0  # segments of these
    stale: int = 0  # pooled connections found closed
    missed: list[str] = field(default_factory=list)  # discoveries and refreshes without an answer in time
    faults: Counter[str] = field(default_factory=Counter)  # done to the orchestrator
    streams: int = 0
    sessions: int = 0
    refreshes: int = 0
    tickets: int = 0
    pixels: int = 0
    discovery_s: list[float] = field(default_factory=list)
    header_s: list[float] = field(default_factory=list)
    call_s: list[float] = field(default_factory=list)
    download_s: list[float] = field(default_factory=list)
    score: list[float] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Of the orchestrator or its door, by kill -9."""
        return self.faults["kill -9"] + self.faults["nginx killed"]

    def verdict(self, streams: int) -> list[str]:
        """What a stock gateway's operator would complain about; at most the attempts in flight may break by a kill."""
        faults = [f"failed: {text}" for text in self.failed]
        if len(self.broken) > self.kills * streams:
            faults.append(f"{len(self.broken)} broken attempts are more than those in flight at {self.kills} kills")
        faults += [f"refused: {text}" for text in self.refused]
        faults += [f"no answer: {text}" for text in self.missed]
        if self.ok + len(self.failed) < self.offered:
            faults.append(f"{self.offered - self.ok - len(self.failed)} segments without an outcome")
        return faults

    async def until(self, reached: Callable[["Record"], bool], *, patience_s: float = PATIENCE_S) -> None:
        """Wait until the streams have come so far."""
        try:
            async with asyncio.timeout(patience_s):
                while not reached(self):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not within {patience_s:g} s:\n{self.table()}") from None

    async def more(self, segments: int, *, patience_s: float = PATIENCE_S) -> None:
        """Wait for so many more good segments."""
        wanted = self.ok + segments
        await self.until(lambda record: record.ok >= wanted, patience_s=patience_s)

    def table(self) -> str:
        """For people."""
        rows = [
            ("streams", f"{self.streams}, {self.sessions} sessions, {self.refreshes} of them refreshed"),
            ("faults", ", ".join(f"{n} x {name}" for name, n in sorted(self.faults.items())) or "none"),
            ("segments offered", str(self.offered)),
            ("  ok", f"{self.ok} ({self.carried} under a session from before a restart)"),
            ("  failed", _listed(self.failed)),
            ("  waited for a closed door", f"{self.waited} ({self.turned_away} attempts)"),
            ("stale pooled connections", str(self.stale)),
            ("attempts broken under way", _listed(self.broken)),
            ("attempts refused", _listed(self.refused)),
            ("discoveries without answer", _listed(self.missed)),
            ("late headers", str(self.broken.count("headers: time is up"))),
            ("tickets", f"{self.tickets}, for {self.pixels} pixels"),
            ("discovery", f"{_spread(self.discovery_s)}, {sum(s > DISCOVERY_FIRST_S for s in self.discovery_s)} late"),
            ("headers after upload", _spread(self.header_s)),
            ("whole call", _spread(self.call_s)),
            ("download of all renditions", _spread(self.download_s)),
            ("latency score", f"{_spread(self.score, unit='')}, {sum(s > WORST_SCORE for s in self.score)} too bad"),
        ]
        return "\n".join(f"{name:<28} {text}" for name, text in rows)


def _listed(texts: Sequence[str]) -> str:
    counted = Counter(texts).most_common(6)
    return f"{len(texts)}" + "".join(f"\n{'':<31}{n} x {text}" for text, n in counted)


def _spread(values: Sequence[float], *, unit: str = " s") -> str:
    if len(values) < 2:
        return "too few to tell"
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return f"p50 {cuts[49]:.3f}{unit}, p99 {cuts[98]:.3f}{unit}, most {max(values):.3f}{unit} ({len(values)})"
