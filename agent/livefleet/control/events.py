"""What the process that runs pyinfra tells, one JSON object a line."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

__all__ = [
    "AgentTold",
    "BadInputEvent",
    "Begin",
    "Connected",
    "Decided",
    "Done",
    "End",
    "Event",
    "Failed",
    "Note",
    "Planned",
    "SeenGpu",
    "SeenHardware",
    "SettingChange",
    "StepDecision",
    "StepStarted",
    "Waiting",
    "parse_event",
]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # also read from files that a newer version wrote


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


class SeenGpu(_Part):
    """One card, as its driver names it."""

    uuid: str
    model: str


class SeenHardware(_Part):
    """What a host has of NVIDIA's."""

    devices: int
    """Display controllers on the PCI bus."""

    driver: str = ""
    """Version of the loaded kernel module; empty: none is loaded."""

    gpus: tuple[SeenGpu, ...] = ()
    """Those that the loaded driver names."""


class SettingChange(_Part):
    """One setting of node.yaml that changes, and what that costs."""

    path: str
    before: str | None
    after: str | None
    takeover: str
    why: str


class StepDecision(_Part):
    """What one step would do on a host."""

    step: str
    changes: bool
    refusal: str = ""
    notes: tuple[str, ...] = ()
    diff: tuple[str, ...] = ()
    digest: str


class Decided(_Event):
    """Everything that would be done on a host, before anything is."""

    event: Literal["decided"]
    host: str
    node: str
    """Digest of its specification."""

    release: str
    """The release it gets; empty where it was refused before that was known."""

    agent: str
    """What the agent goes through: start, restart, reload, or nothing."""

    effects: tuple[SettingChange, ...]
    steps: tuple[StepDecision, ...]
    hardware: SeenHardware | None
    digest: str
    """Another one as soon as something else would be done."""


class AgentTold(_Event):
    """What the agent of a host went through."""

    event: Literal["agent"]
    host: str
    what: str
    """started, restarted or reloaded"""


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
    Begin
    | Connected
    | Note
    | Decided
    | Planned
    | Waiting
    | StepStarted
    | AgentTold
    | Done
    | Failed
    | BadInputEvent
    | End,
    Field(discriminator="event"),
]

_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(line: str) -> Event | None:
    """One line as an event; None for a line that is not one (a library that printed)."""
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError:
        return None
