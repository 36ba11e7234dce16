"""Two workers restarted in turn under four live streams: no segment of 200 fails.

`pytest -m fault -s tests/fault/test_upgrade_under_load.py` prints what the gateways saw.
"""

import pytest

from tests.builders.upgrades import upgrade_under_load

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]


@pytest.mark.parametrize("drained", [True, False], ids=["drained-before", "service-stop-alone"])
async def test_upgrade__four_streams_of_fifty_segments__none_fails(tmp_path, drained):
    seen = await upgrade_under_load(tmp_path, streams=4, segments=50, drained=drained)
    print(f"\n{seen}")
    assert seen.segments >= 200
    assert (seen.failures, seen.problems, seen.retries) == ([], [], 0), str(seen)
