from dataclasses import replace

import pytest

from livefleet.chain import Attempt, Call, Intent, IntentState, SpendLimit, TransactionOutcome
from livefleet.chain.following import Fill, Include, Lost, Replace, Resend, Settle, Sight, Undo, Wait, next_step
from livefleet.kernel import Wei
from tests.devchain.accounts import dev_signer

pytestmark = pytest.mark.unit

NONCE = 5
FIRST = Attempt(b"\x01" * 32, NONCE, b"raw", 50_000, Wei(100), Wei(1), 0.0)
RECEIPT = TransactionOutcome(FIRST.tx_hash, True, 40_000, Wei(50), 90, ())  # noqa: FBT003 -- succeeded
INTENT = Intent(
    id=1,
    purpose="aim",
    call=Call(dev_signer(1).address, b""),
    limit=SpendLimit(),
    replace_after_s=None,
    nonce=NONCE,
    state=IntentState.PENDING,
    created_at=0.0,
    attempts=(FIRST,),
    outcome=None,
    abandoned_because=None,
    settled=0,
    settled_at=None,
)
MINED = replace(INTENT, state=IntentState.MINED, outcome=RECEIPT)


def a_sight(*, block=100, base_fee=50, mined=NONCE, pending=None, receipt="not asked", known=True) -> Sight:
    receipts = {} if receipt == "not asked" else {FIRST.tx_hash: receipt}
    return Sight(
        block, base_fee, mined, max(mined, pending or mined), receipts, {} if known is None else {FIRST.tx_hash: known}
    )


def a_step(intent=INTENT, *, confirmations=0, first=True, overdue=False, **sight):
    return next_step(intent, a_sight(**sight), confirmations=confirmations, is_first=first, is_overdue=overdue)


def test_receipt__deep_enough__settles():
    assert a_step(mined=6, receipt=RECEIPT) == Settle(RECEIPT)
    assert a_step(MINED, mined=6, receipt=RECEIPT, confirmations=10) == Settle(RECEIPT)


def test_receipt__of_a_block_that_came_during_the_look__counts_as_the_newest():
    newest = replace(RECEIPT, block_number=101)
    assert a_step(block=100, mined=6, receipt=newest) == Settle(newest)
    assert a_step(block=100, mined=6, receipt=newest, confirmations=1) == Include(newest)


def test_receipt__not_deep_enough__is_noted_once():
    assert a_step(mined=6, receipt=RECEIPT, confirmations=11) == Include(RECEIPT)
    assert a_step(MINED, mined=6, receipt=RECEIPT, confirmations=11) == Wait()
    moved = replace(RECEIPT, block_number=95)
    assert a_step(MINED, mined=6, receipt=moved, confirmations=11) == Include(moved)


def test_receipt__gone__undoes_what_was_mined_unless_nobody_asked():
    assert a_step(MINED, mined=5, receipt=None, confirmations=11) == Undo()
    assert a_step(MINED, mined=6, confirmations=11) == Wait()


def test_nonce__used_without_a_receipt__is_lost_even_when_overdue_and_priced_out():
    assert a_step(mined=6, receipt=None, overdue=True, base_fee=1000) == Lost()


@pytest.mark.parametrize("overdue", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_base_fee__over_the_offer__is_replaced_at_once(first, overdue):
    assert a_step(base_fee=101, first=first, overdue=overdue, known=False) == Replace()


def test_pool__forgot_it__is_sent_again():
    assert a_step(known=False) == Resend()
    assert a_step(known=True) == Wait()
    assert a_step(known=None) == Wait()  # not asked: far behind in the line


def test_overdue__first_in_line__is_replaced_and_those_behind_wait():
    assert a_step(overdue=True) == Replace()
    assert a_step(overdue=True, first=False) == Wait()


def test_gap__unused_nonce_before_the_first__is_filled_once_overdue():
    assert a_step(mined=4) == Wait()
    assert a_step(mined=3, overdue=True) == Fill(3)
    assert a_step(mined=4, known=False) == Resend()


def test_gap__somebody_elses_transaction_stands_before__is_waited_for():
    step = a_step(mined=4, pending=5, overdue=True)
    assert step == Wait("nonce 4 is another transaction of this key, which is not mined yet")
