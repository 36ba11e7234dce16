"""Rounds with two agents that hold the same duties, a paying gateway, and a clock that blocks tick to."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from livefleet.chain import LocalSigner
from livefleet.kernel import Address, LivefleetError, Wei
from tests.builders.agents import RunningAgent, an_agent
from tests.builders.chain import a_devchain
from tests.builders.gateways import SingleRequests, write_key
from tests.builders.host_troubles import faketime_library
from tests.builders.paid_nodes import GATEWAY, ORCHESTRATOR, TICKETS, network_of
from tests.builders.postgres import a_postgres
from tests.builders.unruly_rpc import UnrulyRpc, an_unruly_rpc
from tests.devchain.accounts import dev_secret, dev_signer
from tests.devchain.chain import Devchain
from tests.devchain.deploy import LPT

log = logging.getLogger(__name__)

REWARD_CALLER = 2  # account of the public test mnemonic; the second agent's key
OTHERS = (5, 6)  # two more orchestrators, so that the pool is one
GWEI = 10**9
GAS_CEILING = 2 * GWEI
CHEAP = GWEI // 100
DEEPEST_REORG = 3
SKEWS = ("-7m", "+11m")  # by the agents' clocks of day; what they measure waiting by stays


@dataclass
class Pace:
    """Who mines: a block each `block_s`, at the base fee that is asked for."""

    chain: Devchain
    block_s: float
    base_fee: int = CHEAP
    held: bool = False
    mining: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Until cancelled."""
        rpc = self.chain.client.rpc
        while True:
            if not self.held:
                async with self.mining:
                    await rpc.request("anvil_setNextBlockBaseFeePerGas", hex(self.base_fee))
                    await rpc.request("anvil_mine", "0x1")
            await asyncio.sleep(self.block_s)


@dataclass
class Scene:
    """What a run is made of."""

    chain: Devchain
    pace: Pace
    agents: tuple[RunningAgent, ...]
    endpoints: tuple[tuple[UnrulyRpc, ...], ...]  # each agent's own
    keys: tuple[Address, ...]  # that the agents send with
    orchestrator: Address
    gateway: LocalSigner
    acknowledged: Counter[int] = field(default_factory=Counter)  # payments answered 200, by agent
    unanswered: Counter[int] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    paying: bool = True

    async def round(self) -> int:
        """The round by time."""
        return await self.chain.client.rounds.current_round()


@asynccontextmanager
async def a_scene(folder: Path, *, round_length: int, block_s: float, shared: bool = True) -> AsyncIterator[Scene]:
    """Chain, two agents with two endpoints each, and the clock; all ended afterwards.

    `shared`: the agents have one database; else each its own files, and only the chain between them.
    """
    orchestrator, caller, gateway = dev_signer(ORCHESTRATOR), dev_signer(REWARD_CALLER), dev_signer(GATEWAY)
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(a_devchain(folder / "chain", round_length=round_length))
        for index in OTHERS:
            await chain.activate_orchestrator(dev_signer(index), stake=index * 500 * LPT, advance=False)
        await chain.activate_orchestrator(orchestrator)
        await chain.sender.send(orchestrator, chain.client.bonding.set_reward_caller_call(caller.address))
        await chain.fund_gateway(gateway.address, deposit=Wei(10**19), reserve=Wei(10**19))
        url = stack.enter_context(a_postgres()).database() if shared else None
        agents, endpoints = [], []
        for name, index, skew in zip("ab", (ORCHESTRATOR, REWARD_CALLER), SKEWS, strict=True):
            root = folder / name
            write_key(root / "var/lib/livefleet/keys/own.hex", dev_secret(index))
            own = [await stack.enter_async_context(an_unruly_rpc(chain.info.rpc)) for _ in range(2)]
            spec = _spec(chain, [endpoint.url for endpoint in own], block_s, recipient=orchestrator.address)
            spec |= _shared(root, url) if url is not None else {}
            env = {"LD_PRELOAD": str(faketime_library()), "FAKETIME": skew, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            agents.append(stack.enter_context(an_agent(root, start=False, env=env, name=name, **spec)))
            endpoints.append(tuple(own))
        pace = Pace(chain, block_s)
        scene = Scene(
            chain=chain,
            pace=pace,
            agents=tuple(agents),
            endpoints=tuple(endpoints),
            keys=(orchestrator.address, caller.address),
            orchestrator=orchestrator.address,
            gateway=gateway,
        )
        for agent in agents:
            await asyncio.to_thread(agent.start)
        async with asyncio.TaskGroup() as group:
            going = [group.create_task(pace.run()), *(group.create_task(_pay(scene, n)) for n in range(len(agents)))]
            yield scene
            for task in going:
                task.cancel()


def _spec(chain: Devchain, rpc: list[str], block_s: float, *, recipient: Address) -> dict:
    return {
        "role": "orchestrator",
        "network": network_of(chain.info) | {"rpc": rpc, "l1_block_s": block_s, "confirmations": DEEPEST_REORG + 1},
        "keys": {"own": {"file": "keys/own.hex"}},
        "gpus": "none",
        "duties": {
            "transcoding": {"encoder": "software"},
            "reward": {"check_every_s": 1, "initialize_round": True, "max_gas_price": GAS_CEILING},
            "redemption": {"check_every_s": 1, "max_gas_price": GAS_CEILING, "collect_s": 1},
            "ledger": {},
        },
        "prices": {"video": "100000 wei"},
        "orchestrator": {"key": "own", "recipient": recipient, "ticket": TICKETS},
    }


def _shared(root: Path, url: str) -> dict:
    secret = root / "var/lib/livefleet/secrets/database"
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(url + "\n")
    return {"store": {"postgres": "database", "tls": "disable"}, "secrets": {"database": "secrets/database"}}


async def _pay(scene: Scene, index: int, *, every_s: float = 0.4) -> None:
    """Payments to one agent, as a gateway makes them outside of segments, for as long as the scene lasts."""
    while True:
        try:
            async with SingleRequests(scene.agents[index].service_uri, scene.gateway) as session:
                for _ in range(5):
                    if scene.paying:
                        await _pay_once(scene, index, session)
                    await asyncio.sleep(every_s)
        except (LivefleetError, httpx.HTTPError, AssertionError):
            scene.unanswered[index] += 1
            await asyncio.sleep(every_s)


async def _pay_once(scene: Scene, index: int, session: SingleRequests) -> None:
    payment = session.payment(seconds=3)
    async with httpx.AsyncClient(verify=False, timeout=10) as http:
        answer = await http.post(
            f"{session.info.transcoder}/payment",
            headers={"Livepeer-Payment": payment, "Livepeer-Segment": session.credentials()},
        )
    if answer.status_code == 200:
        scene.acknowledged[index] += 1
    else:
        scene.refused[f"{answer.status_code} {answer.text.strip().splitlines()[0]}"] += 1
    with contextlib.suppress(LivefleetError):
        await session.discover()
