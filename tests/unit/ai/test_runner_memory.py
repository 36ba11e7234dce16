from pathlib import Path

import pytest

from livefleet.ai.runner_memory import MemoryMeter, RunnerMemory

pytestmark = pytest.mark.unit

MIB = 2**20


class OnGpu:
    """What torch would tell."""

    def __init__(self) -> None:
        self.held, self.most = 5, 9

    def reserved(self) -> int | None:
        return self.held

    def peak_reserved(self) -> int | None:
        return self.most

    def forget_peak(self) -> None:
        self.most = self.held


class OnCpu(OnGpu):
    def reserved(self) -> int | None:
        return None

    peak_reserved = reserved


def test_memory__of_a_gpu__is_what_the_model_tells():
    model = OnGpu()
    meter = MemoryMeter(model)
    model.held = 6
    assert meter.read() == RunnerMemory(loaded=5, peak=9)
    meter.forget_peak()
    assert meter.read() == RunnerMemory(loaded=5, peak=6)


@pytest.mark.parametrize("model", [OnCpu(), object()])
def test_memory__of_a_cpu__is_the_process(model: object, tmp_path: Path):
    status, clear = tmp_path / "status", tmp_path / "clear_refs"
    status.write_text("Name:\tpython\nVmHWM:\t    4096 kB\nVmRSS:\t    2048 kB\nThreads:\t1\n")
    meter = MemoryMeter(model, status=status, clear_refs=clear)
    status.write_text("Name:\tpython\nVmHWM:\t    6144 kB\nVmRSS:\t    3072 kB\nThreads:\t1\n")
    assert meter.read() == RunnerMemory(loaded=2 * MIB, peak=6 * MIB)
    meter.forget_peak()
    assert clear.read_text() == "5"


def test_memory__kernel_keeps_the_peak__is_told_all_the_same(tmp_path: Path):
    meter = MemoryMeter(object(), clear_refs=tmp_path / "no such folder" / "clear_refs")
    meter.forget_peak()
    assert meter.read().peak >= meter.read().loaded > MIB


def test_peak__of_this_very_process__is_forgotten_and_counted_again():
    meter = MemoryMeter(object())
    ballast = bytearray(200 * MIB)
    del ballast
    assert meter.read().peak > meter.read().loaded + 150 * MIB
    meter.forget_peak()
    assert meter.read().peak < meter.read().loaded + 100 * MIB
