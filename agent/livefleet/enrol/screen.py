"""What the host's console says: lines for who stands before it. No secret ever comes here."""

import io
from collections.abc import Callable, Sequence

import segno

from livefleet.enrol.machine import Finding
from livefleet.spec.enrolment import CODE_PATH

__all__ = ["Screen", "qr_lines"]

_QUIET_ZONE = 2  # modules; enough for telephones


def qr_lines(text: str) -> list[str]:
    """The text as a QR code of half blocks, light on dark, for a terminal."""
    out = io.StringIO()
    segno.make(text, micro=False, error="l").terminal(out=out, compact=True, border=_QUIET_ZONE)
    return out.getvalue().splitlines()


class Screen:
    """Says each thing once, and again only when something else was said in between."""

    def __init__(self, say: Callable[[str], None], url: str) -> None:
        self._say = say
        self._url = url
        self._last: tuple[str, ...] = ()

    def begins(self, name: str, address: str | None, pool: str | None) -> None:
        """Who this is."""
        for_whom = f"joins the pool {pool}" if pool else f"enrols at {self._url}"
        self._show(
            (f"livefleet: this host calls itself {name}, its address is {address or 'not known yet'}; it {for_whom}",)
        )

    def set_up_otherwise(self, node_yaml: str) -> None:
        """Somebody was here before."""
        self._show((f"livefleet: {node_yaml} is there and not by first boot; this host is left as it is",))

    def trouble(self, text: str, next_look_s: float) -> None:
        """Why it does not go on."""
        self._show((f"livefleet: {text}",), f"livefleet: looking again in {next_look_s:.0f} s")

    def waits(self, code: str, pool: str | None) -> None:
        """Somebody has to approve it."""
        who = f"the pool {pool} lets it in" if pool else "the operator approves it"
        self._show(
            (
                f"livefleet: waiting until {who}. Its code: {code}",
                f"livefleet: on the operator's machine: livefleet enrol approve {code}",
                *qr_lines(f"{self._url}{CODE_PATH}{code}"),
            )
        )

    def enrolled(self, name: str, fleet: str) -> None:
        """The settings are in their places."""
        self._show((f"livefleet: enrolled as {name} of the fleet {fleet}; testing this machine",))

    def tested(self, findings: Sequence[Finding]) -> None:
        """What the self-test has found."""
        self._show(tuple(f"  {'ok  ' if item.good else 'FAIL'}  {item.what}: {item.message}" for item in findings))

    def done(self, name: str, fleet: str, code: str, address: str | None, faults: int, agent: str) -> None:
        """Nothing more is to be done here."""
        well = "all tests passed" if not faults else f"{faults} tests failed, see above; the agent goes on looking"
        self._show(
            (
                f"livefleet: {name} of the fleet {fleet} at {address or 'an unknown address'}, code {code}: {well}",
                f"livefleet: {agent}. The operator sees it with: livefleet enrol list",
                *qr_lines(f"{self._url}{CODE_PATH}{code}"),
            )
        )

    def _show(self, lines: tuple[str, ...], *more: str) -> None:
        if lines == self._last:
            return
        self._last = lines
        for line in (*lines, *more):
            self._say(line)
