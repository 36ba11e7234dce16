"""Fixtures to import into a conftest.py: `from tests.lab.fixtures import lab_base, lab_hosts`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.lab.base import Base, base
from tests.lab.lab import Lab
from tests.lab.state import require_root

__all__ = ["lab_base", "lab_hosts"]


@pytest.fixture(scope="session")
def lab_base() -> Base:
    """The base tree and the package repository, built when there is none in the cache."""
    require_root()
    return base(print)


@pytest.fixture(scope="module")
def lab_hosts(lab_base: Base) -> Iterator[Callable[..., Lab]]:
    """Make labs for this module: `lab_hosts("orch", "worker").hosts["orch"].run("uptime")`; all are gone after it."""
    with ExitStack() as labs:
        yield lambda *names: labs.enter_context(Lab.create(*names, tell=print))
