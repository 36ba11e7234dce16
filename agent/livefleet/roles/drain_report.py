"""How far a drain has come, for /metrics."""

from livefleet.health import Reading
from livefleet.spec import DrainReport, DrainState

__all__ = ["drain_readings"]

_STATES = {DrainState.IN_SERVICE: 0.0, DrainState.DRAINING: 1.0, DrainState.DRAINED: 2.0}


def drain_readings(report: DrainReport) -> list[Reading]:
    """The node's state always, what is left only where something is being emptied."""
    readings: list[Reading] = [
        ("livefleet_drain_state", "gauge", "0 in service, 1 draining, 2 drained.", {}, _STATES[report.state]),
    ]
    for scope in report.scopes:
        where = {"scope": scope.device or "node"}
        readings += [
            ("livefleet_drain_sessions_left", "gauge", "Sessions that still go on.", where, scope.sessions),
            ("livefleet_drain_segments_in_flight", "gauge", "Segments not done yet.", where, scope.segments),
            ("livefleet_drain_deadline_seconds", "gauge", "Left to the deadline.", where, scope.deadline_in_s),
            ("livefleet_drain_done", "gauge", "1 once emptied.", where, float(scope.state is DrainState.DRAINED)),
        ]
    return readings
