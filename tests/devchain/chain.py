"""The local chain as tests, the demo and `livefleet devchain` use it: up, down, and the things that people do on it.

async with await Devchain.up(folder) as chain:
    await chain.fund_gateway(gateway.address, deposit=10**18, reserve=10**18)
    await chain.activate_orchestrator(orchestrator, service_uri="https://127.0.0.1:8935")
"""

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from livefleet.chain import ChainClient, Reverted, Rpc, SenderInfo, Signer, connect
from livefleet.chain.abi import Function
from livefleet.kernel import Address, BadInput, Round, Wei
from livefleet.spec import Network, NetworkName
from tests.devchain import process
from tests.devchain.accounts import DEPLOYER, KEEPER, dev_signer
from tests.devchain.deploy import LPT, ProtocolVersion, deploy
from tests.devchain.originals import Originals, protocol_sources
from tests.devchain.sender import Sender
from tests.devchain.toolchain import Artifact, compile_contracts, default_cache, install

__all__ = ["ACTIVATION_BLOCKS", "Devchain", "DevchainInfo", "ProtocolVersion"]

CHAIN_ID = 1337  # none of a network with value, so that nothing signed here means anything there
_FILE = "devchain.json"
ACTIVATION_BLOCKS = 8  # no activation takes more transactions, a block each

TRANSFER = Function.parse("transfer(address to, uint256 amount) returns (bool)")
FUND_FOR = Function.parse("fundDepositAndReserveFor(address addr, uint256 depositAmount, uint256 reserveAmount)")


@dataclass(frozen=True, slots=True)
class DevchainInfo:
    """How to reach a local chain; the content of devchain.json."""

    rpc: str
    chain_id: int
    controller: Address
    price_feed: Address
    ai_service_registry: Address
    round_length: int
    protocol: str = ProtocolVersion.LIVE  # of our contracts

    @property
    def network(self) -> Network:
        """The spec of this network."""
        return Network(name=NetworkName.DEVCHAIN, chain_id=self.chain_id, controller=self.controller, rpc=(self.rpc,))

    @classmethod
    def read(cls, folder: Path) -> "DevchainInfo":
        """The chain that runs in `folder`. Raises BadInput where none does."""
        if _running(folder) is None:
            raise BadInput(f"no local chain runs in {folder}; start one: livefleet devchain up --dir {folder}")
        return cls(**json.loads((folder / _FILE).read_text()))


