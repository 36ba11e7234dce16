from pathlib import Path

import pytest

from livefleet.ai import place, placement_conditions
from livefleet.ai.catalogue import Source, resolve_source
from livefleet.ai.errors import SourceMissing
from livefleet.kernel import Status
from tests.builders.ai import an_entry

pytestmark = pytest.mark.unit

ONE, TWO = "GPU-11111111-aaaa", "GPU-22222222-bbbb"


def devices(catalogue) -> dict[str, str]:
    return {p.entry.model_id: p.device for p in catalogue.placed}


def test_place__auto_without_gpu__runs_on_the_cpu_in_float32():
    (placement,) = place([an_entry(device="auto")], []).placed
    assert (placement.device, placement.dtype) == ("cpu", "float32")


def test_place__auto_with_gpus__spreads_over_what_named_devices_leave():
    entries = [an_entry(model_id=f"a/{n}", device="auto") for n in range(3)] + [
        an_entry(model_id="a/named", device=ONE)
    ]
    catalogue = place(entries, [ONE, TWO])
    assert devices(catalogue) == {"a/named": ONE, "a/0": TWO, "a/1": ONE, "a/2": TWO}
    assert {p.dtype for p in catalogue.placed} == {"float16"}
    assert catalogue.unplaced == ()


def test_place__auto_with_unequal_gpus__goes_where_most_room_is_left_the_dearest_first():
    entries = [
        an_entry(model_id="a/small", device="auto", memory="2 GiB"),
        an_entry(model_id="a/large", device="auto", memory="20 GiB", priority=1),
        an_entry(model_id="a/next", device="auto", memory="1 GiB"),
    ]
    catalogue = place(entries, [ONE, TWO], room={ONE: 8 << 30, TWO: 23 << 30}, size_of=lambda entry: entry.memory)
    assert devices(catalogue) == {"a/large": TWO, "a/small": ONE, "a/next": ONE}


def test_place__served_elsewhere__takes_no_room_here():
    entries = [an_entry(model_id="a/away", device="auto", url="http://runner:8000", warm=True)]
    entries += [an_entry(model_id=f"a/{n}", device="auto") for n in range(2)]
    assert devices(place(entries, [ONE, TWO])) == {"a/away": "cpu", "a/0": ONE, "a/1": TWO}


def test_place__dtype_declared__is_kept():
    assert place([an_entry(dtype="bfloat16")], []).placed[0].dtype == "bfloat16"


def test_place__gpu_missing__is_a_condition_that_names_it():
    catalogue = place([an_entry(model_id="a/lost", device=TWO), an_entry(model_id="a/fine", device=ONE)], [ONE])
    assert devices(catalogue) == {"a/fine": ONE}
    found = {c.subject: c for c in placement_conditions(catalogue)}
    assert found["a/fine"].status is Status.TRUE
    assert (found["a/lost"].status, found["a/lost"].reason) == (Status.FALSE, "DeviceMissing")
    assert found["a/lost"].message == f"a/lost wants GPU {TWO}; present GPUs: {ONE}"
    assert found["a/lost"].gates_ready


def test_place__same_model_warm_and_cold__is_refused_like_elsewhere():
    catalogue = place([an_entry(warm=True), an_entry(warm=False)], [])
    assert len(catalogue.placed) == 1
    (condition,) = placement_conditions(catalogue)
    assert (condition.status, condition.reason) == (Status.FALSE, "WarmAndCold")


def test_place__same_model_twice__has_two_runners():
    assert len(place([an_entry(), an_entry()], []).placed) == 2


def a_pipeline(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    return folder


def test_resolve__folder_there__is_local_and_offline(tmp_path: Path):
    a_pipeline(tmp_path / "models/tiny")
    expected = Source(str(tmp_path / "models/tiny"), is_folder=True, revision=None)
    assert resolve_source(an_entry(source="models/tiny", revision="x"), tmp_path) == expected
    assert resolve_source(an_entry(source=str(tmp_path / "models/tiny")), Path("/elsewhere")) == expected


def test_resolve__no_source__is_the_model_id_on_the_hub(tmp_path: Path):
    a_pipeline(tmp_path / "a/b")
    assert resolve_source(an_entry(model_id="a/b", revision="v2"), tmp_path) == Source(
        "a/b", is_folder=False, revision="v2"
    )


@pytest.mark.parametrize("source", ["/no/such/folder", "./tiny", "models/deep/er", "name-alone", "../a/b"])
def test_resolve__neither_folder_nor_hub_id__says_both(tmp_path: Path, source: str):
    with pytest.raises(SourceMissing, match="no hub id"):
        resolve_source(an_entry(source=source), tmp_path)


def test_resolve__folder_without_index__says_what_is_missing(tmp_path: Path):
    (tmp_path / "half").mkdir()
    with pytest.raises(SourceMissing, match=r"model_index\.json"):
        resolve_source(an_entry(source="half"), tmp_path)
