"""What an operator types for enrolment, and what is printed."""

import errno
import json
import os
import re
import select

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from livefleet.cli import main
from livefleet.cli.agent_first_boot import _Terminal
from livefleet.cli.enrol.approve import code_as_kept
from livefleet.cli.enrol.options import open_store
from livefleet.enrol import MountedVolumes
from livefleet.kernel import BadInput
from livefleet.spec.enrol import Seed, parse_seed
from livefleet.spec.enrolment import EnrolAsk, HostReport, SeenGpu
from tests.builders.enrol import a_fleet_file

CHECKSUMMED = "0x52908400098527886E0F7030069857D2E4169EE7"


@pytest.fixture
def fleet(tmp_path):
    return a_fleet_file(tmp_path, tmp_path / "host")


def run(fleet, *words, code=0):
    result = CliRunner().invoke(main, ["enrol", *words, "--fleet", str(fleet)])
    assert result.exit_code == code, result.output
    return result


def a_waiting_host(fleet, name="host-x", peer="192.0.2.1", **settings):
    key = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    return open_store(fleet).asked(key, EnrolAsk(name=name, **settings), peer, 1000.0)


def test_token_new__prints_it_alone_on_stdout_and_nowhere_again(fleet):
    made = run(fleet, "token", "new", "--group", "workers", "--uses", "2", "--expires", "1h")
    token = made.stdout.strip()
    assert re.fullmatch(r"lf1-[a-z2-7]{32}", token)
    assert token not in made.stderr
    listed = run(fleet, "token", "list").stdout
    assert token not in listed
    assert "group workers" in listed
    assert "0/2" in listed


def test_token_list__tells_who_has_made_it_and_what_became_of_it(fleet, monkeypatch):
    monkeypatch.setenv("LIVEFLEET_OPERATOR", "alice")
    run(fleet, "token", "new", "--host", "gpu-1")
    token_id = json.loads(run(fleet, "token", "list", "--json").stdout)[0]["id"]
    run(fleet, "token", "revoke", token_id)
    told = json.loads(run(fleet, "token", "list", "--json").stdout)[0]
    assert (told["made_by"], told["state"], told["host"]) == ("alice", "revoked", "gpu-1")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "give --host NAME"),
        (("--host", "gpu-1", "--group", "workers"), "give --host NAME"),
        (("--host", "gpu-9"), "no host `gpu-9`"),
        (("--group", "worker"), "did you mean `workers`?"),
        (("--host", "gpu-1", "--uses", "2"), "--host is one machine"),
    ],
)
def test_token_new__for_nothing_that_there_is__is_bad_input(fleet, words, told):
    assert told in run(fleet, "token", "new", *words, code=2).output


def test_usb__writes_a_seed_that_first_boot_reads_and_touches_no_other_file(fleet, tmp_path):
    stick = tmp_path / "stick"
    stick.mkdir()
    run(fleet, "usb", str(stick), "--group", "workers")
    text = (stick / "livefleet.yaml").read_text()
    assert parse_seed(text, "livefleet.yaml").token
    assert "nothing was touched" in run(fleet, "usb", str(stick), "--group", "workers", code=2).output
    assert (stick / "livefleet.yaml").read_text() == text
    assert [path.name for path in stick.iterdir()] == ["livefleet.yaml"]
    assert len(json.loads(run(fleet, "token", "list", "--json").stdout)) == 1


def test_usb__stick_without_hard_links__as_fat__is_written(fleet, tmp_path, monkeypatch):
    def link(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    run(fleet, "usb", str(tmp_path), "--group", "workers")
    assert parse_seed((tmp_path / "livefleet.yaml").read_text(), "livefleet.yaml").token
    assert "nothing was touched" in run(fleet, "usb", str(tmp_path), "--group", "workers", code=2).output


@pytest.mark.parametrize("typed", ["ABCD-EFGH", "abcd-efgh", "abcdefgh", " abcd efgh "])
def test_code__however_it_is_typed__is_the_one_that_is_kept(typed):
    assert code_as_kept(typed) == "ABCD-EFGH"


def test_approve__by_the_screens_code__lets_in_and_tells_the_name(fleet, monkeypatch):
    monkeypatch.setenv("LIVEFLEET_OPERATOR", "alice")
    host = a_waiting_host(fleet)
    told = run(fleet, "approve", host.code.lower(), "--group", "workers").stdout
    kept = open_store(fleet).hosts()[0]
    assert f"let in as {kept.name}" in told
    assert kept.decided_by == "alice"


def test_approve__all_that_wait__leaves_those_that_were_rejected(fleet):
    hosts = [a_waiting_host(fleet) for _ in range(3)]
    run(fleet, "reject", hosts[1].code)
    done = json.loads(run(fleet, "approve", "--all", "--group", "workers", "--json").stdout)
    assert {one["code"] for one in done} == {hosts[0].code, hosts[2].code}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--group", "workers"), "or --all for all that wait"),
        (("AAAA-AAAA",), "give --host NAME"),
        (("AAAA-AAAA", "--group", "workers"), "no host has the code AAAA-AAAA"),
        (("AAAA-AAAA", "BBBB-BBBB", "--host", "gpu-1"), "--host is one machine"),
    ],
)
def test_approve__what_makes_no_sense__is_bad_input(fleet, words, told):
    assert told in run(fleet, "approve", *words, code=2).output


