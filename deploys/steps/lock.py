"""An operator's lock on a host: whoever does not hold it changes nothing there."""

from collections.abc import Mapping

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse

__all__ = ["locked_by_another"]


def locked_by_another(facts: Observed, environ: Mapping[str, str]) -> Outcome | None:
    """The refusal, where somebody else holds the host; None where nobody does or the lock is ours ($LIVEFLEET_LOCK)."""
    if not facts.lock:
        return None
    token, left_s, owner = [*facts.lock.split(" ", 2), "", ""][:3]
    if token == environ.get("LIVEFLEET_LOCK"):
        return None
    return refuse(
        f"{owner or 'another operator'} is changing this host; the lock ends in {left_s} s unless it is renewed:"
        " wait, or break it with `livefleet rollout --break-lock` when nobody works there"
    )