class Devchain:
    """A handle on a running local chain. Closing it leaves the chain running; `down` ends it."""

    def __init__(self, info: DevchainInfo, client: ChainClient) -> None:
        self.info = info
        self.client = client
        self.sender = Sender(client.rpc, info.chain_id)

    @classmethod
    async def up(
        cls,
        folder: Path,
        *,
        port: int = 0,
        round_length: int = 50,
        block_time_s: float = 0.0,
        pool_max_size: int = 100,
        protocol: ProtocolVersion = ProtocolVersion.LIVE,
        host: str = "127.0.0.1",
        cache: Path | None = None,
        sources: Path | None = None,
    ) -> Self:
        """Start a chain with the protocol on it in `folder`, or attach to the one that runs there.

        A block is mined for each transaction, and every `block_time_s` too unless that is 0. `host` is where it
        listens: anything but loopback lets everybody there spend the test accounts' coins. `sources`: a checkout of the
        protocol, whose own contracts take the place of ours; None: as the environment says.
        """
        running = await asyncio.to_thread(_running, folder)
        if running is not None:
            return await cls.attach(folder)
        cache = cache or default_cache()
        tools = await asyncio.to_thread(install, cache)
        artifacts = await asyncio.to_thread(compile_contracts, tools, cache)
        started = await asyncio.to_thread(
            process.start, tools.anvil, folder, port=port, chain_id=CHAIN_ID, block_time_s=block_time_s, host=host
        )
        try:
            rules: dict[str, Any] = {"round_length": round_length, "pool_max_size": pool_max_size, "protocol": protocol}
            sources = sources or protocol_sources()
            if sources is not None:
                rules["originals"] = await asyncio.to_thread(Originals.compile, sources, tools, cache)
            await cls._deploy(folder, started, artifacts, rules)
            return await cls.attach(folder)
        except BaseException:
            await cls.down(folder)
            raise

    @staticmethod
    async def _deploy(
        folder: Path, started: process.Process, artifacts: dict[str, Artifact], rules: dict[str, Any]
    ) -> None:
        async with Rpc([started.rpc], chain_id=started.chain_id) as rpc:
            placed = await deploy(rpc, started.chain_id, artifacts, **rules)
        info = DevchainInfo(
            *(started.rpc, started.chain_id),
            round_length=rules["round_length"],
            protocol=rules["protocol"],
            **asdict(placed),
        )
        await asyncio.to_thread((folder / _FILE).write_text, json.dumps(asdict(info), indent=2) + "\n")

    @classmethod
    async def attach(cls, folder: Path) -> Self:
        """Take up a chain that runs in `folder`. Raises BadInput where none does."""
        info = DevchainInfo.read(folder)
        return cls(info, await connect(info.network))

    @staticmethod
    async def down(folder: Path) -> bool:
        """End the chain that was started in `folder`, and no other process; False where none ran."""
        return await asyncio.to_thread(_end, folder)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.__aexit__(kind, error, trace)

    async def mine(self, blocks: int = 1) -> None:
        """Mine blocks; each counts as an L1 block."""
        await self.client.rpc.request("anvil_mine", hex(blocks))

    async def next_round(self, *, initialize: bool = True) -> Round:
        """Mine to the first block of the next round and, unless told otherwise, initialise it."""
        rounds = self.client.rounds
        start, length, now = (
            await rounds.current_round_start_block(),
            await rounds.round_length(),
            await rounds.block_num(),
        )
        await self.mine(start + length - now)
        if initialize:
            await self.initialize_round()
        return await rounds.current_round()

    async def initialize_round(self) -> None:
        """Initialise the current round unless somebody did."""
        try:
            await self.sender.send(dev_signer(KEEPER), self.client.rounds.initialize_round_call())
        except Reverted as error:
            if error.reason != "round already initialized":
                raise

    async def give_eth(self, address: Address, amount: Wei) -> None:
        """Set an account's balance."""
        await self.client.rpc.request("anvil_setBalance", address, hex(amount))

    async def give_lpt(self, address: Address, amount: int) -> None:
        """Hand out LPTU of the deployer."""
        await self.sender.send(dev_signer(DEPLOYER), self.client.token.call(TRANSFER, address, amount))

    async def bring_up_to(self, address: Address, *, eth: Wei = Wei(0), lpt: int = 0) -> None:
        """Give an account what it lacks of these balances, in wei and LPTU; takes nothing away."""
        if await self.client.rpc.balance(address) < eth:
            await self.give_eth(address, eth)
        lacking = lpt - await self.client.token.balance(address)
        if lacking > 0:
            await self.give_lpt(address, lacking)

    async def fund_gateway(self, address: Address, *, deposit: Wei, reserve: Wei) -> None:
        """Add to a gateway's deposit and reserve; the deployer pays."""
        call = self.client.broker.call(FUND_FOR, address, deposit, reserve, value=Wei(deposit + reserve))
        await self.sender.send(dev_signer(DEPLOYER), call)

    async def bring_gateway_up_to(self, address: Address, *, deposit: Wei, reserve: Wei) -> SenderInfo:
        """Add what a gateway lacks of this deposit and reserve; the deployer pays. Returns what it has then."""
        info = await self.client.broker.sender_info(address, address)
        lacking = (max(deposit - info.deposit, 0), max(reserve - info.reserve_remaining, 0))
        if any(lacking):
            await self.fund_gateway(address, deposit=Wei(lacking[0]), reserve=Wei(lacking[1]))
        return await self.client.broker.sender_info(address, address)

    async def reorganise(self, blocks: int) -> None:
        """Undo the last blocks and put as many empty ones in their place; their transactions are lost."""
        await self.client.rpc.request("anvil_reorg", blocks, [])

    async def set_base_fee(self, price: Wei) -> None:
        """Mine a block with this base fee, in wei per gas. Each empty block after it costs an eighth less."""
        await self.client.rpc.request("anvil_setNextBlockBaseFeePerGas", hex(price))
        await self.mine()

    async def activate_orchestrator(
        self,
        signer: Signer,
        *,
        stake: int = 1_000 * LPT,
        reward_cut: int = 100_000,
        fee_share: int = 500_000,
        service_uri: str = "",
        ai_service_uri: str = "",
        advance: bool = True,
    ) -> None:
        """Give an account ETH and LPT, bond it to itself, set its cuts and URIs.

        It is active from the next round on; `advance` goes there at once.
        """
        client = self.client
        await self._begin_roomy_round()
        if await client.rpc.balance(signer.address) < 10**18:
            await self.give_eth(signer.address, Wei(100 * 10**18))
        await self.give_lpt(signer.address, stake)
        calls = [
            client.token.approve_call(client.bonding.address, stake),
            client.bonding.bond_call(stake, signer.address),
            client.bonding.transcoder_call(reward_cut=reward_cut, fee_share=fee_share),
        ]
        if service_uri:
            calls.append(client.services.set_service_uri_call(service_uri))
        if ai_service_uri and client.ai_services is not None:
            calls.append(client.ai_services.set_service_uri_call(ai_service_uri))
        await self.sender.send(signer, *calls)
        if advance:
            await self.next_round()

    async def _begin_roomy_round(self) -> None:
        """Bonding needs an initialised round and setting cuts an unlocked one, a block a transaction."""
        rounds = self.client.rounds
        await self.initialize_round()
        start, length, now = (
            await rounds.current_round_start_block(),
            await rounds.round_length(),
            await rounds.block_num(),
        )
        lock = length * await rounds.round_lock_amount() // 10**6
        if start + length - lock - now < ACTIVATION_BLOCKS:
            await self.next_round()


def _running(folder: Path) -> process.Process | None:
    """The chain of `folder`, whole: its process lives and its deployment was finished."""
    running = process.Process.read(folder)
    return running if running is not None and running.is_alive() and (folder / _FILE).exists() else None


def _end(folder: Path) -> bool:
    running = process.Process.read(folder)
    ended = running is not None and process.stop(running)
    (folder / _FILE).unlink(missing_ok=True)
    process.Process.forget(folder)
    return ended
