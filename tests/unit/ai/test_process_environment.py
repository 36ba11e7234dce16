import pytest

from livefleet.ai.process import runner_environment
from tests.builders.ai import runner_settings

pytestmark = pytest.mark.unit

OWN = {"PATH": "/bin", "HOME": "/root", "HF_TOKEN": "t", "AWS_SECRET_ACCESS_KEY": "s", "PYTHONPATH": "/x"}


def test_environment__of_a_gpu_runner__shows_that_gpu_alone():
    environment = runner_environment(runner_settings(device="GPU-11111111-aaaa"), OWN, offline=False)
    assert environment["CUDA_VISIBLE_DEVICES"] == "GPU-11111111-aaaa"
    assert "HF_HUB_OFFLINE" not in environment


def test_environment__of_a_folder_on_the_cpu__has_no_network_and_few_threads():
    environment = runner_environment(runner_settings(cpu_threads=3), OWN, offline=True)
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["OMP_NUM_THREADS"] == "3"
    assert (environment["HF_HUB_OFFLINE"], environment["TRANSFORMERS_OFFLINE"]) == ("1", "1")


def test_environment__passes_on_little_of_ours():
    environment = runner_environment(runner_settings(), OWN, offline=True)
    assert environment["PATH"] == "/bin"
    assert environment["HF_TOKEN"] == "t"
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert "PYTHONPATH" not in environment
