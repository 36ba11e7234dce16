"""Logs as a contract would write them."""

from typing import Any

from eth_abi.abi import encode

from livefleet.chain.abi import Event
from livefleet.chain.logs import Log
from livefleet.kernel import Address


def a_log(event: Event, *values: Any, address: Address, block: int = 7, tx: bytes = b"\7" * 32, index: int = 0) -> Log:
    """A log of `event` with these values in the order of its declaration."""
    pairs = list(zip(event.inputs, values, strict=True))
    plain = [(kind, value) for (kind, indexed), value in pairs if not indexed]
    return Log(
        address=address,
        topics=(event.topic, *(encode([kind], [value]) for (kind, indexed), value in pairs if indexed)),
        data=encode([kind for kind, _ in plain], [value for _, value in plain]),
        block_number=block,
        block_hash=b"\1" * 32,
        tx_hash=tx,
        log_index=index,
    )
