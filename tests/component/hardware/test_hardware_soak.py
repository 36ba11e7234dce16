"""Random sequences of faults over the stand-in library; a thousand are run by `python -m tests.fault.hardware`."""

import pytest

from tests.fault.hardware import nvml_threads, soak

pytestmark = [pytest.mark.component, pytest.mark.timeout(300)]

SEQUENCES = 40


async def test_sequences_of_faults__conditions_end_where_the_state_says(caplog, monkeypatch):
    monkeypatch.setenv("LIVEFLEET_NVML_STATE", "")  # put back afterwards
    caplog.set_level("CRITICAL", logger="livefleet")
    before = nvml_threads()
    figures = await soak(SEQUENCES, seed=20_000)
    assert figures.failed == []
    assert figures.sequences == SEQUENCES
    assert len(figures.deeds) > 20  # kinds of what happened
    assert figures.samples > 5 * SEQUENCES
    assert figures.most_threads <= 4 + 3  # one for each device, one more, and two about to end that waited for events
    assert nvml_threads() - before <= 2
