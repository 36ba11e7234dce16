"""Cards and a driver in, a build of PyTorch out, or why there is none."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys import steps
from deploys.closure import read_lock
from deploys.drivers import BUILDS, FAMILIES, TORCH, families_of, numbers
from deploys.facts import DriverFacts, Observed
from deploys.steps.torch import choose_torch, torch_for
from livefleet.spec import GpuFamily, NodeSpec
from tests.builders.deploys import NOW, ROOT, a_host, a_node

pytestmark = pytest.mark.unit

GTX_980, TITAN_V, GTX_1080, RTX_2080, RTX_3060, RTX_4090, H100, RTX_5090 = (
    *(0x13C0, 0x1D81, 0x1B80, 0x1E82, 0x2487, 0x2684, 0x2330, 0x2B85),
)
MODEL = {"pipeline": "text-to-image", "model_id": "stabilityai/sd-turbo", "price": "0.01 USD"}


def an_ai_node(**fields: Any) -> NodeSpec:
    return a_node(**{"driver": {"install": False}, "duties": {"ai": {}}, "models": [MODEL], **fields})


def a_gpu_host(*devices: int, loaded: str = "", machine: str = "x86_64") -> Observed:
    driver = DriverFacts(headers="here")
    return a_host(nvidia_pci=devices, nvidia_loaded=loaded, driver=driver, machine=machine)


@pytest.mark.parametrize(
    ("devices", "driver", "label"),
    [
        ((GTX_980,), "580.95.05", "cu126"),  # the newest driver that drives it runs CUDA 13, which has no code for it
        ((GTX_1080,), "580.95.05", "cu126"),
        ((TITAN_V,), "570.211.01", "cu126"),
        ((RTX_2080,), "550.163.01", "cu126"),
        ((RTX_2080,), "580.95.05", "cu130"),
        ((RTX_3060,), "525.60.13", "cu126"),
        ((RTX_4090,), "595.45.04", "cu130"),
        ((H100,), "580.95.05", "cu130"),
        ((RTX_5090,), "580.95.05", "cu130"),
        ((GTX_1080, RTX_4090), "580.95.05", "cu126"),  # the one that serves both
        ((RTX_4090,), "", "cu126"),  # nobody knows what driver comes
        ((RTX_5090,), "", "cu130"),
        ((), "", "cpu"),
    ],
)
def test_choice__cards_and_driver__the_newest_build_that_runs(devices: tuple[int, ...], driver: str, label: str):
    choice = choose_torch(an_ai_node(), a_gpu_host(*devices, loaded=driver))
    assert choice is not None
    assert (choice.build.label, choice.refusal) == (label, None)


@pytest.mark.parametrize(
    ("devices", "driver", "machine", "words"),
    [
        ((GTX_1080,), "470.256.02", "x86_64", "for Pascal cards (CUDA 12.6) needs driver 525 or newer"),
        ((H100,), "570.211.01", "x86_64", "for Hopper cards (CUDA 13.0) needs driver 580 or newer"),
        ((RTX_5090,), "575.64.03", "x86_64", "(driver 575.64.03 is what the host has)"),
        ((GTX_1080,), "580.95.05", "aarch64", "no build of PyTorch 2.13 has code for Pascal cards on aarch64"),
    ],
)
def test_preflight__pair_that_cannot_work__is_refused(devices, driver: str, machine: str, words: str):
    facts = a_gpu_host(*devices, loaded=driver, machine=machine)
    outcome = steps.preflight(an_ai_node(), facts, now=NOW, sudo=False, room=None)
    assert words in (outcome.refusal or "")


def test_preflight__driver_older_than_the_builds_own__says_what_may_fail():
    outcome = steps.preflight(an_ai_node(), a_gpu_host(RTX_3060, loaded="535.247.01"), now=NOW, sudo=False, room=None)
    assert outcome.refusal is None
    assert any(note == "PyTorch for CUDA 12.6" for note in outcome.notes)
    assert any("driver 535.247.01 by minor version compatibility" in note for note in outcome.notes)


def test_choice__driver_that_is_declared__counts_in_place_of_the_one_that_is_there():
    facts = a_gpu_host(RTX_4090)
    for branch, label in ((580, "cu130"), (550, "cu126")):
        choice = choose_torch(an_ai_node(driver={"branch": branch}), facts)
        assert choice is not None
        assert choice.build.label == label
    refused = choose_torch(an_ai_node(driver={"branch": 550}), a_gpu_host(RTX_5090))
    assert refused is not None
    assert "(driver 550 is declared)" in (refused.refusal or "")


def test_choice__no_model_is_loaded_here__no_build():
    facts = a_gpu_host(GTX_1080, loaded="470.1")
    assert choose_torch(a_node(duties={"transcoding": {}}), facts) is None
    elsewhere = an_ai_node(models=[{**MODEL, "url": "http://127.0.0.1:8000"}])
    assert choose_torch(elsewhere, facts) is None


def test_choice__gpus_are_not_to_be_used__the_one_without():
    choice = choose_torch(an_ai_node(gpus="none"), a_gpu_host(GTX_1080, loaded="470.1"))
    assert choice is not None
    assert choice.build.label == "cpu"


@given(
    devices=st.lists(st.sampled_from([family.first_id for family in FAMILIES]), max_size=3).map(tuple),
    driver=st.sampled_from(["", "470.1", "525.60.13", "535", "570.26", "580", "595.1.2"]),
    machine=st.sampled_from(["x86_64", "aarch64"]),
)
def test_choice__whatever_is_there__is_a_build_that_runs_it_or_a_refusal(devices, driver: str, machine: str):
    families = families_of(devices)
    choice = torch_for(families, driver, machine)
    if choice.refusal is None and choice.build.label != "cpu":
        assert choice.build.drives(families)
        assert choice.build.machine == machine
        assert not driver or numbers(driver) >= choice.build.driver
    better = [
        b for b in BUILDS if b.machine == machine and b.drives(families) and driver and numbers(driver) >= b.driver
    ]
    if families and better:
        assert choice.build == better[0]


def test_table__is_of_the_locked_release_and_knows_every_family():
    lock = read_lock((Path(ROOT) / "requirements.lock").read_text())
    assert lock["torch"].rpartition(".")[0] == TORCH  # another release has other builds: look its matrix up
    for family in get_args(GpuFamily):
        known = [f for f in FAMILIES if f.name == family]
        assert any(build.drives((known[0],)) for build in BUILDS if build.machine == "x86_64"), family
