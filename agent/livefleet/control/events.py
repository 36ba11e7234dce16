"""What the process that runs pyinfra tells, one JSON object a line."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

__all__ = [
    "BadInputEvent",
    "Begin",
    "Connected",
    "Done",
    "End",
    "Event",
    "Failed",
    "Note",
    "Planned",
    "StepStarted",
    "Waiting",
    "parse_event",
]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Begin(_Event):
    """The run knows its hosts."""

    event: Literal["begin"]
    hosts: tuple[str, ...]
    dry: bool


class Connected(_Event):
    """A host answered."""

    event: Literal["connected"]
    host: str


class Note(_Event):
    """What a step would change on a host and why, or why not."""

    event: Literal["note"]
    host: str
    step: str
    text: str


class Planned(_Event):
    """A host's facts are read; these steps would change something."""

    event: Literal["planned"]
    host: str
    changes: tuple[str, ...]


class Waiting(_Event):
    """Everything is planned; nothing happens before `go`."""

    event: Literal["waiting"]


class StepStarted(_Event):
    """A step has begun on a host."""

    event: Literal["step"]
    host: str
    step: str


class Done(_Event):
    """A step has ended well."""

    event: Literal["done"]
    host: str
    step: str
    changed: bool


class Failed(_Event):
    """A host goes no further."""

    event: Literal["failed"]
    host: str
    step: str
    reason: str


class BadInputEvent(_Event):
    """Nothing was begun: the spec or an argument is wrong."""

    event: Literal["bad_input"]
    reason: str


class End(_Event):
    """The run came to its end, well or not."""

    event: Literal["end"]


Event = Annotated[
    Begin | Connected | Note | Planned | Waiting | StepStarted | Done | Failed | BadInputEvent | End,
    Field(discriminator="event"),
]

_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(line: str) -> Event | None:
    """One line as an event; None for a line that is not one (a library that printed)."""
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError:
        return None
