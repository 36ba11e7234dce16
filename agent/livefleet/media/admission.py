"""Whether another session fits, by what sessions are measured to cost. Pure: no clock, no input, no output.

A session takes two things: CPU time, of which the machine has its cores less what others use, and its device's places
for jobs. Each second of media costs some seconds of either. As long as the sums stay below what there is, every segment
can be answered within its own duration, however the segments fall together: sessions send one segment at a time, and
places are given first come, first served.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from livefleet.kernel import SessionId
from livefleet.media.metering import Usage
from livefleet.media.models import Profile

__all__ = ["Admission", "Cost", "DeviceLoad", "MachineLoad", "pixels_per_s"]

_WEIGHT = 0.3  # of the newest segment in the averages
_LEAST_MEDIA_S = 0.01
_LEAST_SHARE = 0.25  # of the cores: the scheduler leaves us that much, whatever others want
_PASSTHROUGH_FPS = 30  # assumed of a source that keeps its own rate


def pixels_per_s(profiles: Sequence[Profile]) -> float:
    """Pixels that a second of media is encoded into, over all profiles."""
    return float(sum(p.width * p.height * ((p.fps / (p.fps_den or 1)) or _PASSTHROUGH_FPS) for p in profiles))


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a core and of a device's place, a second of media (or a pixel, where that is said)."""

    cpu: float = 0.0
    place: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.cpu + other.cpu, self.place + other.place)

    def __mul__(self, factor: float) -> "Cost":
        return Cost(self.cpu * factor, self.place * factor)


@dataclass(slots=True)
class _Average:
    """Usage over an amount of something, newer weighing more. Amounts weigh too: one odd segment moves it little."""

    cpu_s: float = 0.0
    place_s: float = 0.0
    amount: float = 0.0

    def add(self, usage: Usage, amount: float) -> None:
        if not self.amount:
            self.cpu_s, self.place_s, self.amount = usage.cpu_s, usage.place_s, amount
            return
        self.cpu_s += _WEIGHT * (usage.cpu_s - self.cpu_s)
        self.place_s += _WEIGHT * (usage.place_s - self.place_s)
        self.amount += _WEIGHT * (amount - self.amount)

    def cost(self) -> Cost:
        return Cost(self.cpu_s / self.amount, self.place_s / self.amount)


@dataclass(slots=True)
class _Session:
    device: str
    pixels_per_s: float
    cost: Cost
    average: _Average = field(default_factory=_Average)


@dataclass(slots=True)
class _Device:
    places: int
    pixel_cost: Cost
    average: _Average = field(default_factory=_Average)


@dataclass(frozen=True, slots=True)
class DeviceLoad:
    """A device's share of the sessions."""

    id: str
    sessions: int
    used: float  # places, on average
    places: int
    pixel_cost: Cost  # a pixel encoded: as measured, else as assumed
    is_measured: bool


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """What all sessions cost now, and what they may cost."""

    cpu_used: float  # cores, on average
    cpu_of_others: float  # cores used by what is not a worker process of ours
    cores: float
    max_load: float
    devices: tuple[DeviceLoad, ...]

    @property
    def cpu_allowed(self) -> float:
        """Cores that sessions may use together, as it is now."""
        return self.max_load * _left(self.cores, self.cpu_of_others)


