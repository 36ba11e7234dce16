"""The chain's part of `livefleet plan`, against a chain that answers and an endpoint that does not."""

import asyncio

import pytest

from livefleet.cli.plan_chain import chain_part
from livefleet.control import HostChain
from livefleet.kernel import Wei
from livefleet.spec import load_fleet
from tests.builders.agents import free_port
from tests.devchain.accounts import dev_signer

pytestmark = [pytest.mark.component, pytest.mark.timeout(120)]

OWN = dev_signer(1)
FLEET = """\
name: demo
network: {{name: devchain, rpc: ['{rpc}'], controller: '{controller}', chain_id: {chain_id}}}
keys:
  hot: {{file: key, address: '{own}'}}
defaults: {{role: orchestrator}}
hosts:
  first:
    address: first.example
    orchestrator: {{service_uri: 'https://first.example:8935', key: hot}}
    on_chain: {{service_uri: same, gas: {{warn_below: 2 eth}}}}
  away:
    address: away.example
    orchestrator: {{service_uri: 'https://away.example:8935', key: hot}}
    network: {{rpc: ['http://127.0.0.1:{dead}']}}
    on_chain: {{service_uri: 'https://first.example:8935'}}
  silent:
    address: silent.example
    orchestrator: {{service_uri: 'https://silent.example:8935', key: hot}}
"""


@pytest.fixture
def fleet(devchain, tmp_path):
    info = devchain.info
    path = tmp_path / "fleet.yaml"
    text = FLEET.format(
        rpc=info.rpc, controller=info.controller, chain_id=info.chain_id, own=OWN.address, dead=free_port()
    )
    path.write_text(text)
    return load_fleet(path)


async def test_chain_part__one_endpoint_is_dead__says_so_and_the_other_host_is_read(devchain, fleet):
    await devchain.activate_orchestrator(OWN)
    await devchain.give_eth(OWN.address, Wei(10**18))

    first, away = (await asyncio.to_thread(chain_part, fleet, fleet.hosts)).hosts

    assert first.differs
    assert (first.host, first.reason, first.signed_by) == ("first", "", "node")
    (duty,) = first.duties
    assert (duty.condition, duty.state) == ("ServiceUriInStep", "changing")
    assert duty.changes[0].function.startswith("setServiceURI(")
    (low,) = first.low_balances
    assert (low.key, low.address, low.warn_below_wei) == ("hot", OWN.address, 2 * 10**18)
    assert 0 < low.balance_wei < 2 * 10**18

    assert away.reason
    assert away == HostChain(host="away", reason=away.reason)
    assert not away.differs


async def test_chain_part__nothing_declared__reads_nothing(devchain, fleet):
    assert chain_part(fleet, ["silent"]).hosts == ()
