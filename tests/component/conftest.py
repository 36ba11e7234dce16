"""Real counterparts that several rooms' tests share."""

from collections.abc import AsyncIterator

import pytest

from tests.builders.chain import a_devchain
from tests.devchain.chain import Devchain


@pytest.fixture
async def devchain(tmp_path) -> AsyncIterator[Devchain]:
    """A fresh local chain with the protocol on it, in its first round; a quarter of a second to start."""
    async with a_devchain(tmp_path / "devchain") as chain:
        yield chain
