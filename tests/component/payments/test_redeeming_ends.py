"""What becomes of a ticket that the chain refuses, or that somebody has redeemed."""

import pytest

from livefleet.chain import Reverted
from livefleet.kernel import BlockNumber, Round, Status, Transient, Wei
from livefleet.payments import Redemption, TicketState, Why
from livefleet.reconcile.resources import RedemptionResource
from tests.builders.payments import GATEWAY
from tests.builders.redeeming import FACE

pytestmark = pytest.mark.component


async def test_run__permanent_refusal__is_lost_counted_and_named(bench, caplog):
    await bench.won(1, 2)
    bench.broker.trials[1] = "invalid signature over ticket hash"

    async with bench.redeemer() as redeemer:
        report = await redeemer.run_once()
        assert dict(redeemer.losses.value.items()) == {("invalid signature over ticket hash", GATEWAY): FACE}
        (loss,) = redeemer.losses.recent()
        assert (loss.sender, loss.value, loss.reason) == (GATEWAY, FACE, "invalid signature over ticket hash")
        bench.clock.time += 86_401
        assert redeemer.losses.recent() == ()

    assert (report.lost, report.lost_value, report.redeemed) == (1, FACE, 1)
    assert bench.states()[1][:2] == (TicketState.LOST, "invalid signature over ticket hash")
    assert bench.store.totals.of(TicketState.LOST).value == FACE
    assert [r.reason for r in caplog.records if r.message == "ticket.lost"] == ["invalid signature over ticket hash"]


async def test_restart__lost_before__is_told_for_a_day_and_counted_once(bench):
    await bench.won(1, 2)
    bench.broker.trials[1] = "invalid signature over ticket hash"
    bench.broker.trials[2] = "ticket did not win"
    async with bench.redeemer() as redeemer:
        await redeemer.run_once()
        told = redeemer.losses.recent()
    bench.clock.time += 86_000
    async with bench.redeemer() as redeemer:
        assert sorted(redeemer.losses.recent(), key=str) == sorted(told, key=str)
        assert len(told) == 2
        assert dict(redeemer.losses.count.items()) == {}  # a counter begins anew with its process
        resource = RedemptionResource(bench.store, redeemer, every_s=15.0)
        (condition,) = resource.plan(await resource.observe()).conditions
        assert (condition.reason, condition.status) == ("Lost", Status.FALSE)
        assert GATEWAY in condition.message
        bench.clock.time += 1_000
        assert redeemer.losses.recent() == ()


async def test_run__too_late__is_lost_with_what_it_waited_for_unless_the_contract_has_it(bench):
    (late, used) = await bench.won(1, 2)
    bench.broker.trials[1] = "transcoder must be active"
    bench.broker.used[used.ticket.hash] = Redemption(b"\x05" * 32, FACE)
    assert (await bench.run_once()).used_before == 1
    bench.chain.move(current_round=Round(3502), last_initialized_round=Round(3502))
    bench.broker.trials[1] = "ticket is expired"

    report = await bench.run_once()

    assert (report.lost, report.used_before) == (1, 0)
    assert bench.states()[1][:2] == (TicketState.LOST, "ticket is expired; it waited: transcoder must be active")
    assert bench.states()[2][0] is TicketState.REDEEMED
    assert late.ticket.hash not in bench.broker.used


async def test_run__an_endpoint_says_it_is_too_late_and_the_contract_does_not__is_redeemed(bench):
    await bench.won(1)
    bench.chain.move(current_round=Round(9999), last_initialized_round=Round(9999))

    assert (await bench.run_once()).redeemed == 1


async def test_run__validity_that_governance_raised__is_the_chains(bench):
    await bench.won(1)
    bench.broker.clock = bench.broker.clock.__class__(Round(3500), BlockNumber(20_999_900), 6377, 3)
    bench.chain.move(current_round=Round(3502), last_initialized_round=Round(3502))

    assert (await bench.run_once()).redeemed == 1


@pytest.mark.parametrize("reason", ["transcoder must be active", "transcoder must be registered"])
async def test_run__refusal_that_passes__is_tried_again(bench, reason):
    await bench.won(1)
    bench.broker.trials[1] = reason
    report = await bench.run_once()
    assert (report.waiting, report.why) == ({reason: 1}, {Why.INACTIVE: 1})
    del bench.broker.trials[1]

    assert (await bench.run_once()).redeemed == 1


async def test_run__accounting_panic__raises_an_alarm_and_keeps_the_ticket(bench):
    (winner,) = await bench.won(1)
    bench.broker.trials[1] = "Panic(0x01)"

    report = await bench.run_once()

    assert report.alarms == [f"{winner.ticket.hash.hex()}: Panic(0x01)"]
    assert bench.states()[1][0] is TicketState.PENDING


async def test_run__mined_and_reverted__is_tried_again_later_and_later(bench):
    await bench.won(1)
    bench.broker.refusals[1] = Reverted("")
    async with bench.redeemer() as redeemer:
        await redeemer.run_once()
        assert (await redeemer.run_once()).why == {Why.FAILED: 1}
        bench.clock.time += 31
        await redeemer.run_once()
        bench.clock.time += 31
        assert (await redeemer.run_once()).why == {Why.FAILED: 1}
        bench.clock.time += 31
        del bench.broker.refusals[1]
        assert (await redeemer.run_once()).redeemed == 1
    assert redeemer.errors.total == 2


async def test_run__killed_after_sending__is_found_used_and_not_sent_again(bench):
    (winner,) = await bench.won(1)
    bench.broker.used[winner.ticket.hash] = Redemption(b"\x05" * 32, Wei(FACE - 1))

    report = await bench.run_once()

    assert (report.used_before, report.paid, bench.broker.sent) == (1, FACE - 1, [])
    assert bench.states()[1] == (TicketState.REDEEMED, "redeemed", FACE - 1)


async def test_run__somebody_else_redeemed_it__what_it_was_paid_is_booked(bench):
    (winner,) = await bench.won(1)
    bench.broker.used[winner.ticket.hash] = None
    bench.broker.by_others[winner.ticket.hash] = Redemption(b"\x06" * 32, Wei(FACE // 2))

    assert (await bench.run_once()).paid == FACE // 2
    assert bench.states()[1] == (TicketState.REDEEMED, "found redeemed on chain", FACE // 2)
    assert bench.broker.searched == [1.0]  # since it came
    assert bench.store.totals.paid == FACE // 2


@pytest.mark.parametrize("answer", [None, Transient("no endpoint gives logs")], ids=["no event", "no logs"])
async def test_run__somebody_else_redeemed_it__who_is_searched_for_some_times_and_then_it_is_done(bench, answer):
    (winner,) = await bench.won(1)
    bench.broker.used[winner.ticket.hash] = None
    bench.broker.by_others[winner.ticket.hash] = answer
    async with bench.redeemer() as redeemer:
        for _ in range(4):
            report = await redeemer.run_once()
            assert (report.used_before, report.waiting) == (
                0,
                {"redeemed; what it was paid is looked up": 1},
            )
        assert (await redeemer.run_once()).used_before == 1
    assert bench.states()[1] == (TicketState.REDEEMED, "found used on chain", None)


async def test_run__paid_less_than_face_value__says_so(bench):
    await bench.won(1)
    bench.broker.paying[1] = FACE // 4

    async with bench.redeemer() as redeemer:
        report = await redeemer.run_once()

    assert (report.paid, report.short) == (FACE // 4, FACE * 3 // 4)
    assert redeemer.losses.short.total == FACE * 3 // 4
    assert bench.store.totals.paid == FACE // 4
