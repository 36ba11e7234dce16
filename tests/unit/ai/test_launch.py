"""What a runner is told of what was declared; and a runner that stands alone, from little."""

import json

import pytest
from pydantic import ValidationError

from livefleet.ai.catalogue import Source
from livefleet.ai.launch import settings_of
from livefleet.ai.settings import RunnerSettings
from livefleet.ai.standalone import settled
from livefleet.hardware import Fault, GpuSample, HardwareSnapshot, NvmlFault
from livefleet.kernel import BadInput, LivefleetError
from tests.builders.ai import MODEL_ID, a_placement, runner_settings

pytestmark = pytest.mark.unit

MODEL = {"pipeline": "text-to-image", "model_id": "a/b"}
GPU = GpuSample(index=0, uuid="GPU-11111111-2222-3333-4444-555555555555")
LOST = GpuSample(index=1, uuid="GPU-99999999-2222-3333-4444-555555555555", fault=NvmlFault(Fault.LOST, "x"))


def told(**entry) -> RunnerSettings:
    source = Source("a/b", is_folder=False, revision="main")
    return settings_of(a_placement(**entry), source, request_timeout_s=9, cpu_threads=2, listen="127.0.0.1:1")


def test_settings__of_an_entry__hand_on_what_both_call_by_one_name():
    settings = told(capacity=3, loras=True, safety_check="forced", optimization={"SFAST": True})
    assert (settings.model_id, settings.source, settings.revision) == (MODEL_ID, "a/b", "main")
    assert (settings.capacity, settings.loras, settings.safety_check) == (3, True, "forced")
    assert settings.optimization == {"SFAST": True}
    assert (settings.dtype, settings.device, settings.cpu_threads, settings.batch) == ("float32", "cpu", 2, 1)


@pytest.mark.parametrize(("flag", "most"), [("4", 4), ("0", 1), ("many", 1), (True, 1), ("-3", 1)])
def test_settings__batch_flag__is_a_number_or_none(flag: str | bool, most: int):
    assert told(optimization={"BATCH": flag}).batch == most


def test_settings__token__reaches_the_runner_and_no_log():
    settings = runner_settings(auth_token="open sesame")
    assert "open sesame" not in f"{settings} {settings!r} {settings.model_dump()}"
    read = RunnerSettings.model_validate_json(settings.model_dump_json())
    assert read.auth_token is not None
    assert read.auth_token.get_secret_value() == "open sesame"
    with pytest.raises(ValidationError) as refused:
        RunnerSettings.model_validate({"auth_token": ["open sesame"]})
    assert "open sesame" not in str(refused.value)


@pytest.mark.parametrize("where", [{"socket": None}, {"listen": "127.0.0.1:1"}])
def test_settings__nowhere_or_twice_to_listen__are_refused(where: dict):
    with pytest.raises(ValidationError, match="either `socket` or `listen`"):
        runner_settings(**where)


def alone(given: dict, *gpus: GpuSample) -> RunnerSettings:
    return settled(json.dumps(given).encode(), HardwareSnapshot(0, None, None, gpus), cores=7)[0]


def test_standalone__little_said__is_an_ai_runner_at_port_8000():
    settings = alone({"model": MODEL})
    assert (settings.listen, settings.socket, settings.parent) == ("127.0.0.1:8000", None, None)
    assert (settings.device, settings.dtype, settings.cpu_threads) == ("cpu", "float32", 7)
    on_gpu = alone({"model": MODEL, "listen": "[::1]:9000"}, LOST, GPU)
    assert (on_gpu.device, on_gpu.dtype, on_gpu.listen) == (GPU.uuid, "float16", "[::1]:9000")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "model: Field required"),
        ({"model": MODEL, "port": 1}, "port: Extra inputs"),
        ({"model": MODEL | {"url": "http://x:1"}}, "take `url` or `device: workers` away"),
        ({"model": MODEL | {"device": LOST.uuid}}, "wants GPU"),
        ({"model": {"pipeline": "text-to-image", "model_id": "nowhere"}}, "no folder"),
        ({"model": MODEL, "auth_token": ["open sesame"]}, "auth_token: Input should be a valid string"),
    ],
)
def test_standalone__wrong__says_what_and_no_secret(given: dict, words: str):
    with pytest.raises(LivefleetError, match=words) as refused:
        alone(given, GPU, LOST)
    assert "open sesame" not in str(refused.value)


def test_standalone__no_json__is_bad_input():
    with pytest.raises(BadInput, match="the file: Invalid JSON"):
        settled(b"{", HardwareSnapshot(0, None, None, ()), cores=1)
