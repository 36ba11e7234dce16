"""Two workers restarted in turn with drain while streams play. The long run stands in the fault suite."""

import pytest

from tests.builders.upgrades import upgrade_under_load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def test_upgrade__two_workers_restarted_in_turn__no_segment_fails(tmp_path):
    seen = await upgrade_under_load(tmp_path, streams=2, segments=20)
    assert seen.segments >= 40
    assert (seen.failures, seen.problems, seen.retries) == ([], [], 0), str(seen)
