"""`livefleet import node`, `livefleet export flags|prices-per-gateway`."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from livefleet.cli import main
from livefleet.spec import load_fleet
from tests.builders.setups import FOLDER, golden_fleet

pytestmark = pytest.mark.unit

SECRET = "correct-horse"
SCRIPT = f"""\
livepeer -network arbitrum-one-mainnet -ethUrl https://rpc.example.org -ethAcctAddr \
0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed -ethKeystorePath /k/key.json -ethPassword {SECRET} \
-orchestrator -transcoder -serviceAddr a.example.org:8935 -pricePerUnit 12 -bogus
"""


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def test_import__to_a_file_with_secrets__is_a_fleet_that_validates(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text(SCRIPT)
    fleet, secrets = tmp_path / "fleet.yaml", tmp_path / "hidden"

    result = run("import", "node", tmp_path / "run.sh", "-o", fleet, "--secrets", secrets, "--name", "mine")

    assert (result.exit_code, result.stdout) == (0, "")
    assert SECRET not in result.output
    assert "unknown to go-livepeer (1)\n" in result.stderr
    secret = secrets / "orchestrator-passphrase"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == (SECRET, 0o600)
    assert run("validate", fleet).exit_code == 0
    loaded = load_fleet(fleet)
    assert loaded.name == "mine"
    sent = {item.name: item for item in loaded.secrets_to_send("run")}
    assert sent["keys.orchestrator.password"].read({}) == SECRET.encode()  # the reference leads to the file


def test_import__over_files_that_are_there__needs_force(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text(SCRIPT)
    (tmp_path / "fleet.yaml").write_text("mine")
    (tmp_path / "s").mkdir()
    secret = tmp_path / "s/orchestrator-passphrase"
    secret.write_text("old")
    secret.chmod(0o644)
    command: list[str | Path] = [
        "import",
        "node",
        tmp_path / "run.sh",
        "-o",
        tmp_path / "fleet.yaml",
        "--secrets",
        tmp_path / "s",
    ]

    refused = run(*command)

    assert refused.exit_code == 2
    assert f"{tmp_path}/fleet.yaml, {secret}: is there already; nothing is written" in refused.stderr
    assert ((tmp_path / "fleet.yaml").read_text(), secret.read_text()) == ("mine", "old")
    assert run(*command, "--force").exit_code == 0
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == (SECRET, 0o600)


def test_import__from_stdin__as_json__is_whole() -> None:
    result = run("import", "node", "-", "--json", "--address", "gpu.lan", stdin=SCRIPT)

    document = json.loads(result.stdout)
    assert SECRET not in result.output
    assert "address: gpu.lan" in document["fleet"]
    assert document["hosts"] == ["stdin"]
    assert document["sources"] == {"stdin": "argv"}
    assert document["secrets"] == {"orchestrator-passphrase": "secrets/orchestrator-passphrase"}
    assert document["counts"]["unknown"] == 1
    (unknown,) = [each for each in document["findings"] if each["outcome"] == "unknown"]
    assert (unknown["file"], unknown["line"], unknown["subject"]) == ("stdin", 1, "-bogus")


def test_import__with_something_left_to_do__ends_with_1() -> None:
    result = run("import", "node", "-", stdin="livepeer -orchestrator -transcoder")

    assert result.exit_code == 1
    assert "to do (2)\n" in result.stderr
    assert "stdin:1:1: -serviceAddr: not said" in result.stderr


def test_import__of_a_gateway__writes_no_fleet_and_ends_with_1(tmp_path: Path) -> None:
    result = run("import", "node", "-", "-o", tmp_path / "fleet.yaml", stdin="livepeer -gateway -maxPricePerUnit 5")

    assert result.exit_code == 1
    assert "no host: nothing here is part of a fleet" in result.stderr
    assert "-maxPricePerUnit" in result.stderr
    assert not (tmp_path / "fleet.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["-"], "hello", "stdin:1:1: is nothing that is recognised"),
        (["-"], "livepeer -v '6", "stdin:1:13: the quote ' is never closed"),
        (["-", "-"], "livepeer -orchestrator", "a SOURCE is named twice"),
        (["/nowhere/run.sh"], "", "/nowhere/run.sh:1:1: cannot be read: No such file or directory"),
        (["-", "--address", "x=y"], "livepeer -orchestrator -transcoder", "no host of that name comes of it; stdin do"),
        (["-", "--address", "a b"], "livepeer -orchestrator", "write HOST=ADDRESS"),
    ],
)
def test_import__bad_input__ends_with_2(arguments: list[str], stdin: str, message: str) -> None:
    result = run("import", "node", *arguments, stdin=stdin)

    assert result.exit_code == 2
    assert message in result.stderr


def test_import__kind__overrides_what_the_content_tells() -> None:
    result = run("import", "node", "-", "--kind", "config", stdin="orchestrator\ntranscoder\nfoo bar\nbaz\n\nq\nw\nz")

    assert "stdin:3:1: foo: go-livepeer ends with an error over it" in result.stderr


def test_import__split__and_an_address_for_each(tmp_path: Path) -> None:
    setup = FOLDER / "25-one-machine/docker-compose.yml"

    addresses = [
        "--address",
        "orchestrator=o",
        "--address",
        "transcoder-0=t0",
        "--address",
        "transcoder-1=t1",
        "--address",
        "a",
    ]

    result = run("import", "node", setup, "--split", *addresses)

    (tmp_path / "fleet.yaml").write_text(result.stdout)
    fleet = load_fleet(tmp_path / "fleet.yaml")
    assert [fleet.host(host).address for host in fleet.hosts] == ["o", "t0", "t1", "a"]


def test_import__files_beside_the_source__are_named_from_the_fleet_files_folder(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "03-compose-config-file", tmp_path / "old")
    (tmp_path / "old/eth_password.txt").write_text("pass phrase")
    (tmp_path / "new").mkdir()

    with contextlib.chdir(tmp_path):
        result = run("import", "node", "old/docker-compose.yml", "-o", "new/fleet.yaml")

    assert result.exit_code == 1
    sent = {item.name: item for item in load_fleet(tmp_path / "new/fleet.yaml").secrets_to_send("lp-orch")}
    assert sent["keys.identity.password"].ref.file == "../old/eth_password.txt"
    assert sent["keys.identity.password"].read({}) == b"pass phrase"


@pytest.mark.parametrize("form", ["argv", "config", "systemd", "compose"])
def test_export__flags__names_secrets_by_file_and_tells_what_is_lost(form: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(golden_fleet("12-per-gateway"))

    result = run("export", "flags", "start", "--fleet", tmp_path / "fleet.yaml", "--as", form)

    assert result.exit_code == 0
    assert "/etc/lp/pass" in result.stdout
    assert "note: -objectStore wants the secret in its URL" in result.stderr


def test_export__flags_as_json__is_whole(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(golden_fleet("05-o-t-split"))

    result = run("export", "flags", "transcoder", "--fleet", tmp_path / "fleet.yaml", "--json")

    document = json.loads(result.stdout)
    assert document["processes"][0]["flags"]["orchAddr"] == "o.example.org:8935"
    assert document["text"].startswith("livepeer \\\n  -transcoder \\\n")


def test_export__prices_per_gateway__is_what_the_flag_reads(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(golden_fleet("12-per-gateway"))

    result = run("export", "prices-per-gateway", "start", "--fleet", tmp_path / "fleet.yaml")

    assert json.loads(result.stdout)["gateways"][1] == {
        "ethaddress": "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb", "priceperunit": 1000, "pixelsperunit": 3,
    }  # fmt: skip


def test_export__prices_per_gateway__without_any__is_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(golden_fleet("01-solo-binary"))

    result = run("export", "prices-per-gateway", "start", "--fleet", tmp_path / "fleet.yaml")

    assert json.loads(result.stdout) == {"gateways": []}
    assert "one price for every gateway" in result.stderr
