"""Contracts of a checkout in the place of ours: found, made fit for the compiler, linked, put on the chain."""

import pytest

from livefleet.kernel import BadInput, ExitCode
from tests.builders.protocol import call_of
from tests.devchain.originals import Originals
from tests.devchain.process import Process
from tests.devchain.toolchain import default_cache, install

pytestmark = pytest.mark.component

HEAD = "// SPDX-License-Identifier: MIT\npragma solidity 0.8.9;\n"
FILES = {
    "contracts/libraries/SortedDoublyLL.sol": "library SortedDoublyLL {"
    " function twice(uint256 a) external pure returns (uint256) { return 2 * a; } }",
    "contracts/bonding/BondingManager.sol": 'import "../libraries/SortedDoublyLL.sol"; import "./IThing.sol";'
    " contract BondingManager is IThing { address public controller; constructor(address c) { controller = c; }"
    " function four() external pure returns (uint256) { return SortedDoublyLL.twice(2); } }",
    "contracts/bonding/IThing.sol": 'import "@openzeppelin/contracts-upgradeable/interfaces/IERC5805Upgradeable.sol";'
    " interface IVotes is IERC5805Upgradeable {} interface IThing { function four() external pure returns (uint256); }",
    "contracts/bonding/BondingVotes.sol": "contract BondingVotes { constructor(address) {} }",
    "contracts/pm/TicketBroker.sol": "contract TicketBroker { constructor(address) {} }",
}


@pytest.fixture
def checkout(tmp_path):
    for path, text in FILES.items():
        file = tmp_path / "protocol" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(HEAD + text)
    return tmp_path / "protocol"


async def test_originals__of_a_checkout__are_compiled_linked_and_deployed(devchain, checkout):
    cache = default_cache()
    originals = Originals.compile(checkout, install(cache), checkout.parent)
    controller = devchain.client.controller.address
    bonding, votes, broker = await originals.deploy(devchain.sender, controller)
    assert len({bonding, votes, broker}) == 3
    four = await devchain.client.rpc.simulate(call_of(bonding, "four()"), controller)
    assert int.from_bytes(four, "big") == 4
    named = await devchain.client.rpc.simulate(call_of(bonding, "controller()"), controller)
    assert named[12:].hex() == controller[2:].lower()


def test_compile__file_that_is_missing__names_it(checkout):
    (checkout / "contracts/bonding/IThing.sol").unlink()
    with pytest.raises(BadInput, match=r"IThing\.sol: No such file.*is .*protocol a checkout"):
        Originals.compile(checkout, install(default_cache()), checkout.parent)


def test_up__folder_that_is_no_checkout__is_refused_and_leaves_no_chain(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from livefleet.cli import main

    monkeypatch.setenv("LIVEFLEET_PROTOCOL_SOURCES", str(tmp_path / "nowhere"))
    done = CliRunner().invoke(main, ["devchain", "up", "--dir", str(tmp_path / "chain")])
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "is a checkout" not in done.stdout
    assert "a checkout of the protocol?" in done.stderr
    assert Process.read(tmp_path / "chain") is None
