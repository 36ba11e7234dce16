"""`livefleet keys new|show|check|plan` and where passphrases come from."""

import json
import stat
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from livefleet.chain import make_keystore
from livefleet.cli import main

pytestmark = pytest.mark.unit

EXAMPLES = Path(__file__).parents[3] / "inventory/examples"
PASSPHRASE = "correct horse"
STAKE = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


@pytest.fixture
def keystore(tmp_path):
    path = tmp_path / "key.json"
    path.with_suffix(".address").write_text(make_keystore(path, PASSPHRASE, kdf="pbkdf2", rounds=10))
    return path


def address_of(keystore):
    return keystore.with_suffix(".address").read_text()


def invoke(*words, env=None, **settings):
    return CliRunner(env=env).invoke(main, ["keys", *map(str, words)], **settings)


def test_new__makes_an_encrypted_keystore_and_prints_the_address_alone(tmp_path):
    out = tmp_path / "keys" / "new.json"
    made = invoke("new", "--out", out, "--kdf", "pbkdf2", "--password-env", "PW", env={"PW": PASSPHRASE})
    assert made.exit_code == 0, made.output
    address = made.stdout.strip()
    keystore = json.loads(out.read_text())
    assert (keystore["version"], "0x" + keystore["address"]) == (3, address.lower())
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert stat.S_IMODE(out.parent.stat().st_mode) == 0o700
    assert PASSPHRASE not in made.output + out.read_text()
    assert "has lost the key" in made.stderr
    again = invoke("check", out, "--password-env", "PW", env={"PW": PASSPHRASE})
    assert again.stdout == f"{address}  the key opens\n"


def test_new__file_is_there__is_never_overwritten(keystore):
    before = keystore.read_bytes()
    made = invoke("new", "--out", keystore, "--password-env", "PW", env={"PW": PASSPHRASE})
    assert (made.exit_code, keystore.read_bytes()) == (2, before)
    assert "never overwritten" in made.stderr


def test_new__short_passphrase__is_refused(tmp_path):
    made = invoke("new", "--out", tmp_path / "k.json", "--password-env", "PW", env={"PW": "seven77"})
    assert (made.exit_code, (tmp_path / "k.json").exists()) == (2, False)
    assert "7 characters is too short" in made.stderr
    assert "seven77" not in made.output


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (("--password-file", "pw"), {}),
        (("--password-env", "PW"), {"PW": PASSPHRASE}),
        (("--password-command", f"{sys.executable} -c \"print('{PASSPHRASE}')\""), {}),
    ],
)
def test_check__passphrase_from_each_place__opens(keystore, words, env, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pw").write_text(PASSPHRASE + "\n")
    found = invoke("check", keystore, *words, "--json", env=env)
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout) == {"file": str(keystore), "address": address_of(keystore), "opens": True}


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        (("--password-env", "PW"), {"PW": "wrong horse"}, "the passphrase does not open this keystore"),
        (("--password-env", "PW"), {}, "the environment variable PW is not set"),
        (("--password-file", "absent"), {}, "absent: cannot read the passphrase: No such file"),
        (("--password-command", "false"), {}, "`false` ended with status 1"),
        (("--password-command", "'"), {}, "--password-command: No closing quotation"),
        (("--password-command", ""), {}, "no program is named"),
        (("--password-env", "PW", "--password-file", "x"), {"PW": PASSPHRASE}, "give one of --password-file"),
        ((), {}, "without a terminal nobody can type the passphrase"),
    ],
)
def test_check__no_passphrase_that_opens__ends_with_2(keystore, words, env, said):
    found = invoke("check", keystore, *words, env=env)
    assert found.exit_code == 2
    assert said in found.stderr
    assert "horse" not in found.output


def test_show__keystore__needs_no_passphrase(keystore):
    found = invoke("show", keystore)
    assert (found.exit_code, found.stdout) == (0, f"{address_of(keystore)}  V3 keystore, mode 0600\n")


