"""A key at a signing service: whether it can be had."""

from livefleet.chain import RemoteSigner
from livefleet.kernel import Condition, LivefleetError, Status, Terminal
from livefleet.reconcile.model import Action, Again, Plan

__all__ = ["SIGNER_REACHABLE", "SignerResource"]

SIGNER_REACHABLE = "SignerReachable"
_EVERY_S = 30.0
_EVERY_WHILE_AWAY_S = 5.0


class SignerResource:
    """Asks the service for its keys, signs nothing, and says whether ours is among them."""

    def __init__(self, key: str, signer: RemoteSigner, *, gates_ready: bool = True) -> None:
        self.name = f"signer {key}"
        self._key = key
        self._signer = signer
        self._gates_ready = gates_ready

    async def observe(self) -> LivefleetError | None:
        """Why the key cannot be had; None where it can."""
        try:
            await self._signer.check()
        except LivefleetError as error:
            return error
        return None

    def plan(self, observed: LivefleetError | None) -> Plan:
        """The condition alone."""
        if observed is None:
            text = f"{self._signer.address} signs at {self._signer.url}"
            return Plan((), (self._said(Status.TRUE, "Reached", text),), Again(_EVERY_S))
        reason = "Refused" if isinstance(observed, Terminal) else "NotReached"
        return Plan((), (self._said(Status.FALSE, reason, str(observed)),), Again(_EVERY_WHILE_AWAY_S))

    async def apply(self, action: Action) -> None:
        """There is nothing to do."""

    def _said(self, status: Status, reason: str, text: str) -> Condition:
        return Condition(SIGNER_REACHABLE, status, reason, text, subject=self._key, gates_ready=self._gates_ready)
