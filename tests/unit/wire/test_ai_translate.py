import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.hardware import Fault, GpuSample, HardwareSnapshot, NvmlFault
from livefleet.wire import Capabilities, ModelConstraint, OrchestratorInfo
from livefleet.wire.ai_hardware import GpuInfo, ModelHardware, hardware_of
from livefleet.wire.ai_messages import AiRegistration, AiTask
from livefleet.wire.capabilities import DEFAULT_CAPABILITIES, lowest_version
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.translate import (
    ai_task_from_proto,
    ai_task_to_proto,
    info_from_proto,
    info_to_proto,
    registration_from_proto,
    registration_to_proto,
)
from tests.builders.ai import a_placement

pytestmark = pytest.mark.unit

GPU = GpuInfo("GPU-1", "NVIDIA L4", 8, 9, memory_free=20 * 2**30, memory_total=24 * 2**30)
HARDWARE = (ModelHardware("text-to-image", "m", {"0": GPU}), ModelHardware("text-to-image", "n"))


def test_registration__there_and_back():
    models = {27: {"m": ModelConstraint(warm=True, capacity=2, runner_version="0.14.1")}}
    registration = AiRegistration(
        "secret", Capabilities.of(DEFAULT_CAPABILITIES, version="0.9.1", models=models), HARDWARE
    )
    wire = registration_to_proto(registration).SerializeToString()
    assert registration_from_proto(pb.RegisterAIWorkerRequest.FromString(wire)) == registration


def test_registration__no_capabilities__has_the_default_ones_and_no_models():
    told = registration_from_proto(pb.RegisterAIWorkerRequest(secret="x")).capabilities
    assert (told.ids, told.models) == (DEFAULT_CAPABILITIES, {})


@given(
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.text(max_size=20), st.one_of(st.text(max_size=50), st.integers(), st.booleans()), max_size=5),
    st.text(max_size=50),
)
def test_task__there_and_back(task_id, request, url):
    task = AiTask(task_id, "text-to-image", json.dumps(request).encode(), url)
    wire = ai_task_to_proto(task).SerializeToString()
    assert ai_task_from_proto(pb.NotifyAIJob.FromString(wire)) == task


def test_task__number_zero__is_absent_on_the_wire():
    wire = ai_task_to_proto(AiTask(0, "text-to-image", b"{}")).SerializeToString()
    assert wire == pb.NotifyAIJob(AIJobData=pb.AIJobData(
        pipeline="text-to-image", requestData=b'{"input_url":"","request":{}}'
    )).SerializeToString()  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"request":{},"input_url":3}', b"\xff", b'{"request":NaN}'])
def test_task__unreadable__is_a_value_error(data):
    with pytest.raises(ValueError, match=r"."):
        ai_task_from_proto(pb.NotifyAIJob(AIJobData=pb.AIJobData(requestData=data)))


@pytest.mark.parametrize("opening", [b"[", b'{"request":[', b'{"a":'])
def test_task__deeper_than_any_stack__is_a_value_error(opening):
    data = opening * 100_000
    with pytest.raises(ValueError, match="recursion limit"):
        ai_task_from_proto(pb.NotifyAIJob(AIJobData=pb.AIJobData(requestData=data)))


@pytest.mark.parametrize(
    ("data", "request_json"), [(b"{}", b"null"), (b'{"request":null}', b"null"), (b'{"request":[]}', b"[]")]
)
def test_task__request_that_is_no_object__is_the_pipelines_to_refuse(data, request_json):
    assert ai_task_from_proto(pb.NotifyAIJob(AIJobData=pb.AIJobData(requestData=data))).request == request_json


def test_info__hardware__there_and_back():
    info = OrchestratorInfo("https://o:1", b"\0" * 20, Capabilities(), None, hardware=HARDWARE)
    assert info_from_proto(info_to_proto(info)).hardware == HARDWARE


def test_hardware__each_placement_with_its_gpu_as_seen_last():
    gpu = GpuSample(0, "GPU-1", "NVIDIA L4", compute_capability=(8, 9), memory_total=24 * 2**30, memory_used=4 * 2**30)
    snapshot = HardwareSnapshot(0.0, "580", (13, 0), (gpu,))
    on_gpu = a_placement(model_id="m")
    on_gpu = type(on_gpu)(on_gpu.entry, "GPU-1", "float16")
    gone = type(on_gpu)(a_placement(model_id="o").entry, "GPU-9", "float16")
    told = hardware_of([on_gpu, a_placement(model_id="n"), gone], snapshot)
    assert told == (*HARDWARE, ModelHardware("text-to-image", "o"))


def test_hardware__nothing_known__names_the_models_alone():
    broken = HardwareSnapshot(0.0, None, None, (), NvmlFault(Fault.NO_LIBRARY, "none"))
    for snapshot in (None, broken):
        assert hardware_of([a_placement(model_id="n")], snapshot) == (ModelHardware("text-to-image", "n"),)


def test_hardware__gpu_that_tells_little__has_zeroes():
    silent = HardwareSnapshot(0.0, "580", None, (GpuSample(0, "GPU-1"),))
    placed = type(a_placement())(a_placement().entry, "GPU-1", "float16")
    assert hardware_of([placed], silent)[0].gpus == {"0": GpuInfo("GPU-1", "")}


@pytest.mark.parametrize(
    ("versions", "lowest"),
    [
        ([], ""),
        (["", "undefined"], ""),
        (["0.14.1", "0.9.10", ""], "0.9.10"),
        (["v1.0.0-rc1", "1.0.1"], "v1.0.0-rc1"),
    ],
)
def test_lowest_version__unknown_ones_do_not_count(versions, lowest):
    assert lowest_version(versions) == lowest
