"""Drain requests as they stand in a node's state folder, and how far the node has come, as /status tells it.

Who may write into the folder may drain the node: there is no other way in. The request outlives a restart of the agent
and a reboot of the machine, until it is taken back: a machine is mostly drained in order to be worked on.
"""

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from livefleet.spec.model import SpecModel
from livefleet.spec.state_file import load_state_file, save_state_file

__all__ = [
    "DEFAULT_DEADLINE_S",
    "DRAIN_FILE",
    "DrainOrder",
    "DrainOrders",
    "DrainReport",
    "DrainScope",
    "DrainState",
    "load_drain",
    "save_drain",
]

DRAIN_FILE: Final = "drain.json"
DEFAULT_DEADLINE_S: Final = 600.0
"""Seconds that running streams are given: long enough for most to end by themselves, short enough to wait for."""


class DrainOrder(SpecModel):
    """One request: of the node, or of one of its devices."""

    since: float
    """Unix seconds of the request."""

    deadline_s: float = Field(default=DEFAULT_DEADLINE_S, ge=0)
    """Seconds from `since` after which running streams' further segments are refused as well. 0: at once."""

    reason: str = Field(default="", max_length=500)
    """Why, for whoever looks at the node meanwhile."""

    def left_s(self, now: float) -> float:
        """Seconds to the deadline; 0 from then on."""
        return max(0.0, self.since + self.deadline_s - now)


class DrainOrders(SpecModel):
    """All that is asked of a node at present."""

    node: DrainOrder | None = None
    """The whole node. None: only the devices below."""

    devices: dict[str, DrainOrder] = {}
    """By device id: `cpu`, or a GPU's UUID."""

    def adding(self, order: DrainOrder, devices: Collection[str] = ()) -> "DrainOrders":
        """With one more request, of the devices or else of the node; it replaces an earlier one of the same."""
        if not devices:
            return DrainOrders(node=order, devices=self.devices)
        return DrainOrders(node=self.node, devices=self.devices | dict.fromkeys(devices, order))

    def without(self, devices: Collection[str] = ()) -> "DrainOrders":
        """Without the requests of these devices, or without any."""
        if not devices:
            return DrainOrders()
        return DrainOrders(node=self.node, devices={d: o for d, o in self.devices.items() if d not in devices})


class DrainState(StrEnum):
    """How far a node, or a device of it, has come."""

    IN_SERVICE = "in service"
    DRAINING = "draining"
    DRAINED = "drained"


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # a newer agent may say more


class DrainScope(_Told):
    """One request and what is left of the work that it concerns."""

    device: str = ""  # empty: the node
    state: DrainState
    reason: str = ""
    since: float
    deadline_in_s: float  # 0 from the deadline on
    sessions: int  # that still go on there
    segments: int  # in flight

    @property
    def text(self) -> str:
        """The same for people."""
        why = f" ({self.reason})" if self.reason else ""
        if self.state is DrainState.DRAINED:
            return f"drained{why}"
        left = f"{self.sessions} session(s), {self.segments} segment(s) in flight"
        due = f"{self.deadline_in_s:.0f} s to the deadline" if self.deadline_in_s else "the deadline has passed"
        return f"draining{why}: {left}, {due}"


class DrainReport(_Told):
    """Every request that a node follows; none in ordinary service."""

    state: DrainState = DrainState.IN_SERVICE  # of the node as a whole
    scopes: tuple[DrainScope, ...] = ()

    def of(self, device: str = "") -> DrainScope | None:
        """The request of a device, or of the node."""
        return next((scope for scope in self.scopes if scope.device == device), None)

    def is_drained(self, devices: Collection[str] = ()) -> bool:
        """Whether the node, or each of these devices, has been emptied by request."""
        scopes = [self.of(device) for device in (devices or ("",))]
        return all(scope is not None and scope.state is DrainState.DRAINED for scope in scopes)


def load_drain(state: Path) -> DrainOrders:
    """What is asked of the node. Raises BadInput where a request is there and cannot be read."""
    return load_state_file(state / DRAIN_FILE, DrainOrders) or DrainOrders()


def save_drain(state: Path, orders: DrainOrders) -> None:
    """Put the requests in place of the earlier ones, durably, readable by the folder's owner alone.

    Raises BadInput where this user may not.
    """
    save_state_file(state / DRAIN_FILE, None if orders == DrainOrders() else orders)
