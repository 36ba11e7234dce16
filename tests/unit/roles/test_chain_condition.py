import pytest

from livefleet.chain import ChainHead, EndpointHealth, EndpointState, LastLook
from livefleet.kernel import BlockNumber, Round, Status, Wei
from livefleet.roles.chain_link import chain_condition, payments_condition

pytestmark = pytest.mark.unit


def a_look(age_s):
    """At L1 block 100 of a round that ends at 150, a block each second."""
    head = ChainHead(
        BlockNumber(100),
        Round(5),
        Round(5),
        b"\1" * 32,
        b"\2" * 32,
        1,
        Wei(1),
        1000.0,
        round_start_block=BlockNumber(50),
        round_length=100,
    )
    return LastLook(head, age_s, 1.0)


@pytest.mark.parametrize(
    ("age_s", "error", "status", "reason"),
    [
        (1.0, None, Status.TRUE, "Seen"),
        (49.0, "refused", Status.TRUE, "ServingFromLastLook"),
        (51.0, "refused", Status.FALSE, "NotSeen"),
    ],
)
def test_chain_condition__by_age_of_the_last_look(age_s, error, status, reason):
    condition = chain_condition(a_look(age_s), error, ())
    assert (condition.status, condition.reason) == (status, reason)


def test_chain_condition__chain_is_away__says_for_how_long_it_serves_and_what_to_do():
    condition = chain_condition(a_look(10.0), "http://a no answer in 20 s", ())
    assert "10 s ago" in condition.message
    assert "for 40 s yet" in condition.message
    assert "http://a no answer" in condition.message
    assert "`network.rpc`" in condition.advice


def test_chain_condition__one_endpoint_of_two_is_left_out__says_which_and_why():
    endpoints = (
        EndpointHealth(
            "http://a", 9, 3, resting=True, state=EndpointState.RESTING, why="HTTP 502 Bad Gateway", rests_for_s=12.0
        ),
        EndpointHealth("http://b", 9, 0, resting=False, state=EndpointState.HEALTHY),
        EndpointHealth("http://c", 9, 0, resting=False, state=EndpointState.HEALTHY, is_behind=True, head=77),
    )
    condition = chain_condition(a_look(0.0), None, endpoints)
    assert condition.status is Status.TRUE
    assert "http://a rests for 12 s: HTTP 502 Bad Gateway" in condition.message
    assert "http://c is behind, at block 77" in condition.message
    assert "http://b" not in condition.message


def test_payments_condition__a_write_failed__keeps_the_node_from_being_ready():
    assert payments_condition("").status is Status.TRUE
    failed = payments_condition("OperationalError: disk full")
    assert (failed.status, failed.gates_ready) == (Status.FALSE, True)
    assert "disk full" in failed.message
