"""What transcoding takes of the GPUs' memory, in the book that models are in as well."""

from collections.abc import Iterable, Mapping
from typing import Final

from livefleet.hardware import Claim, Lease, NoMemory, VramLedger
from livefleet.media.device import Device, DeviceKind

__all__ = ["SESSION_BYTES", "TranscodingMemory"]

SESSION_BYTES: Final = 256 << 20
"""Booked for a stream: a decoder and a ladder's encoders of a 1080p source. What the process is seen to hold beyond all
its streams' bookings counts by itself."""


class TranscodingMemory:
    """A lease for each GPU, as large as its streams make it. RAM is not booked: what is used of it is seen."""

    def __init__(self, ledger: VramLedger, devices: Iterable[Device]) -> None:
        self._ledger = ledger
        self._leases: dict[str, Lease] = {}
        for device in devices:
            self.add(device)

    def add(self, device: Device) -> None:
        """Book on one more device from now on."""
        if device.kind is DeviceKind.NVIDIA:
            self._leases[device.id] = self._ledger.lease(device.id, "transcoding", 0, claim=Claim.TRANSCODING)

    def has_room(self, device: str) -> bool:
        """Whether one more stream would fit, were all idle models to leave."""
        return device not in self._leases or self._ledger.could(
            device, "transcoding", SESSION_BYTES, claim=Claim.TRANSCODING
        )

    def take(self, device: str) -> bool:
        """Book one more stream; idle models are asked to leave where it takes that. False where it does not fit."""
        lease = self._leases.get(device)
        if lease is None:
            return True
        try:
            lease.grow(SESSION_BYTES)
        except NoMemory:
            return False
        return True

    def follow(self, sessions: Mapping[str, int], pids: Mapping[str, int | None]) -> None:
        """Book what there is now. Open streams that moved to a device are there, whether they fit or not."""
        for device, lease in self._leases.items():
            pid = pids.get(device)
            lease.pids = set() if pid is None else {pid}
            if lease.booked != (booked := sessions.get(device, 0) * SESSION_BYTES):
                lease.resize(booked)

    async def ready(self, device: str) -> None:
        """Wait until those that had to leave have left. Raises NoMemory."""
        if device in self._leases:
            await self._leases[device].ready()

    def close(self) -> None:
        """Nothing is transcoded any more."""
        for lease in self._leases.values():
            lease.release()
