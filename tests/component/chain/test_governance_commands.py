"""`livefleet chain proposals|proposal|polls|vote` against the local chain, by hand."""

import json

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.kernel import ExitCode

pytestmark = pytest.mark.component

CONTROLLER = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
VOTER = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"  # test account 8, which proposes and has the stake for it
STRANGER = "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"

FLEET = """\
name: demo
network: {{name: devchain, controller: '{controller}', rpc: ['{rpc}']}}
keys: {{node: {{file: keys/node.json, password: {{file: keys/passphrase}}}}}}
defaults: {{profile: cpu, prices: {{video: 1200 wei}}}}
hosts:
  gpu-1: {{address: 203.0.113.10, role: orchestrator, duties: [transcoding], \
orchestrator: {{service_uri: https://gpu-1.example.com:8935, key: node, recipient: '{recipient}'}}}}
"""


class Desk:
    """An operator's shell in a folder with a local chain."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.rpc = self.devchain("up", "--round-length", 20)["rpc"]

    def run(self, *arguments: object):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    def devchain(self, *arguments: object):
        done = self.run("devchain", *arguments, "--dir", self.folder / "chain", "--json")
        assert done.exit_code == ExitCode.DONE, done.output
        return json.loads(done.stdout)

    def chain(self, *arguments: object):
        return self.run("chain", *arguments, "--rpc", self.rpc, "--controller", CONTROLLER)

    def document(self, *arguments: object):
        done = self.chain(*arguments, "--json")
        assert done.exit_code == ExitCode.DONE, done.output
        return json.loads(done.stdout)

    def open_voting(self) -> str:
        """A proposal whose vote is going on."""
        proposal = self.devchain("propose")["proposal"]
        self.devchain("round")
        self.devchain("round")
        return proposal


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    yield desk
    desk.devchain("down")


def test_vote__as_a_file_for_the_cold_key__is_signed_sent_and_counted(desk):
    assert desk.document("proposals", VOTER)["proposals"] == []
    proposal = desk.open_voting()
    (row,) = desk.document("proposals", VOTER, "--open")["proposals"]
    assert (row["id"], row["state"], row["has_voted"], row["weight_lptu"]) == (proposal, "active", False, str(10**20))
    assert row["rounds_left"] == 10
    assert row["actions"] == ["pays 10 LPT to 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"]

    written = desk.document("vote", proposal[:8], "for", "--as", VOTER, "--reason", "it is due")
    assert written["sent"] == []
    desk.devchain("account", 8, "--out", desk.folder / "cold.hex")
    signed = desk.chain("sign", written["file"], "--keystore", desk.folder / "cold.hex", "--yes", "--broadcast")
    assert signed.exit_code == ExitCode.DONE, signed.output
    shown = desk.document("proposal", proposal, "--as", VOTER)
    assert shown["has_voted"]
    assert (shown["for_lptu"], shown["against_lptu"], shown["abstain_lptu"]) == (str(10**20), "0", "0")
    assert shown["description"].startswith("# Pay for a rehearsal")

    again = desk.chain("vote", proposal, "against", "--as", VOTER)
    assert again.exit_code == ExitCode.OUTSIDE_SAID_NO
    assert "a vote cannot be changed" in again.stderr


def test_vote__with_the_key_given__is_signed_and_sent_at_once(desk):
    proposal = desk.open_voting()
    desk.devchain("account", 8, "--out", desk.folder / "cold.hex")
    with_key = ("--as", VOTER, "--keystore", desk.folder / "cold.hex", "--yes")
    done = desk.document("vote", proposal, "abstain", *with_key)
    assert done["file"] is None
    assert done["sent"][0]["block"] > 0
    assert desk.document("proposal", proposal)["abstain_lptu"] == str(10**20)
    assert "own vote" not in desk.chain("proposal", proposal).stdout
    text = desk.chain("proposals", VOTER).stdout
    assert proposal[:10] in text
    assert "cast" in text


def test_vote__in_a_poll__counts_the_last_choice(desk):
    desk.devchain("propose")  # gives the voter its stake
    desk.devchain("account", 8, "--out", desk.folder / "cold.hex")
    poll = _create_poll(desk)
    (row,) = desk.document("polls", VOTER, "--open")["polls"]
    assert (row["poll"], row["own_choice"], row["subject"]) == (poll, None, "QmTest")
    with_key = ("--as", VOTER, "--keystore", desk.folder / "cold.hex", "--yes")
    for choice in ("no", "yes"):
        desk.document("vote", poll, choice, *with_key)
    (row,) = desk.document("polls", VOTER)["polls"]
    assert (row["own_choice"], row["yes_voters"], row["no_voters"]) == (0, 1, 0)
    assert "QmTest" in desk.chain("polls", VOTER).stdout


def _create_poll(desk: Desk) -> str:
    import asyncio

    from livefleet.chain.governance import Governance
    from tests.devchain.accounts import dev_signer
    from tests.devchain.chain import Devchain

    async def create() -> str:
        async with await Devchain.attach(desk.folder / "chain") as chain:
            governance = await Governance.find(chain.client)
            await chain.sender.send(dev_signer(8), governance.polls.create_call(b"QmTest"))
            return (await governance.begun(0, await chain.client.rpc.block_number())).polls[0].address

    return asyncio.run(create())


def test_vote__what_cannot_count__is_refused_and_nothing_is_written(desk):
    proposal = desk.devchain("propose")["proposal"]
    desk.devchain("account", 5, "--out", desk.folder / "other.hex")
    as_voter = ("--as", VOTER)
    refused = [
        (("vote", proposal, "for", *as_voter), ExitCode.OUTSIDE_SAID_NO, "begins in round"),
        (("vote", proposal, "maybe", *as_voter), ExitCode.BAD_INPUT, "against, for or abstain"),
        (("vote", proposal, "yes", *as_voter), ExitCode.BAD_INPUT, "against, for or abstain"),
        (("vote", "12345678", "for", *as_voter), ExitCode.BAD_INPUT, "no such proposal"),
        (("vote", "words", "for", *as_voter), ExitCode.BAD_INPUT, "no proposal's number"),
        (("vote", VOTER, "for", *as_voter), ExitCode.BAD_INPUT, "yes or no"),
        (("vote", VOTER, "yes", *as_voter), ExitCode.BAD_INPUT, "no such poll"),
        (("vote", VOTER, "yes", "--reason", "x", *as_voter), ExitCode.BAD_INPUT, "takes none"),
        (("vote", proposal, "for"), ExitCode.BAD_INPUT, "no orchestrator is known"),
        (
            ("vote", proposal, "for", *as_voter, "--keystore", desk.folder / "other.hex", "--yes"),
            ExitCode.OUTSIDE_SAID_NO,
            "begins in round",
        ),
    ]
    for arguments, code, text in refused:
        done = desk.chain(*arguments)
        assert (done.exit_code, text in done.stderr) == (code, True), (arguments, done.output)
    desk.devchain("round")
    desk.devchain("round")
    for arguments, code, text in [
        (("vote", proposal, "for", "--as", STRANGER), ExitCode.OUTSIDE_SAID_NO, "has no votes"),
        (
            ("vote", proposal, "for", *as_voter, "--keystore", desk.folder / "other.hex", "--yes"),
            ExitCode.BAD_INPUT,
            "nothing is signed",
        ),
    ]:
        done = desk.chain(*arguments)
        assert (done.exit_code, text in done.stderr) == (code, True), (arguments, done.output)
    assert not list(desk.folder.glob("vote-*"))
    assert desk.document("proposal", proposal)["for_lptu"] == "0"


def test_proposal__before_and_after_its_vote__says_why_nothing_can_be_cast(desk):
    proposal = desk.devchain("propose")["proposal"]
    before = desk.chain("proposal", proposal, "--as", VOTER).stdout
    assert "its weight is known from round" in before
    for _ in range(13):
        desk.devchain("round")
    assert desk.document("proposals", "--open")["proposals"] == []
    (row,) = desk.document("proposals", "--all")["proposals"]
    assert (row["state"], row["rounds_left"]) == ("defeated", 0)
    late = desk.chain("vote", proposal, "for", "--as", VOTER)
    assert late.exit_code == ExitCode.OUTSIDE_SAID_NO
    assert "is over: it is defeated" in late.stderr


def test_proposals__of_the_fleets_orchestrator__need_neither_address_nor_endpoint(desk):
    proposal = desk.open_voting()
    (desk.folder / "fleet.yaml").write_text(FLEET.format(controller=CONTROLLER, rpc=desk.rpc, recipient=VOTER))
    listed = json.loads(desk.run("chain", "proposals", "--json").stdout)
    assert listed["account"] == VOTER
    assert [row["weight_lptu"] for row in listed["proposals"]] == [str(10**20)]
    written = json.loads(desk.run("chain", "vote", proposal, "against", "--out", "mine.json", "--json").stdout)
    assert written["file"] == "mine.json"
    assert written["voter"] == VOTER
    again = desk.run("chain", "vote", proposal, "against", "--out", "mine.json")
    assert again.exit_code == ExitCode.BAD_INPUT
    assert "nothing is overwritten" in again.stderr
