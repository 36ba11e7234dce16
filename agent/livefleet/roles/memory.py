"""How much of its devices' memory a node gives to models."""

from livefleet.hardware import CPU_MEMORY, DeviceMemory, VramLedger
from livefleet.spec import NodeSpec

__all__ = ["open_ledger"]

_REST_OF_RAM = 10
"""A tenth of the RAM stays with everything else where nothing is declared."""


def open_ledger(spec: NodeSpec, memory: DeviceMemory) -> VramLedger:
    """The node's one book. Models leave a GPU's headroom to streams, and RAM beyond their share to the rest."""
    transcoding, ai = spec.duties.transcoding, spec.duties.ai

    def headroom(device: str) -> int:
        if device != CPU_MEMORY:
            return 0 if transcoding is None else transcoding.vram_headroom
        reading = memory.of(CPU_MEMORY, ())
        if reading is None:
            return 0
        if ai is None or ai.ram is None:
            return reading.total // _REST_OF_RAM
        return max(0, reading.total - ai.ram)

    return VramLedger(memory, headroom=headroom)
