"""An orchestrator in a pool of one place, with what it has won and the watch over its place, on a local chain."""

from contextlib import asynccontextmanager
from fractions import Fraction

from coincurve import PrivateKey

from livefleet.kernel import SessionId, SystemClock, Wei
from livefleet.payments import OnchainPayments
from livefleet.spec import TicketSettings
from tests.builders.chain import a_devchain
from tests.builders.payments import find_winner, pay, some_prices
from tests.builders.redeeming import LocalRedeeming
from tests.devchain.accounts import dev_secret, dev_signer

GATEWAY, ORCHESTRATOR, RICHER = (dev_signer(index) for index in (4, 1, 2))
KEY = PrivateKey(dev_secret(4))
SESSION = SessionId("aabbccdd")
LENGTH = 200
FACE = 10**16


class LeavingNode:
    """Payments and redeemer; who inherits sets `leaving`, the watch over the active set, and says what a turn is."""

    def __init__(self, local, payments):
        self.local = local
        self.payments = payments
        self.chain = local.devchain

    async def win(self):
        """A payment whose ticket wins; the quote that it was made by."""
        quote, nonce = await find_winner(self.payments, SESSION, sender=GATEWAY.address, key=KEY)
        await self.payments.receive(pay(quote, [nonce], sender=GATEWAY.address, key=KEY), SESSION)
        return quote

    async def mine_to(self, block):
        await self.chain.mine(block - await self.chain.client.rounds.block_num())
        await self.local.watcher.look()

    @property
    def head(self):
        return self.local.watcher.head()


@asynccontextmanager
async def a_leaving_node(devchain, folder, make, **local_settings):
    """`make(local, payments)` gives the node; `local_settings` go to the redeemer's side of it."""
    node = payments = None
    local = LocalRedeeming(
        devchain,
        folder,
        ORCHESTRATOR.address,
        closed_before=lambda: payments.closed_before,
        departure=lambda: node.leaving.departure,
        **local_settings,
    )
    async with local:
        payments = OnchainPayments(
            local.store,
            local.watcher,
            local.monitor,
            recipient=ORCHESTRATOR.address,
            prices=some_prices(video=Fraction(1)),
            ticket=TicketSettings(expected_value=5 * 10**15, max_face_value=FACE),
            redeem_gas=350_000,
            clock=SystemClock(),
        )
        async with payments:
            node = make(local, payments)
            yield node


@asynccontextmanager
async def a_full_pool(folder):
    """A chain with room for one orchestrator, who is in, and a funded gateway."""
    async with a_devchain(folder, round_length=LENGTH, pool_max_size=1) as devchain:
        await devchain.activate_orchestrator(ORCHESTRATOR)
        await devchain.fund_gateway(GATEWAY.address, deposit=Wei(10**18), reserve=Wei(10**18))
        yield devchain
