"""Ethereum's libraries and the database's, imported when first used: nodes without chain and keys have none of them.

The first bring py_ecc, which raises Python's recursion limit to 100,000. With that a peer's JSON of many brackets,
which json.loads reads by recursion in C, overflows the stack and ends the process by a segmentation fault in place of a
RecursionError. Nothing here computes on curves so deeply: the limit is put back.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Final

from livefleet.kernel.late import late

__all__ = ["aiohttp", "asyncpg", "coincurve", "eth_abi", "eth_account", "rlp", "secp256k1", "web3"]

_LIMIT: Final = 1000  # CPython's own


def _bounded() -> None:
    importlib.import_module("py_ecc")  # now, so that no later import raises the limit again
    sys.setrecursionlimit(_LIMIT)


if TYPE_CHECKING:
    import aiohttp
    import asyncpg
    import coincurve
    import eth_abi.abi
    import eth_abi.exceptions
    import eth_account
    import rlp
    import web3
    from coincurve import _libsecp256k1 as secp256k1
else:
    aiohttp = late("aiohttp")
    asyncpg = late("asyncpg")
    coincurve = late("coincurve")
    secp256k1 = late("coincurve._libsecp256k1")
    eth_abi = late("eth_abi", then=_bounded)
    eth_account = late("eth_account", then=_bounded)
    rlp = late("rlp", then=_bounded)
    web3 = late("web3", then=_bounded)