def test_reject__of_one_that_was_let_in__says_that_it_knows_secrets(fleet):
    host = a_waiting_host(fleet)
    run(fleet, "approve", host.code, "--group", "workers")
    assert "knows its secrets: change them" in run(fleet, "reject", host.code).stdout


def test_list__shows_hardware_report_and_what_is_not_in_the_file_yet(fleet):
    gpu = SeenGpu(name="[red]NVIDIA GeForce RTX 3060[/red]")
    host = a_waiting_host(fleet, gpus=(gpu, gpu))
    run(fleet, "approve", host.code, "--group", "workers")
    report = HostReport(ready=False, reasons=("GpuDriver",), digest="sha256:" + "ab" * 32)
    open_store(fleet).reported(host.key, report, "198.51.100.7", 2000.0)
    listed = run(fleet, "list").stdout
    assert "2x [red]NVIDIA GeForce RTX 3060[/red]" in listed  # a host's words, not the terminal's
    assert "no: GpuDriver" in listed
    assert "sha256:abababababab" in listed
    assert f"{open_store(fleet).hosts()[0].name}*" in listed
    assert "not as declared" not in listed
    run(fleet, "adopt")
    listed = run(fleet, "list").stdout
    assert "*" not in listed
    assert "(not as declared)" in listed  # it reports another digest than the file gives it
    assert "has all that have enrolled" in run(fleet, "adopt").stdout


def test_list__only_those_that_wait(fleet):
    first, second = a_waiting_host(fleet), a_waiting_host(fleet)
    run(fleet, "approve", first.code, "--group", "workers")
    assert [one["code"] for one in json.loads(run(fleet, "list", "--waiting", "--json").stdout)] == [second.code]


def test_pin__is_the_same_each_time(tmp_path):
    words = ["enrol", "pin", "--keys", str(tmp_path / "keys")]
    first, again = (CliRunner().invoke(main, words).stdout for _ in range(2))
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", first)
    assert again == first


@pytest.mark.parametrize("listen", ["8939", ":8939", "0.0.0.0:99999", "a:b"])
def test_serve__listening_at_no_address__is_bad_input(fleet, listen):
    assert "write HOST:PORT" in run(fleet, "serve", "--listen", listen, code=2).output


@pytest.fixture
def terminal():
    """The two ends of one: the person's, and the machine's as a file."""
    person, machine = os.openpty()
    with os.fdopen(machine, "r") as source:
        yield person, source
    os.close(person)


def test_questions__mistyped_address__is_asked_again(terminal):
    person, source = terminal
    wrong = CHECKSUMMED.replace("E", "e", 1)
    os.write(person, f"{wrong}\n{CHECKSUMMED}\nbad name!\nminer\n".encode())
    assert _Terminal(source).ask(Seed()) == Seed(payout=CHECKSUMMED, nickname="miner")
    shown = ""
    while shown.count("Nickname of this worker: ") < 2:
        assert select.select([person], [], [], 30)[0], shown
        shown += os.read(person, 10_000).decode()
    assert "wrong checksum" in shown


def test_questions__what_is_known__is_not_asked(terminal):
    person, source = terminal
    os.write(person, b"miner\n")
    assert _Terminal(source).ask(Seed(payout=CHECKSUMMED)) == Seed(payout=CHECKSUMMED, nickname="miner")


def test_questions__nobody_answers__are_left_until_later(terminal):
    person, source = terminal
    os.write(person, f"{CHECKSUMMED}\nmin".encode())
    assert _Terminal(source, patience_s=0.01).ask(Seed()) == Seed(payout=CHECKSUMMED)
    os.write(person, b"er\n")
    assert _Terminal(source).ask(Seed(payout=CHECKSUMMED)) == Seed(payout=CHECKSUMMED, nickname="miner")


def test_questions__no_terminal__nobody_is_asked(tmp_path):
    with (tmp_path / "file").open("w+") as source:
        assert _Terminal(source).ask(Seed()) is None


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """`mount` and `umount` that note how they were called; what is mounted holds a seed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, act in (
        ("mount", 'for last; do :; done; echo "nickname: miner" > "$last/livefleet.yaml"'),
        ("umount", ""),
    ):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/said\n{act}\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    labels = tmp_path / "by-label"
    labels.mkdir()
    (labels / "livefleet").symlink_to("/dev/null")
    return tmp_path


def test_volumes__by_any_case_of_the_label__are_read_without_rights_and_given_back(programs):
    volumes = MountedVolumes(programs / "by-label")
    assert volumes.read("LIVEFLEET", "livefleet.yaml", 100) == b"nickname: miner\n"
    assert volumes.read("LIVEFLEET", "other", 100) is None
    assert volumes.read("cidata", "livefleet.yaml", 100) is None
    said = (programs / "said").read_text().splitlines()
    assert [line.split()[0] for line in said] == ["mount", "umount", "mount", "umount"]
    assert "-o ro,nosuid,nodev,noexec" in said[0]


def test_volumes__that_cannot_be_mounted__are_told(programs):
    (programs / "bin/mount").write_text("#!/bin/sh\necho 'wrong fs type' >&2; exit 32\n")
    with pytest.raises(BadInput, match="the volume LIVEFLEET cannot be mounted: wrong fs type"):
        MountedVolumes(programs / "by-label").read("LIVEFLEET", "livefleet.yaml", 100)
