import pytest

from livefleet.chain.ancestry import Ancestry
from livefleet.chain.rpc import Header

pytestmark = pytest.mark.unit


def a_header(number, hash_, parent=b"?"):
    return Header(number, hash_, parent, 0, None, None)


def an_ancestry(*pairs):
    ancestry = Ancestry()
    for number, hash_ in pairs:
        ancestry.add(a_header(number, hash_), number / 4)
    return ancestry


@pytest.mark.parametrize(
    ("header", "contradicts"),
    [
        (a_header(10, b"ten"), False),
        (a_header(10, b"other"), True),
        (a_header(11, b"x", parent=b"ten"), False),
        (a_header(11, b"x", parent=b"other"), True),
        (a_header(13, b"x", parent=b"?"), False),  # not its child: nothing can be told
        (a_header(9, b"x", parent=b"eight"), False),  # between those seen
        (a_header(8, b"other"), True),
        (a_header(9, b"x", parent=b"other"), True),
        (a_header(3, b"x"), False),  # below all
    ],
)
def test_contradicts__by_what_was_seen(header, contradicts):
    assert an_ancestry((8, b"eight"), (10, b"ten")).contradicts(header) is contradicts


def test_add__lower_block_of_an_endpoint_that_is_behind__is_not_remembered():
    ancestry = an_ancestry((10, b"ten"), (7, b"seven"))
    assert [block.number for block in ancestry.seen()] == [10]


def test_drop_above__forgets_what_was_replaced():
    ancestry = an_ancestry((5, b"a"), (6, b"b"), (9, b"c"))
    ancestry.drop_above(6)
    assert ancestry.newest.number == 6
    ancestry.drop_above(-1)
    assert ancestry.newest is None


def test_blocks_per_s__from_what_was_seen__unknown_before_two():
    assert an_ancestry((8, b"eight")).blocks_per_s == 0.0
    assert an_ancestry((8, b"eight"), (10, b"ten"), (20, b"x")).blocks_per_s == 4.0


def test_add__many__keeps_a_bounded_number():
    ancestry = an_ancestry(*((number, b"x") for number in range(1000)))
    assert len(ancestry.seen()) == 64
