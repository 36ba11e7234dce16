"""`livefleet report` and `livefleet chain round|delegators|rank` against a real chain and real books."""

import asyncio
import csv
import io
import json
from decimal import Decimal
from fractions import Fraction

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.ledger import Ledger
from tests.builders.busy_orchestrator import (
    DELEGATOR,
    ORCHESTRATOR,
    PARTIES,
    POOR,
    RICH,
    RIVAL,
    STRANGER,
    begin,
    busy_rounds,
    head,
    reward,
)
from tests.devchain.deploy import LPT

pytestmark = pytest.mark.component


async def _run(*words):
    return await asyncio.to_thread(CliRunner().invoke, main, [str(word) for word in words])


async def _json(*words, code=0):
    result = await _run(*words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


async def _kept(chain, path):
    begun = await begin(chain)
    await busy_rounds(chain)
    async with Ledger(chain.client, path, PARTIES, begin_at=begun) as ledger:
        await ledger.advance(await head(chain))
        assert (await ledger.check()).balanced
        return await ledger.entries()


def _chain(chain):
    return ["--rpc", chain.info.rpc, "--controller", chain.info.controller]


async def test_report__books_of_busy_rounds__every_view_adds_up_to_the_same(devchain, tmp_path):
    path = tmp_path / "ledger.sqlite3"
    await _kept(devchain, path)
    by_round = await _json("report", "earnings", "--ledger", path)
    by_gateway = await _json("report", "earnings", "--ledger", path, "--by", "gateway")
    by_all = await _json("report", "earnings", "--ledger", path, "--by", "round,gateway,host")
    assert by_round["total"] == by_gateway["total"] == by_all["total"]
    assert by_round["total"]["tickets"] == 12
    assert [row["round"] for row in by_round["rows"]] == ["4", "5", "6"]
    rows = {row["gateway"]: row for row in by_gateway["rows"]}
    assert rows[RICH.address]["shortfall"] == "0"
    assert int(rows[POOR.address]["shortfall"]) > 5 * 10**18
    one = await _json("report", "earnings", "--ledger", path, "--from", "5", "--to", "5")
    assert one["rows"] == [by_round["rows"][1]]

    printed = await _run("report", "earnings", "--ledger", path, "--csv")
    cells = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert sum(int(row["own_fees_wei"]) for row in cells) == int(by_round["total"]["own_fees"])
    table = await _run("report", "earnings", "--ledger", path)
    assert "own fees ETH" in table.stdout
    assert "total" in table.stdout


async def test_report_tax__with_prices__tells_each_event_once_and_sums(devchain, tmp_path):
    path, prices = tmp_path / "ledger.sqlite3", tmp_path / "prices.csv"
    await _kept(devchain, path)
    earned = (await _json("report", "earnings", "--ledger", path))["total"]
    told = await _json("report", "tax", "--ledger", path)
    first_day = told["events"][0]["date"][:10]
    prices.write_text(f"date,asset,price\n{first_day},ETH,2000.50\n{first_day},LPT,7\n")
    priced = await _json("report", "tax", "--ledger", path, "--prices", prices)

    kinds = [event["kind"] for event in told["events"]]
    assert kinds.count("fee income") == 9
    assert kinds.count("reward income") == 3
    assert kinds.count("transfer in") == 2  # ETH of the gateway, LPT of the deployer; nothing between own keys
    assert kinds.count("transfer out") == 3  # ETH, LPT, fees drawn to a stranger
    coins = {name: Decimal(amount) for name, amount in told["sums"].items()}
    assert coins["fee income ETH"] * 10**18 == int(earned["own_fees"])
    assert coins["reward income LPT"] * 10**18 == int(earned["own_rewards"])
    assert coins["gas ETH"] * 10**18 == int(earned["gas"])
    assert len({event["tx_hash"] for event in told["events"] if Decimal(event["gas_eth"])}) > 10
    assert priced["unpriced"] == 0
    income = next(event for event in priced["events"] if event["kind"] == "reward income")
    assert Decimal(income["value"]) == (Decimal(income["amount"]) * 7).quantize(Decimal("0.01"))


async def test_report_tax__prices_that_are_none__end_with_2_and_name_the_line(devchain, tmp_path):
    prices = tmp_path / "prices.csv"
    prices.write_text("date,asset,price\n2026-01-01,BTC,1\n")
    result = await _run("report", "tax", "--ledger", tmp_path / "none", "--prices", prices)
    assert result.exit_code == 2
    assert "line 2: expected a day (2026-01-31), ETH or LPT and a price" in result.stderr


async def test_report_yield__books_and_chain__shows_what_went_in_and_both_sides(devchain, tmp_path):
    path = tmp_path / "ledger.sqlite3"
    await _kept(devchain, path)
    where = [*_chain(devchain), "--address", ORCHESTRATOR.address]
    told = await _json("report", "yield", "--ledger", path, *where, "--lpt-price-eth", "0.002", "--principle", "100")
    inputs = told["inputs"]
    assert (inputs["reward_cut"], inputs["fee_share"], inputs["treasury_cut"]) == ("0.1", "0.5", "0.1")
    assert inputs["reward_call_ratio"] == "1"
    assert inputs["reward_calls_counted_over_rounds"] == 3
    fees = (await _json("report", "earnings", "--ledger", path))["total"]["fees"]
    assert Fraction(inputs["fees_90_days_eth"]) == Fraction(int(fees), 10**18)
    assert Fraction(told["delegator"]["rewards_percent"]) > 0
    assert Fraction(told["operator"]["rewards_lpt"]) > Fraction(told["delegator"]["rewards_lpt"])
    without = await _json("report", "yield", "--ledger", path, *where)
    assert without["delegator"]["fees_percent"] is None


async def test_report__no_books_or_wrong_words__end_with_2(tmp_path):
    missing = await _run("report", "earnings", "--ledger", tmp_path / "none.sqlite3")
    assert missing.exit_code == 2
    assert "cannot read the ledger" in missing.stderr
    other = tmp_path / "x.txt"
    other.write_text("hello\n")
    assert (await _run("report", "earnings", "--ledger", other)).exit_code == 2
    assert (await _run("report", "earnings", "--ledger", other, "--from", "yesterday")).exit_code == 2
    assert (await _run("report", "earnings", "--ledger", other, "--by", "moon")).exit_code == 2


async def test_chain_round__current_and_past__tell_inflation_minted_and_own_part(devchain, tmp_path):
    await begin(devchain)
    await busy_rounds(devchain)
    now = await _json("chain", "round", *_chain(devchain), "--address", ORCHESTRATOR.address)
    past = await _json("chain", "round", "5", *_chain(devchain), "--address", ORCHESTRATOR.address)
    assert (now["round"], now["current"], past["current"]) == (7, True, False)
    assert now["own"]["reward_lptu"] == "0"
    await reward(devchain)
    after = await _json("chain", "round", *_chain(devchain), "--address", ORCHESTRATOR.address)
    assert after["own"]["reward_lptu"] == now["own"]["expected_lptu"]
    assert int(after["minted_lptu"]) == int(after["own"]["reward_lptu"]) + int(after["treasury_lptu"])
    assert 0 <= int(past["own"]["reward_lptu"]) - int(past["treasury_lptu"]) * 9 < 10
    assert now["time"]["end_l1_block"] - now["time"]["start_l1_block"] == 50
    assert now["time"]["lock_l1_block"] - now["time"]["start_l1_block"] == 45
    text = await _run("chain", "round", *_chain(devchain))
    assert "participation" in text.stdout
    assert (await _run("chain", "round", "99", *_chain(devchain))).exit_code == 2


async def test_chain_delegators__since_a_block__shows_stakes_moves_and_what_is_older(devchain):
    begun = await begin(devchain)
    await busy_rounds(devchain)
    told = await _json("chain", "delegators", ORCHESTRATOR.address, *_chain(devchain), "--since-block", begun + 1)
    (one,) = told["delegators"]
    assert one["address"] == DELEGATOR.address
    assert int(one["stake_lptu"]) == await devchain.client.bonding.pending_stake(DELEGATOR.address)
    assert [(move["what"], move["amount_lptu"]) for move in one["moves"]] == [("bond", str(333 * LPT + 1))]
    assert 0 <= int(told["unknown_stake_lptu"]) < 10  # what the contract rounds away
    none = await _json("chain", "delegators", RIVAL.address, *_chain(devchain), "--since-block", await head(devchain))
    assert none["delegators"] == []


async def test_chain_rank__pool_with_room_and_full__says_how_far_from_falling_out(tmp_path):
    from tests.builders.chain import a_devchain

    async with a_devchain(tmp_path / "chain", pool_max_size=2) as chain:
        await begin(chain)
        ours = await _json("chain", "rank", ORCHESTRATOR.address, *_chain(chain))
        assert (ours["rank"], ours["margin_lptu"], ours["places_below"]) == (1, str(800 * LPT), 1)
        last = await _json("chain", "rank", RIVAL.address, *_chain(chain), code=1)
        assert (last["rank"], last["margin_lptu"]) == (2, "0")
        assert "may fall out" in last["warning"]
        out = await _json("chain", "rank", STRANGER.address, *_chain(chain), code=1)
        assert (out["rank"], out["missing_lptu"]) == (None, str(700 * LPT + 1))
        wrong = await _run("chain", "rank", ORCHESTRATOR.address[:-1] + "z", *_chain(chain))
        assert wrong.exit_code == 2
        assert "is no address" in wrong.stderr
