import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.builders.postgres import a_postgres
from tests.tiers import duties_of, is_asked_for, runs_alone

# How long an example takes says what else the machine does.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

# What a shell starts in the background ignores this, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose name is short however tests are run: the path of a unix socket has a limit of 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server that all tests of a process share; a second to start."""
    with a_postgres() as server:
        yield server


@pytest.fixture
def postgres(postgres_server):
    """A running PostgreSQL server; `postgres.database()` is an empty database's URL."""
    yield postgres_server
    postgres_server.take_back()


@pytest.hookimpl(tryfirst=True)  # `-m` chooses among markers, so they must be there before
def pytest_collection_modifyitems(config, items):
    for item in items:
        for duty in duties_of(item.path.relative_to(TESTS)):
            item.add_marker(duty)
        if runs_alone(item.path.relative_to(TESTS)):
            item.add_marker("alone")
    markers = {id(item): {marker.name for marker in item.iter_markers()} for item in items}
    left_out = [item for item in items if not is_asked_for(markers[id(item)], config.option.markexpr)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
