from dataclasses import replace

import pytest

from livefleet.cli.top_rates import Rates, rates
from livefleet.control import HostStatus, NodeReport

pytestmark = pytest.mark.unit


def host(done: int, *, failed: int = 0, earned: int = 0, on_chain: bool = True, **fields) -> HostStatus:
    received = {"count": 1, "expected_value_wei": earned}
    report = {
        "version": "1", "name": "n", "role": "orchestrator", "digest": "", "ready": True, "started_at": 5.0,
        "server": {"sessions": 1, "max_sessions": 9, "segments_ok": done, "segments_failed": failed},
        "payments": {"on_chain": on_chain, "tickets": {"received": received}},
    } | fields  # fmt: skip
    return HostStatus("n", "orchestrator", "", report=NodeReport.model_validate(report))


def test_rates__two_looks__are_what_changed_a_second():
    assert rates(host(10, earned=100), host(30, failed=4, earned=500), 2.0) == Rates(10.0, 2.0, 200.0)


def test_rates__off_chain__have_no_income():
    assert rates(host(0, on_chain=False), host(2, on_chain=False), 1.0) == Rates(2.0, 0.0, None)


def test_rates__of_a_worker__count_its_jobs():
    def worker(done: int) -> HostStatus:
        return host(0, server=None, payments=None, worker={"orchestrator": "o", "joined": True, "done": done})

    assert rates(worker(1), worker(4), 1.0) == Rates(3.0, 0.0, None)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, host(1)),
        (host(9), host(1, started_at=6.0)),  # counts anew
        (host(1), replace(host(1), report=None, error="away")),
        (replace(host(1), report=None, error="away"), host(1)),
        (host(1, server=None), host(1, server=None)),
    ],
)
def test_rates__nothing_to_compare__are_not_told(before, now):
    assert rates(before, now, 1.0) is None
