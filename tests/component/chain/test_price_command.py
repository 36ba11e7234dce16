"""`livefleet price explain` against a chain: gas, feed and the gateway's reserve are asked."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.kernel import Wei
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.component

FLEET = """\
name: demo
network: {{name: devchain, rpc: ['{rpc}'], controller: '{controller}', chain_id: 1337}}
keys: {{o: {{file: key, address: '{orchestrator}'}}}}
hosts:
  orch:
    address: x
    role: orchestrator
    duties: [transcoding]
    orchestrator: {{service_uri: 'https://o.example.com:8935', key: o}}
    prices: {{video: 1 USD per 1e12 pixels, feed: {{address: '{feed}'}}}}
"""


async def test_explain__on_a_chain__asks_what_was_not_given(devchain, tmp_path):
    orchestrator, gateway = dev_signer(1), dev_signer(4)
    await devchain.activate_orchestrator(orchestrator)
    await devchain.fund_gateway(gateway.address, deposit=Wei(10**18), reserve=Wei(10**16))
    info = devchain.info
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        FLEET.format(rpc=info.rpc, controller=info.controller, feed=info.price_feed, orchestrator=orchestrator.address)
    )

    def explain(*options):
        result = CliRunner().invoke(main, ["price", "explain", "--fleet", str(fleet), "--json", *options])
        return result, json.loads(result.stdout) if result.exit_code == 0 else {}

    _, told = await asyncio.to_thread(explain)
    _, bounded = await asyncio.to_thread(explain, "--gateway", gateway.address)
    broke, _ = await asyncio.to_thread(explain, "--gateway", dev_signer(5).address)

    assert told["gas_price"] > 0
    assert f"'ETH / USD' of {info.price_feed}" in told["rate"]["from"]
    assert told["warnings"] == []
    assert bounded["face_value"] == min(told["face_value"], 10**16)
    assert broke.exit_code == 3
    assert "insufficient sender reserve. the gateway is good for 0 wei now" in broke.stderr


async def test_explain__no_feed_at_the_address__ends_with_3(devchain, tmp_path):
    info = devchain.info
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        FLEET.format(
            rpc=info.rpc, controller=info.controller, feed=dev_signer(1).address, orchestrator=dev_signer(1).address
        )
    )

    result = await asyncio.to_thread(CliRunner().invoke, main, ["price", "explain", "--fleet", str(fleet)])

    assert result.exit_code == 3
