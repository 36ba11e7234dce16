"""Offering the node to gateways only once a paid job has passed on what it runs.

                       told by the operator's machine
 no job on this  ------------- passed -------------> offered to all
 release, driver                                        |
      ^  ^                                              |
      |  '--- a release or driver not proven before ----+
      '----------- a job failed at its work ------------'

Until then discovery answers the account alone whose jobs prove it. Streams that have their token go on all the while.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livefleet.kernel import BadInput, Condition, Status
from livefleet.reconcile.model import Action, Again, Plan
from livefleet.spec import SmokeProof, SmokeProofs, load_smoke_proofs

__all__ = ["SMOKE_PASSED", "SmokeObserved", "SmokeResource", "is_proven"]

SMOKE_PASSED: Final = "SmokePassed"

_LOOK_EVERY_S = 2.0
_IDLE_S = 3600.0  # where nobody's job is waited for; who declares an account nudges


@dataclass(frozen=True, slots=True)
class SmokeObserved:
    """What runs, and what is known of it, at one moment."""

    account: str | None  # whose jobs prove the node; None: it is offered as it is
    release: str
    driver: str | None  # NVIDIA's; empty: there is none; None: not known yet
    proofs: SmokeProofs
    fault: str  # why they could not be read

    @property
    def proof(self) -> SmokeProof | None:
        """The last outcome of what runs now."""
        return None if self.driver is None else self.proofs.of(self.release, self.driver)


@dataclass(frozen=True, slots=True)
class OfferTo(Action):
    """Have discovery answer one account alone, or everybody."""

    account: str | None


class SmokeResource:
    """Keeps the node offered to those who may have it."""

    name = "smoke"

    def __init__(
        self,
        state: Path,
        *,
        account: str | None,
        release: str,
        driver: Callable[[], str | None],
        offer_to: Callable[[str | None], None],
    ) -> None:
        self._state = state
        self._account = account
        self._release = release
        self._driver = driver
        self._offer_to = offer_to

    def go_by(self, account: str | None) -> None:
        """Wait for this account's jobs from the next look on; None: for nobody's."""
        self._account = account

    async def observe(self) -> SmokeObserved:
        """See `look`."""
        return self.look()

    def look(self) -> SmokeObserved:
        """Read what is known. A file that is there and cannot be read proves nothing."""
        proofs, fault = SmokeProofs(), ""
        if self._account is not None:
            try:
                proofs = load_smoke_proofs(self._state)
            except BadInput as error:
                fault = str(error)
        return SmokeObserved(self._account, self._release, self._driver(), proofs, fault)

    def plan(self, observed: SmokeObserved) -> Plan:
        """Pure."""
        if observed.account is None or is_proven(observed):
            action = OfferTo(summary="offer the node to every gateway", account=None)
        else:
            action = OfferTo(summary=f"offer the node to {observed.account} alone", account=observed.account)
        if observed.account is None:
            return Plan((action,), (), Again(_IDLE_S))
        return Plan((action,), (_condition(observed),), Again(_LOOK_EVERY_S))

    async def apply(self, action: Action) -> None:
        """Tell the front door."""
        assert isinstance(action, OfferTo)
        self._offer_to(action.account)


def is_proven(observed: SmokeObserved) -> bool:
    """Whether the last job that was done by what runs now passed. Pure."""
    return observed.proof is not None and observed.proof.passed


def _condition(observed: SmokeObserved) -> Condition:
    """It keeps no node from being ready: the job that it waits for is done on one that is."""
    waits = f"only {observed.account} is offered the node"
    if observed.fault:
        return _said(Status.FALSE, "Unreadable", f"{observed.fault}; {waits}")
    if (proof := observed.proof) is not None:
        if not proof.passed:
            return _said(Status.FALSE, "Failed", f"the last paid job failed: {proof.text}; {waits}")
        at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(proof.at))
        return _said(Status.TRUE, "Passed", f"a paid job passed at {at}: {proof.text}")
    if (last := observed.proofs.last) is None:
        return _said(Status.FALSE, "NotTried", f"no paid job was done here yet; {waits}")
    if observed.driver is None:
        return _said(Status.UNKNOWN, "Looking", f"which driver runs is not known yet; {waits}")
    was, now = _named(last.release, last.driver), _named(observed.release, observed.driver)
    return _said(Status.FALSE, "NotTried", f"the last paid job was done by {was}, and {now} runs; {waits}")


def _said(status: Status, reason: str, text: str) -> Condition:
    return Condition(SMOKE_PASSED, status, reason, text, gates_ready=False)


def _named(release: str, driver: str) -> str:
    return f"release {release} with driver {driver}" if driver else f"release {release}"
