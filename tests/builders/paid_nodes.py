"""A whole orchestrator on a local chain of its own, with a funded gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from livefleet.chain import LocalSigner
from livefleet.kernel import Wei
from tests.builders.agents import RunningAgent, an_agent
from tests.builders.chain import a_devchain
from tests.builders.gateways import write_key
from tests.devchain.accounts import dev_secret, dev_signer
from tests.devchain.chain import Devchain, DevchainInfo

ORCHESTRATOR, GATEWAY = 1, 4  # accounts of the public test mnemonic
TICKETS = {"expected_value": "2900 gwei", "max_face_value": "4000 gwei", "redeem_gas": 200_000}
"""Dear, and three of four win."""


@dataclass(frozen=True)
class PaidNode:
    """The chain, the agent, and who pays whom."""

    chain: Devchain
    chain_folder: Path
    agent: RunningAgent
    orchestrator: LocalSigner
    gateway: LocalSigner


def network_of(chain: DevchainInfo) -> dict:
    """The chain as a node spec names it."""
    return {
        "name": "devchain",
        "rpc": [chain.rpc],
        "controller": chain.controller,
        "chain_id": chain.chain_id,
        "l1_block_s": 1,
    }


@asynccontextmanager
async def a_paid_node(
    folder: Path,
    *,
    start: bool = True,
    round_length: int = 200,
    pool_max_size: int = 100,
    ticket: dict | None = None,
    **node: object,
) -> AsyncIterator[PaidNode]:
    """Chain up, orchestrator staked and active, gateway funded, agent running. `node` overrides its spec."""
    root = folder / "node"
    orchestrator, gateway = dev_signer(ORCHESTRATOR), dev_signer(GATEWAY)
    write_key(root / "var/lib/livefleet/keys/orchestrator.hex", dev_secret(ORCHESTRATOR))
    async with a_devchain(folder / "chain", round_length=round_length, pool_max_size=pool_max_size) as chain:
        await chain.activate_orchestrator(orchestrator)
        await chain.fund_gateway(gateway.address, deposit=Wei(10**18), reserve=Wei(10**18))
        spec = {
            "network": network_of(chain.info),
            "keys": {"orchestrator": {"file": "keys/orchestrator.hex"}},
            "gpus": "none",
            "duties": {"transcoding": {"encoder": "software"}, "redemption": {"check_every_s": 0.5}},
            "prices": {"video": "100000 wei"},
        } | node
        settings = {"key": "orchestrator", "ticket": ticket or TICKETS} | spec.pop("orchestrator", {})
        with an_agent(root, start=start, role="orchestrator", orchestrator=settings, **spec) as agent:
            yield PaidNode(chain, folder / "chain", agent, orchestrator, gateway)
