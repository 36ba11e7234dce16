"""GPUs that get no work, for all who give work to GPUs: media and AI ask here and do not know each other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Aside", "DevicesAside"]


@dataclass(frozen=True, slots=True)
class Aside:
    """Why one of them gets none."""

    why: str  # a sentence for people
    is_dead: bool = False  # what is open there cannot go on either


class DevicesAside:
    """The list of them. One event loop's property."""

    def __init__(self) -> None:
        self._devices: dict[str, Aside] = {}
        self._listeners: list[Callable[[], None]] = []

    @property
    def devices(self) -> Mapping[str, Aside]:
        """By UUID."""
        return dict(self._devices)

    def __contains__(self, uuid: str) -> bool:
        return uuid in self._devices

    def set_aside(self, uuid: str, why: str, *, is_dead: bool = False) -> None:
        """Give it no more work. Saying it again with the same words changes nothing."""
        self._put(self._devices | {uuid: Aside(why, is_dead)})

    def take_back(self, uuid: str) -> None:
        """Give it work again. One that is not aside is fine."""
        self._put({name: aside for name, aside in self._devices.items() if name != uuid})

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` at every change, at once; it must not block. Returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _put(self, devices: dict[str, Aside]) -> None:
        if devices == self._devices:
            return
        self._devices = devices
        for listener in tuple(self._listeners):
            listener()
