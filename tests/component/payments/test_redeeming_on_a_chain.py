"""From quote to ETH on a local chain: the watcher, the broker and the transactions are the real ones."""

import asyncio
from fractions import Fraction

import pytest
from coincurve import PrivateKey

from livefleet.chain import ChainWatcher, Transactions
from livefleet.kernel import SessionId, SystemClock, Wei
from livefleet.payments import (
    BrokerRedemption,
    OnchainPayments,
    Redeemer,
    SenderMonitor,
    SqliteStore,
    TicketState,
    default_redeem_gas,
    read_tickets,
)
from livefleet.spec import NetworkName, TicketSettings
from tests.builders.chain import a_devchain
from tests.builders.payments import find_winner, pay, some_prices
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = pytest.mark.component

GATEWAY, ORCHESTRATOR, REDEEMER = (dev_signer(index) for index in (4, 1, 7))
SESSION = SessionId("aabbccdd")


async def test_winning_ticket__parameters_expire__becomes_eth(tmp_path):
    clock = SystemClock()
    async with a_devchain(tmp_path / "chain", round_length=200) as devchain:
        await devchain.activate_orchestrator(ORCHESTRATOR)
        await devchain.fund_gateway(GATEWAY.address, deposit=Wei(10**18), reserve=Wei(10**18))
        client = devchain.client
        watcher = ChainWatcher(client, recipient=ORCHESTRATOR.address, poll_s=0.2)
        await watcher.look()
        monitor = SenderMonitor(watcher)
        gas = default_redeem_gas(NetworkName.DEVCHAIN)
        async with (
            watcher,
            SqliteStore(tmp_path / "store") as store,
            Transactions(client.rpc, REDEEMER, tmp_path / "transactions", chain_id=client.chain_id) as transactions,
            OnchainPayments(
                store,
                watcher,
                monitor,
                recipient=ORCHESTRATOR.address,
                prices=some_prices(video=Fraction(1)),
                ticket=TicketSettings(expected_value=5 * 10**15, max_face_value=10**16),
                redeem_gas=gas,
                clock=clock,
            ) as payments,
        ):
            key = PrivateKey(dev_secret(4))
            quote, nonce = await find_winner(payments, SESSION, sender=GATEWAY.address, key=key)
            await payments.receive(pay(quote, [nonce], sender=GATEWAY.address, key=key), SESSION)
            async with Redeemer(
                store, watcher, BrokerRedemption(client, transactions), monitor, clock=clock
            ) as redeemer:
                early = await redeemer.run_once()
                await devchain.mine(41)
                await watcher.look()
                async with asyncio.timeout(60):
                    report = await redeemer.run_once()

        assert early.waiting == {"parameters have not expired": 1}
        assert (report.redeemed, report.paid, report.short) == (1, 10**16, 0)
        assert await client.bonding.pending_fees(ORCHESTRATOR.address) == 10**16
        (ticket,) = read_tickets(tmp_path / "store")
        assert (ticket.state, ticket.paid) == (TicketState.REDEEMED, 10**16)
