import pytest

from livefleet.chain import ChainHead, LastLook
from livefleet.kernel import BlockNumber, Round, Wei

pytestmark = pytest.mark.unit


def a_look(age_s, *, l1_block=2000, start=1000, length=6377):
    head = ChainHead(
        BlockNumber(l1_block),
        Round(5),
        Round(5),
        b"\1" * 32,
        b"\2" * 32,
        1,
        Wei(1),
        0.0,
        round_start_block=BlockNumber(start),
        round_length=length,
    )
    return LastLook(head, age_s, 12.0)


def test_is_safe__until_the_round_that_was_seen_has_ended():
    until_end_s = (7377 - 2000) * 12.0
    assert a_look(until_end_s - 1).is_safe
    assert not a_look(until_end_s + 1).is_safe


def test_is_safe__round_ends_soon__for_as_long_as_quoted_parameters_hold():
    assert a_look(40 * 12.0 - 1, l1_block=7376).is_safe
    assert not a_look(40 * 12.0 + 1, l1_block=7376).is_safe


def test_reckoned__the_l1_block_goes_on_with_time_and_nothing_else_does():
    look = a_look(125.0)
    assert look.reckoned().l1_block == 2010
    assert look.reckoned().current_round == look.head.current_round
