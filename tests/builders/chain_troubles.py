"""What befalls a node that works on a chain: no ETH, dear gas, tokens that move without a word, a full disk."""

import asyncio
import math
import resource
import signal
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML

from livefleet.chain import Call, keccak256
from livefleet.chain.abi import Function, to_raw
from livefleet.kernel import Address, Wei, to_u256
from tests.builders.agents import RunningAgent
from tests.builders.redeeming import hold_blocks, let_blocks_go, send_raw
from tests.devchain.accounts import DEPLOYER, KEEPER, dev_signer
from tests.devchain.chain import Devchain

GWEI = 10**9
PLENTY = Wei(100 * 10**18)
DAY_S = 86_400.0

_SET_ANSWER = Function.parse("setAnswer(int256 answer)")
_BALANCES_SLOT = 0  # of LivepeerToken: where the mapping of balances begins


@dataclass(frozen=True)
class Purse:
    """The ETH of a node's key, whose account is `address`; the agent calls the key `key`."""

    chain: Devchain
    agent: RunningAgent
    address: Address
    key: str

    async def hold(self, amount: Wei) -> None:
        """So much from now on."""
        await self.chain.give_eth(self.address, amount)

    @property
    def lasts_s(self) -> float:
        """Seconds, as the agent reckoned when it looked last; infinite while it spent nothing."""
        lasts_s = self.agent.metric("livefleet_gas_runway_seconds", key=self.key)
        return math.inf if lasts_s is None else lasts_s

    async def last_for(self, days: float) -> None:
        """So much that it lasts for so many days, as the agent reckoned when it looked last."""
        balance, lasts_s = self.agent.metric("livefleet_key_balance_wei", key=self.key), self.lasts_s
        assert balance is not None
        assert lasts_s < math.inf, "nothing was spent yet"
        await self.hold(Wei(int(balance * days * DAY_S / lasts_s)))


async def begin_round_with_dear_gas(chain: Devchain, sender: Address, *, price: Wei) -> None:
    """A new round whose first transaction of `sender` is sent while gas is cheap, and left when it has become dear."""
    await hold_blocks(chain)
    await chain.next_round(initialize=False)
    await send_raw(chain, dev_signer(KEEPER), chain.client.rounds.initialize_round_call())
    await chain.mine()
    async with asyncio.timeout(30):
        while await _nonce(chain, sender, "pending") == await _nonce(chain, sender, "latest"):
            await asyncio.sleep(0.05)
    await chain.set_base_fee(price)


async def end_dear_gas(chain: Devchain, *, price: Wei) -> None:
    """Gas costs so much, and what waits is mined."""
    await chain.set_base_fee(price)
    await let_blocks_go(chain)


async def _nonce(chain: Devchain, sender: Address, state: str) -> int:
    return int(await chain.client.rpc.request("eth_getTransactionCount", sender, state), 16)


async def move_lpt_silently(chain: Devchain, owner: Address, amount: int) -> None:
    """Have the token's contract say that an account holds so much LPTU, with no event that tells of it."""
    place = keccak256(bytes(12) + to_raw(owner) + to_u256(_BALANCES_SLOT))
    arguments = (chain.client.token.address, "0x" + place.hex(), "0x" + to_u256(amount).hex())
    await chain.client.rpc.request("anvil_setStorageAt", *arguments)
    await chain.mine()
    assert await chain.client.token.balance(owner) == amount


@dataclass
class FullDisk:
    """A disk that takes no byte more of one process; its children are spared."""

    agent: RunningAgent
    _before: tuple[int, int] = field(default=(resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def fill(self) -> None:
        """From now on."""
        self._before = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (0, self._before[1]))

    def clear(self) -> None:
        """There is room again."""
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, self._before)

    @property
    def _pid(self) -> int:
        assert self.agent.process is not None
        return self.agent.process.pid


def declare(agent: RunningAgent, **changes: Any) -> None:
    """Change node.yaml and tell the agent; None takes a setting away."""
    rewrite(agent, **changes)
    assert agent.process is not None
    agent.process.send_signal(signal.SIGHUP)


def rewrite(agent: RunningAgent, **changes: Any) -> None:
    """The same of an agent that is not started yet."""
    yaml = YAML(typ="safe")
    declared = yaml.load(agent.node_yaml) | changes
    with agent.node_yaml.open("w") as file:
        yaml.dump({name: value for name, value in declared.items() if value is not None}, file)


async def answer_of_feed(chain: Devchain, usd_per_eth: int) -> None:
    """What the chain's price feed says from the next block on; 0 is no price."""
    call = Call(to=chain.info.price_feed, data=_SET_ANSWER.encode(usd_per_eth * 10**8))
    await chain.sender.send(dev_signer(DEPLOYER), call)
    await chain.mine()
