"""The packages that a node's duties use, imported before it serves.

They are imported late for the nodes that never need them. Where they are needed, the first use would be in the middle
of a payment, and it would come when every other part starts too: an import beside a busy loop takes several times as
long as one alone, and holds the loop up.
"""

from livefleet.chain import stack
from livefleet.kernel.late import load
from livefleet.spec import NodeSpec, extras_of

__all__ = ["load_packages"]


def load_packages(node: NodeSpec) -> None:
    """Raises ModuleNotFoundError where one is missing, which `require_packages` tells better and before."""
    needed = extras_of(node)
    if "chain" in needed:
        load(stack.eth_account, stack.eth_abi, stack.rlp, stack.coincurve, stack.secp256k1, stack.web3, stack.aiohttp)
    if "store" in needed:
        load(stack.asyncpg)
    if node.models:
        load(stack.aiohttp)
