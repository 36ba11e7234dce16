from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.ai.catalogue import Source
from livefleet.ai.model_records import RECORDS_FILE, ModelRecord, ModelRecords, size_class
from livefleet.ai.pool_snapshot import JobTimes
from livefleet.ai.residency import Need, claim_of, need_of, waits_too_long, weight_bytes
from livefleet.hardware import Claim
from tests.builders.ai import a_job, a_placement

pytestmark = pytest.mark.unit


def test_need__measured__is_what_was_measured():
    need = need_of(a_placement(memory="9 GiB"), ModelRecord(load_s=4.5, loaded=1000), None)
    assert need == Need(1000, 4.5, is_estimate=False)
    assert str(need) == "0 MiB, 4 s"


def test_need__never_loaded__is_what_was_declared_and_said_to_be_an_estimate():
    need = need_of(a_placement(memory="9 GiB"), ModelRecord(), None)
    assert (need.amount, need.is_estimate) == (9 << 30, True)
    assert str(need) == "about 9216 MiB, 10 s"


def test_need__never_loaded_and_nothing_declared__is_reckoned_from_the_files(tmp_path: Path):
    (tmp_path / "unet").mkdir()
    for name, size in {
        "unet/a.safetensors": 3 << 20,
        "unet/a.fp16.safetensors": 1 << 20,
        "unet/b.bin": 2 << 20,
    }.items():
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "config.json").write_text("{}")
    assert weight_bytes(tmp_path) == 5 << 20  # one variant of `a`
    need = need_of(a_placement(), ModelRecord(), Source(str(tmp_path), is_folder=True, revision=None))
    assert need.amount is not None
    assert need.amount > 5 << 20
    assert need.is_estimate


def test_need__nothing_is_known__says_so():
    need = need_of(a_placement(), ModelRecord(), Source("a/b", is_folder=False, revision=None))
    assert need.amount is None
    assert str(need).startswith("about an unknown amount")


@pytest.mark.parametrize(("load_s", "so_far_s", "too_long"), [(30, 0, False), (31, 0, True), (31, 1, False)])
def test_waits_too_long__what_is_left_of_loading__counts(load_s: float, so_far_s: float, too_long: bool):
    need = Need(1, load_s, is_estimate=False)
    assert waits_too_long(need, loading_for_s=so_far_s, patience_s=30) is too_long


def test_claim__warm_and_cold__differ():
    assert claim_of(a_placement()) is Claim.WARM_MODEL
    assert claim_of(a_placement(warm=False)) is Claim.COLD_MODEL


def test_size_class__pixels__go_by_powers_of_two():
    assert size_class(a_job(height=64, width=64)) == 4096
    assert size_class(a_job(height=64, width=72)) == 8192
    assert size_class(a_job(height=64, width=64, num_images_per_prompt=2)) == 8192


def test_peak__of_a_size_never_measured__is_in_proportion_to_its_neighbours():
    record = ModelRecord(peaks={1024: 10, 4096: 30})
    assert [record.peak(size) for size in (512, 1024, 2048, 4096, 16384)] == [5, 10, 20, 30, 120]
    assert ModelRecord(peaks={1024: 10, 4096: 15}).peak(2048) == 15  # no more than a larger size was seen to need
    assert ModelRecord().peak(4096) == 0


sizes = st.integers(0, 40).map(lambda power: 1 << power)


@given(st.dictionaries(sizes, st.integers(0, 1 << 40), min_size=1), sizes)
def test_peak__any_measurements__are_told_as_measured_and_never_negative(peaks: dict[int, int], size: int):
    record = ModelRecord(peaks=peaks)
    assert all(record.peak(known) == peak for known, peak in peaks.items())
    assert record.peak(size) >= 0


def test_records__kept__are_there_after_a_restart(tmp_path: Path):
    records, placement = ModelRecords(tmp_path), a_placement()
    assert records.of(placement) == ModelRecord()
    records.loaded(placement, load_s=3.14159, loaded=1000)
    records.ran(placement, 4096, 50)
    records.ran(placement, 4096, 40)  # less than was once needed changes nothing
    records.ran(placement, 1024, 7)
    known = ModelRecord(3.14, 1000, {4096: 50, 1024: 7})
    assert records.of(placement) == known
    again = ModelRecords(tmp_path)
    assert again.of(placement) == known
    # Another type or device is another measurement.
    assert again.of(a_placement(revision="main")) == ModelRecord()
    assert [path.name for path in tmp_path.iterdir()] == [RECORDS_FILE]


@pytest.mark.parametrize("text", ["", "{", '{"models": [{"pipeline": 1}]}', '{"models": [], "else": 1}', "\0"])
def test_records__file_is_broken__everything_is_measured_again(tmp_path: Path, text: str):
    (tmp_path / RECORDS_FILE).write_text(text)
    records = ModelRecords(tmp_path)
    assert records.of(a_placement()) == ModelRecord()
    records.loaded(a_placement(), load_s=1, loaded=None)
    assert ModelRecords(tmp_path).of(a_placement()) == ModelRecord(load_s=1)


def test_records__folder_is_gone__they_are_known_until_the_end(tmp_path: Path):
    records = ModelRecords(tmp_path / "nowhere")
    records.loaded(a_placement(), load_s=1, loaded=2)
    assert records.of(a_placement()) == ModelRecord(1, 2)


def test_job_times__of_the_last_answers__are_told_by_nearest_rank():
    times = JobTimes()
    assert times.share(0.5) is None
    for seconds in range(1, 101):
        times.add(seconds)
    assert (times.share(0.5), times.share(0.95)) == (50, 95)
    for _ in range(256):
        times.add(7)
    assert times.share(0.95) == 7
