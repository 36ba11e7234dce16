import pytest

from tests.builders.object_store import an_s3_server


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    with an_s3_server(tmp_path_factory.mktemp("s3") / "ceph") as server:
        yield server
