"""What a node takes on while it is being emptied."""

from enum import StrEnum

__all__ = ["Intake"]


class Intake(StrEnum):
    """From serving to emptied; nothing that was taken is ever cut short by it."""

    OPEN = "open"  # new sessions and segments
    RUNNING = "running"  # segments of sessions that are open; no new sessions
    CLOSED = "closed"  # nothing: peers are to go elsewhere