def test_show__open_to_others_or_plain__ends_with_1(keystore, tmp_path):
    keystore.chmod(0o644)
    found = invoke("show", keystore)
    assert found.exit_code == 1
    assert f"chmod 600 {keystore}" in found.stdout
    plain = tmp_path / "key.hex"
    plain.write_text("11" * 32)
    plain.chmod(0o600)
    found = invoke("show", plain, "--json")
    told = json.loads(found.stdout)
    assert (found.exit_code, told["address"], told["encrypted"]) == (1, STAKE, False)
    assert "11111111" not in found.output


@pytest.mark.parametrize("content", ["{}", '{"version": 3, "address": "xyz"}', "no key", None])
def test_show__no_key_file__says_so(tmp_path, content):
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    found = invoke("show", path)
    assert found.exit_code == 2
    assert str(path) in found.stderr


def a_fleet_file(tmp_path, key, orchestrator=""):
    path = tmp_path / "fleet.yaml"
    path.write_text(
        f"name: demo\nnetwork: {{name: devchain, rpc: ['http://127.0.0.1:9'], controller: '{STAKE}'}}\n"
        f"keys: {{main: {key}}}\nhosts:\n  gpu: {{address: x, role: orchestrator, duties: [transcoding], "
        f"orchestrator: {{service_uri: 'https://g.example.com:8935', key: main{orchestrator}}}}}\n"
    )
    return path


def test_plan__stake_on_a_gpu_host__ends_with_2_and_says_what_to_do(keystore, tmp_path):
    fleet = a_fleet_file(tmp_path, "{file: key.json, password: {env: PW}}")
    found = invoke("plan", fleet)
    assert found.exit_code == 2
    assert address_of(keystore) in found.stdout
    assert "say the address as `orchestrator.recipient`" in found.stdout
    assert "refused: a key must not be where it is (gpu)" in found.stdout


def test_plan__identity_only__is_good(keystore, tmp_path):
    fleet = a_fleet_file(tmp_path, "{file: key.json, password: {env: PW}}", f", recipient: '{STAKE}'")
    found = invoke("plan", fleet, "--json")
    told = json.loads(found.stdout)
    assert (found.exit_code, told["ok"]) == (0, True)
    assert told["keys"] == [
        {
            "host": "gpu",
            "role": "orchestrator",
            "key": "main",
            "address": address_of(keystore),
            "roles": ["identity"],
            "place": "keys/main, from key.json",
            "can": "sign results",
            "verdict": "good",
            "findings": [],
            "holds": None,
        }
    ]


def test_plan__the_example__has_no_stake_on_any_host():
    found = invoke("plan", EXAMPLES / "keykeeper.yaml", "--json")
    assert found.exit_code == 0, found.output
    seats = {(key["host"], key["key"]): key for key in json.loads(found.stdout)["keys"]}
    assert seats["a", "identity"]["place"] == "signer https://signer.internal:9000"
    assert seats["keeper", "caller"]["can"] == "call reward; spend its ETH"
    assert seats[None, "cold"]["place"] == "nowhere"


def test_plan__cold_key_on_a_gpu_host__is_refused_by_the_spec_itself(keystore, tmp_path):
    fleet = a_fleet_file(tmp_path, "{file: key.json, password: {env: PW}, roles: [cold]}")
    for command in (["keys", "plan"], ["validate"]):
        found = CliRunner().invoke(main, [*command, str(fleet)])
        assert found.exit_code == 2
        assert "fleet.yaml:5:127: `main` is a cold key" in found.stderr


@pytest.mark.parametrize("amount", ["much", "-1", "NaN"])
def test_plan__limit_that_is_no_amount__is_refused(tmp_path, keystore, amount):
    found = invoke("plan", a_fleet_file(tmp_path, "{file: key.json}"), "--check-chain", "--max-eth", amount)
    assert found.exit_code == 2
    assert "--max-eth" in found.stderr
