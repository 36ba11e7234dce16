"""What a chain can answer.

LivefleetError
|- Reverted            the contract refused; `reason` is its own text
|- Transient
|  |- DatabaseFailed   the database that agents share did not do it: away, full, or it refused
|  |- NodeError        a node answered with an error that is none of the contract's
|  |  `- RangeTooLarge logs of too many blocks, or too many logs, were asked for at once
|  |- NoProtocol       the chain is right, but the protocol's contracts are not to be seen on it
|  |- FeedUnusable     a price feed's answer cannot be used
|  |- FeeTooHigh       gas costs more than the caller allows now
|  |- IntentTaken      another process recorded the same purpose or nonce first
|  |- KeyBusy          another process sends for this key
|  |- NotMinedYet      sent, and the caller's patience ended first
|  `- OutOfFunds       the key cannot pay for gas and value
`- Terminal
   |- DatabaseUnusable the database promises too little, is newer than this livefleet, or another chain's
   `- WrongChain       the endpoints serve another chain
"""

from typing import Any

from livefleet.chain.stack import eth_abi
from livefleet.kernel import LivefleetError, Terminal, Transient

__all__ = [
    "DatabaseFailed",
    "DatabaseUnusable",
    "FeeTooHigh",
    "FeedUnusable",
    "IntentTaken",
    "KeyBusy",
    "NoProtocol",
    "NodeError",
    "NotMinedYet",
    "OutOfFunds",
    "RangeTooLarge",
    "Reverted",
    "WrongChain",
    "revert_reason",
]

_ERROR_STRING = bytes.fromhex("08c379a0")  # Error(string)
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)


class Reverted(LivefleetError):
    """A call that the contract refused, found by simulation or by a mined receipt.

    `reason` is the text of Error(string), `Panic(0x11)` for a panic, `custom error 0x…` for one that has no text and
    an empty string when the node gave none.
    """

    def __init__(self, reason: str, *, data: bytes = b"") -> None:
        super().__init__(f"execution reverted: {reason}" if reason else "execution reverted")
        self.reason = reason
        self.data = data


class NodeError(Transient):
    """A JSON-RPC error answer that is not a revert."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class RangeTooLarge(NodeError):
    """An endpoint gives no logs for so many blocks at once. `span`: blocks that it advises, None where it does not."""

    def __init__(self, message: str, *, code: int = 0, span: int | None = None) -> None:
        super().__init__(message, code=code)
        self.span = span


class NoProtocol(Transient):
    """No Controller at its address, or one that does not know the contracts."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"{message}; the node may still be syncing, or `network.controller` is wrong", retry_after_s=5.0
        )


class FeedUnusable(Transient):
    """An answer that no rate can be made of. `reason` is a word for machines."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class FeeTooHigh(Transient):
    """Gas is above the caller's limit; nothing was sent."""

    def __init__(self, *, gas_price: int, limit: int) -> None:
        super().__init__(f"gas costs {gas_price} wei, above the limit of {limit}; nothing was sent", retry_after_s=30.0)
        self.gas_price = gas_price
        self.limit = limit


class IntentTaken(Transient):
    """The store has a live intent of this purpose or nonce; nothing was recorded or sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after_s=1.0)


class KeyBusy(Transient):
    """Another process holds the key's lease; nothing was recorded or sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after_s=5.0)


class NotMinedYet(Transient):
    """No block took the transaction as long as the caller waited; it is followed further."""


class OutOfFunds(Transient):
    """The signer's balance does not cover gas and value; waiting helps once somebody sends it ETH."""


class DatabaseFailed(Transient):
    """The shared database did not answer, or refused; nothing is known of what was being written."""


class DatabaseUnusable(Terminal):
    """The shared database must not be used by this process as it is."""


class WrongChain(Terminal):
    """The endpoints do not serve the chain that the spec declares."""


def revert_reason(data: bytes, message: str = "") -> str:
    """The reason in revert data, or in the node's message where the data says nothing."""
    selector, body = data[:4], data[4:]
    if selector == _ERROR_STRING:
        return str(_decoded("string", body))
    if selector == _PANIC:
        return f"Panic(0x{int(_decoded('uint256', body)):02x})"
    if selector:
        return f"custom error 0x{data.hex()}"
    return message.partition("execution reverted")[2].strip(": ")


def _decoded(kind: str, body: bytes) -> Any:
    try:
        return eth_abi.abi.decode([kind], body)[0]
    except eth_abi.exceptions.DecodingError as error:
        raise NodeError(f"revert data that is no {kind}: 0x{body.hex()}") from error
