"""`livefleet price explain` without a chain."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from livefleet.cli import main

pytestmark = pytest.mark.unit

GATEWAY = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
FLEET = f"""\
name: demo
network: {{name: arbitrum-one-mainnet, rpc: ['http://127.0.0.1:1/']}}
keys: {{o: {{file: key}}}}
secrets: {{pool: {{env: POOL}}}}
hosts:
  orch:
    address: a.example.com
    role: orchestrator
    duties: [transcoding, ai]
    orchestrator: {{service_uri: 'https://orch.example.com:8935', key: o, worker_secret: pool}}
    prices: {{video: 0.41 USD per 1e12 pixels, gateways: {{'{GATEWAY}': 900 wei}}}}
    models: [{{pipeline: text-to-image, model_id: a/b, price: 5/2}}]
  gpu:
    address: b.example.com
    role: worker
    duties: [transcoding]
    worker: {{orchestrator: 'orch.example.com:8935', secret: pool}}
"""
OFFLINE = ("--gas-price", "0.01 gwei", "--eth-usd", "3500")


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return path


def explain(fleet: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["price", "explain", "--fleet", str(fleet), *options])


def test_explain__offline__tells_every_step(fleet: Path) -> None:
    result = explain(fleet, *OFFLINE, "--ceiling", "118")

    assert result.exit_code == 0, result.output
    assert result.output == (
        "orch on arbitrum-one-mainnet: transcoding for any gateway without a price of its own\n"
        f"  declared  video: 0.41 USD per 1e12 units, from host orch ({fleet}:11:21)\n"
        "  rate      1 ETH = 3500 USD, as given\n"
        "  base      about 117.142857 wei per unit\n"
        "  gas       10000000 wei, as given; redeeming takes 1200000 gas = 12000000000000 wei\n"
        "  ticket    face value 1200000000000000 wei; the gateway's reserve was not asked, so it bounds nothing\n"
        "  overhead  + 1 %, redeeming a ticket over its face value\n"
        "  adjusted  118.314 wei per unit, down to 0.001 wei\n"
        "  sent      pricePerUnit 59157, pixelsPerUnit 500\n"
        "  listed    text-to-image a/b: 2 wei\n"
        "  ceiling   118 wei: left out: the price is above it; the price is about 100.26 % of it\n"
        "            largest base price that it takes: about 116.831683 wei\n"
        "  warning   text-to-image a/b is listed at 2 wei, lists hold whole wei: its price is 5/2\n"
    )


def test_explain__as_json__is_exact(fleet: Path) -> None:
    result = explain(fleet, "orch", *OFFLINE, "--ceiling", "0.5 usd per 1e12", "--json")

    told = json.loads(result.output)
    assert (told["base"], told["price_per_unit"], told["pixels_per_unit"]) == ("820/7", 59157, 500)
    assert told["declared"] == [
        {
            "path": "prices.video",
            "amount": "41/100000000000000",
            "currency": "usd",
            "wei": "820/7",
            "origin": f"host orch ({fleet}:11:21)",
        }
    ]
    assert told["ceiling"] == {"limit": "1000/7", "is_met": True, "largest_declared": "100000/707"}


def test_explain__gateway_with_its_own_price__is_told_that(fleet: Path) -> None:
    told = json.loads(explain(fleet, *OFFLINE, "--gateway", GATEWAY.lower(), "--json").output)

    assert [(item["path"], item["wei"]) for item in told["declared"]] == [(f"prices.gateways.{GATEWAY}", "900")]
    assert (told["price_per_unit"], told["pixels_per_unit"]) == (909, 1)


def test_explain__model__is_told_by_id_or_with_its_pipeline(fleet: Path) -> None:
    for name in ("a/b", "text-to-image:a/b"):
        told = json.loads(explain(fleet, *OFFLINE, "--model", name, "--json").output)
        assert (told["base"], told["price_per_unit"], told["pixels_per_unit"]) == ("5/2", 101, 40)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["gpu"], "`gpu` is a worker: only orchestrators quote prices"),
        (["nobody"], "no host `nobody`"),
        (["--gateway", "gateway-1"], "--gateway: 'gateway-1' is no address"),
        (["--model", "a/c"], "--model a/c: no such model; did you mean `a/b`?"),
        (["--ceiling", "much"], "--ceiling: 'much' is not an amount"),
        (["--gas-price", "1 USD"], "--gas-price: '1 USD' is not an amount in wei"),
        (["--eth-usd", "0"], "--eth-usd: ETH is worth more than nothing"),
        (["--eth-usd", "2 wei"], "--eth-usd: '2 weiUSD' is not an amount"),
    ],
)
def test_explain__wrong_question__ends_with_2(fleet: Path, options: list[str], told: str) -> None:
    result = explain(fleet, *options)

    assert result.exit_code == 2
    assert told in result.stderr


def test_explain__off_chain__has_no_price(fleet: Path) -> None:
    text = FLEET.replace("{name: arbitrum-one-mainnet, rpc: ['http://127.0.0.1:1/']}", "offchain")
    fleet.write_text(text)

    result = explain(fleet)

    assert result.exit_code == 2
    assert "off-chain: it quotes no price" in result.stderr


def test_explain__several_orchestrators__wants_a_name(fleet: Path) -> None:
    second = FLEET[FLEET.index("  orch:") : FLEET.index("  gpu:")]
    fleet.write_text(
        FLEET
        + second.replace("orch:", "orch-2:").replace("orch.example", "orch-2.example").replace("a.example", "c.example")
    )

    result = explain(fleet, *OFFLINE)

    assert result.exit_code == 2
    assert "name a host: orch, orch-2" in result.stderr
