import pytest

from tests.nvml import stub


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory):
    return stub.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def nvml(nvml_library, tmp_path, monkeypatch):
    stub.load(nvml_library)
    state = stub.NvmlState(tmp_path / "nvml.state")
    state.write()
    monkeypatch.setenv("LIVEFLEET_NVML_STATE", str(state.path))
    return state
