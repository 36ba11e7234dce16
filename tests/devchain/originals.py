"""The protocol's own BondingManager, BondingVotes and TicketBroker in the place of ours, from a checkout of it.

`LIVEFLEET_PROTOCOL_SOURCES=DIR` has every local chain made with them: what holds then does not hang on our contracts.
DIR is a clone of github.com/livepeer/protocol. Nothing of it is kept here.
"""

import os
import posixpath
import re
from pathlib import Path

from eth_abi.abi import encode

from livefleet.chain import Call
from livefleet.chain.abi import Function
from livefleet.kernel import Address, BadInput
from tests.devchain.accounts import DEPLOYER, dev_signer
from tests.devchain.sender import Sender
from tests.devchain.toolchain import Artifact, Toolchain, compile_sources

__all__ = ["Originals", "protocol_sources"]

_WANTED = (
    "contracts/bonding/BondingManager.sol",
    "contracts/bonding/BondingVotes.sol",
    "contracts/pm/TicketBroker.sol",
    "contracts/libraries/SortedDoublyLL.sol",
)
_IMPORT = re.compile(r'import\s+(?:\{[^}]*\}\s+from\s+)?"([^"]+)"')
_EXACT_VERSION = re.compile(r"^pragma solidity (\d)", re.MULTILINE)
_UPGRADEABLE = re.compile(r'import "@openzeppelin/contracts-upgradeable/(.*?)/(\w+)Upgradeable\.sol"')
_UNBONDING_ROUNDS, _UNLOCK_ROUNDS, _VALIDITY_ROUNDS = 7, 7, 2


def protocol_sources() -> Path | None:
    """The checkout that is to be used, if any."""
    given = os.environ.get("LIVEFLEET_PROTOCOL_SOURCES")
    return Path(given) if given else None


class Originals:
    """The compiled contracts. They are those of early 2024."""

    def __init__(self, artifacts: dict[str, Artifact]) -> None:
        self._artifacts = artifacts

    @classmethod
    def compile(cls, sources: Path, toolchain: Toolchain, cache: Path) -> "Originals":
        """Compile them. Raises BadInput where `sources` is no checkout of the protocol."""
        texts: dict[str, str] = {}
        for path in _WANTED:
            _collect(sources, path, texts)
        return cls(compile_sources(toolchain, cache, texts, wanted=_WANTED))

    async def deploy(self, sender: Sender, controller: Address) -> tuple[Address, Address, Address]:
        """Put them on the chain: BondingManager, BondingVotes and TicketBroker."""
        owner, argument = dev_signer(DEPLOYER), encode(["address"], [controller])
        (library,) = await sender.deploy(owner, self._artifacts["SortedDoublyLL"].bytecode)
        libraries = {"SortedDoublyLL": library}
        bonding, votes, broker = await sender.deploy(
            owner,
            *(
                self._artifacts[name].linked(libraries) + argument
                for name in ("BondingManager", "BondingVotes", "TicketBroker")
            ),
        )
        return bonding, votes, broker

    @staticmethod
    def parameters(bonding: Address, broker: Address, pool_max_size: int) -> tuple[Call, ...]:
        """What the Controller's owner has to set once; ours have it from their making."""
        return (
            _set(bonding, "setUnbondingPeriod(uint64)", _UNBONDING_ROUNDS),
            _set(bonding, "setNumActiveTranscoders(uint256)", pool_max_size),
            _set(broker, "setUnlockPeriod(uint256)", _UNLOCK_ROUNDS),
            _set(broker, "setTicketValidityPeriod(uint256)", _VALIDITY_ROUNDS),
        )


def _set(to: Address, signature: str, value: int) -> Call:
    return Call(to=to, data=Function.parse(signature).encode(value))


def _collect(root: Path, path: str, texts: dict[str, str]) -> None:
    """A file and all that it imports, fit for the compiler and the libraries that are pinned here."""
    if path in texts:
        return
    try:
        text = (root / path).read_text()
    except OSError as error:
        raise BadInput(f"{root / path}: {error.strerror}; is {root} a checkout of the protocol?") from error
    text = _EXACT_VERSION.sub(r"pragma solidity ^\1", text)
    for upgradeable in _UPGRADEABLE.finditer(text):
        folder, name = upgradeable.groups()
        text = text.replace(upgradeable[0], f'import {{{name}}} from "@openzeppelin/contracts/{folder}/{name}.sol"')
        text = text.replace(f"{name}Upgradeable", name)
    texts[path] = text
    for imported in _IMPORT.findall(text):
        if not imported.startswith("@"):
            _collect(root, posixpath.normpath(posixpath.join(posixpath.dirname(path), imported)), texts)