class Admission:
    """The book of open sessions. It refuses new ones only: an open session stays until `close`.

    `places`: of each device, jobs at once. `pixel_costs`: of each device, what one encoded pixel is assumed to cost
    until segments have been measured there. `max_load`: the share of cores and places that may be spoken for.
    """

    def __init__(
        self,
        places: Mapping[str, int],
        pixel_costs: Mapping[str, Cost],
        *,
        cores: float,
        max_load: float,
        max_sessions: int | None = None,
    ) -> None:
        self._devices = {name: _Device(count, pixel_costs[name]) for name, count in places.items()}
        self._cores = cores
        self._max_load = max_load
        self._max_sessions = max_sessions
        self.cpu_of_others = 0.0  # cores; whoever looks writes it here
        self._sessions: dict[SessionId, _Session] = {}

    def add(self, device: str, places: int, pixel_cost: Cost) -> None:
        """Count with one more device from now on."""
        self._devices[device] = _Device(places, pixel_cost)

    def limit(self, *, max_load: float, max_sessions: int | None) -> None:
        """Measure new sessions by these from now on."""
        self._max_load = max_load
        self._max_sessions = max_sessions

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session: SessionId) -> bool:
        return session in self._sessions

    @property
    def load(self) -> MachineLoad:
        """As it is now."""
        return MachineLoad(
            cpu_used=self._cpu(),
            cpu_of_others=self.cpu_of_others,
            cores=self._cores,
            max_load=self._max_load,
            devices=tuple(
                DeviceLoad(
                    id=name,
                    sessions=sum(1 for s in self._sessions.values() if s.device == name),
                    used=self._places(name),
                    places=device.places,
                    pixel_cost=device.pixel_cost,
                    is_measured=bool(device.average.amount),
                )
                for name, device in self._devices.items()
            ),
        )

    def room_for(self, pixels_per_s: float | None, among: Collection[str]) -> str | None:
        """The device that a new session would go to; None where it does not fit.

        `pixels_per_s`: of all its profiles; None for one like those that are open. The only session of a machine is
        always taken: it harms nobody, and what it really costs is known only by trying.
        """
        if self._max_sessions is not None and len(self._sessions) >= self._max_sessions:
            return None
        costs = {name: self._expected(name, pixels_per_s) for name in among}
        if not self._sessions:
            return self._freest(costs)
        return self._freest({name: cost for name, cost in costs.items() if self._fits(name, cost)})

    def open(self, session: SessionId, pixels_per_s: float, among: Collection[str]) -> str | None:
        """Take a session in; its device, or None where it does not fit."""
        device = self.room_for(pixels_per_s, among)
        if device is not None:
            cost = self._devices[device].pixel_cost * pixels_per_s
            self._sessions[session] = _Session(device, pixels_per_s, cost)
        return device

    def device_of(self, session: SessionId, among: Collection[str]) -> str:
        """Where an open session's next segment goes; never refused.

        It stays where it is, unless that device is not among the usable ones, or has too much while another has room.
        """
        booked = self._sessions[session]
        if booked.device not in among:
            booked.device = self._freest(dict.fromkeys(among, booked.cost)) or booked.device
        elif self._places(booked.device) > self._allowed(booked.device):
            others = [name for name in among if name != booked.device]
            roomy = {n: booked.cost for n in others if self._places(n) + booked.cost.place <= self._allowed(n)}
            booked.device = self._freest(roomy) or booked.device
        return booked.device

    def measured(self, session: SessionId, device: str, usage: Usage, *, media_s: float, pixels: int) -> None:
        """A segment of `media_s` with `pixels` encoded was done by `device`. Unknown sessions count for the device."""
        if pixels > 0:
            known = self._devices[device]
            known.average.add(usage, pixels)
            known.pixel_cost = known.average.cost()
        booked = self._sessions.get(session)
        if booked is not None:
            booked.average.add(usage, max(media_s, _LEAST_MEDIA_S))
            booked.cost = booked.average.cost()

    def close(self, session: SessionId) -> None:
        """Strike a session out. Unknown ones are fine."""
        self._sessions.pop(session, None)

    def _expected(self, device: str, pixels_per_s: float | None) -> Cost:
        if pixels_per_s is not None:
            return self._devices[device].pixel_cost * pixels_per_s
        if not self._sessions:
            return Cost()
        return _sum(s.cost for s in self._sessions.values()) * (1 / len(self._sessions))

    def _fits(self, device: str, cost: Cost) -> bool:
        return self._cpu() + cost.cpu <= self._max_load * self._cores_left() and self._places(
            device
        ) + cost.place <= self._allowed(device)

    def _freest(self, costs: Mapping[str, Cost]) -> str | None:
        """The device that has the largest share left with its cost added."""
        return min(costs, key=lambda n: (self._places(n) + costs[n].place) / self._devices[n].places, default=None)

    def _allowed(self, device: str) -> float:
        return self._max_load * self._devices[device].places

    def _cores_left(self) -> float:
        return _left(self._cores, self.cpu_of_others)

    def _cpu(self) -> float:
        return sum(session.cost.cpu for session in self._sessions.values())

    def _places(self, device: str) -> float:
        return sum(session.cost.place for session in self._sessions.values() if session.device == device)


def _left(cores: float, used_by_others: float) -> float:
    return max(cores - used_by_others, _LEAST_SHARE * cores)


def _sum(costs: Iterable[Cost]) -> Cost:
    total = Cost()
    for cost in costs:
        total += cost
    return total
