"""What a role takes on by two wills: what operators ask to be emptied, and GPUs that are too sick to work."""

from collections.abc import Mapping

from livefleet.hardware import Aside, DevicesAside
from livefleet.reconcile.resources import Drainable, DrainTarget, Remaining

__all__ = ["WithoutSickDevices", "without_sick"]


class WithoutSickDevices:
    """A role as an operator's requests see it. Sick GPUs are emptied besides, whatever is requested."""

    def __init__(self, role: Drainable, aside: DevicesAside) -> None:
        self._role = role
        self._aside = aside
        self._target = DrainTarget()
        aside.on_change(self._tell)

    def drain(self, target: DrainTarget) -> None:
        """Go by what is requested from now on."""
        self._target = target
        self._tell()

    def remaining(self) -> Remaining:
        """What the node works on."""
        return self._role.remaining()

    def remaining_on(self) -> Mapping[str, Remaining]:
        """The same by device."""
        return self._role.remaining_on()

    def relies_on_devices(self) -> bool:
        """Whether nobody else does the node's video."""
        return self._role.relies_on_devices()

    def _tell(self) -> None:
        self._role.drain(without_sick(self._target, self._aside.devices))


def without_sick(target: DrainTarget, aside: Mapping[str, Aside]) -> DrainTarget:
    """What is requested, and sick GPUs emptied too: the dead ones at once, the others as far as others have room.

    Pure.
    """
    dead = {uuid for uuid, device in aside.items() if device.is_dead}
    return DrainTarget(target.intake, target.devices | aside.keys(), target.closed_devices | dead)
