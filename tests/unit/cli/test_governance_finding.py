from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain.contracts import PollCreated, ProposalCreated
from livefleet.chain.governance import Beginnings
from livefleet.cli.chain.governance import Found, pick_poll, pick_proposal, share_text
from livefleet.cli.devchain_link import coins
from livefleet.kernel import Address, BadInput, BlockNumber, Round

pytestmark = pytest.mark.unit

PROPOSER = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
PROPOSAL = ProposalCreated(
    id=12345678,
    proposer=PROPOSER,
    targets=(),
    values=(),
    calldatas=(),
    snapshot=Round(2),
    deadline=Round(12),
    description="",
)
POLL = PollCreated(Address("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"), b"Qm", BlockNumber(9), 333_300, 500_000)


def _found(*ids: int) -> Found:
    proposals = tuple(replace(PROPOSAL, id=id_) for id_ in ids)
    return Found(cast("Any", SimpleNamespace()), Beginnings(proposals, (POLL,)), first=0, last=9)


@pytest.mark.parametrize("text", ["12345678", hex(12345678), "123456", "1234567"])
def test_pick_proposal__by_number_hex_or_first_digits__is_found(text):
    assert pick_proposal(_found(12345678, 99345678), text).id == 12345678


def test_pick_proposal__number_that_begins_another__means_itself():
    assert pick_proposal(_found(123456, 12345678), "123456").id == 123456


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("123456", "several proposals begin so"),
        ("12345", "no such proposal"),
        ("777777", "no such proposal"),
        ("0xzz", "is no proposal's number"),
        ("pay", "is no proposal's number"),
    ],
)
def test_pick_proposal__what_is_none_or_several__is_refused(text, said):
    with pytest.raises(BadInput, match=said):
        pick_proposal(_found(12345678, 12345699), text)


def test_pick_proposal__none_at_all__says_so():
    with pytest.raises(BadInput, match="there is none"):
        pick_proposal(_found(), "123456")


def test_pick_poll__any_case__is_found_and_another_refused():
    assert pick_poll(_found(), POLL.address.lower()) == POLL
    with pytest.raises(BadInput, match="no such poll"):
        pick_poll(_found(), PROPOSER)


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(1, 3, "33.33%"), (0, 0, "0.00%"), (2, 2, "100.00%"), (1, 10**6, "0.00%")]
)
def test_share_text__rounds_down(part, whole, text):
    assert share_text(part, whole) == text


@given(st.integers(0, 10**30))
def test_coins__any_amount_written_out__is_read_to_the_part(parts):
    whole, rest = divmod(parts, 10**18)
    assert coins(f"{whole}.{rest:018d}") == parts


@pytest.mark.parametrize("text", ["", "-1", "1.0000000000000000001", "1 ETH", "1/0", "nan"])
def test_coins__no_such_number__is_refused(text):
    with pytest.raises(click.BadParameter):
        coins(text)
