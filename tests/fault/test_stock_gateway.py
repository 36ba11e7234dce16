"""The driver for a minute, with a fault of every kind. `python -m tests.fault.stock_gateway` does it for ten."""

import pytest

from tests.fault.stock_gateway import play

pytestmark = [pytest.mark.fault, pytest.mark.timeout(400)]


async def test_stock_gateways__a_minute_of_faults__have_no_reason_to_leave(tmp_path):
    record = await play(tmp_path, minutes=1, streams=3, every_s=10, calm=False)
    assert record.verdict(3) == [], record.table()
    assert {"restart", "kill -9", "nginx killed", "media worker killed"} <= record.faults.keys()
    assert record.carried > 0
    assert record.ok == record.offered
