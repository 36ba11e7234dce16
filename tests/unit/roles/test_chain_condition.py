import pytest

from livefleet.chain import ChainHead
from livefleet.kernel import BlockNumber, Round, Status, Wei
from livefleet.roles.chain_link import chain_condition, payments_condition

pytestmark = pytest.mark.unit


def a_head(seen_at):
    return ChainHead(BlockNumber(100), Round(5), Round(5), b"\1" * 32, b"\2" * 32, 1, Wei(1), seen_at)


@pytest.mark.parametrize(
    ("age", "error", "status", "reason"),
    [
        (1.0, None, Status.TRUE, "Seen"),
        (60.0, "refused", Status.TRUE, "ServingFromLastLook"),
        (121.0, "refused", Status.FALSE, "NotSeen"),
    ],
)
def test_chain_condition__by_age_of_the_last_look(age, error, status, reason):
    condition = chain_condition(a_head(1000.0), 1000.0 + age, error)
    assert (condition.status, condition.reason) == (status, reason)


def test_payments_condition__a_write_failed__keeps_the_node_from_being_ready():
    assert payments_condition("").status is Status.TRUE
    failed = payments_condition("OperationalError: disk full")
    assert (failed.status, failed.gates_ready) == (Status.FALSE, True)
    assert "disk full" in failed.message
