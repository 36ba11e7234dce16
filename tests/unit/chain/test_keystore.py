"""V3 keystores: known ones open, new ones are go-ethereum's, and nothing is ever made or overwritten in passing."""

import json
from pathlib import Path

import pytest

from livefleet.chain import LocalSigner, load_key, make_keystore, read_key_file
from livefleet.kernel import BadInput

pytestmark = pytest.mark.unit

KNOWN = json.loads((Path(__file__).parents[2] / "data/v3-keystores.json").read_text())
PASSPHRASE = "correct horse"


@pytest.mark.parametrize("kdf", ["pbkdf2", "scrypt"])
def test_load__known_keystore__has_the_known_key(tmp_path, kdf):
    path = tmp_path / "known.json"
    path.write_text(json.dumps(KNOWN["keystores"][kdf]))
    assert load_key(path, KNOWN["passphrase"]).address == LocalSigner(bytes.fromhex(KNOWN["secret"])).address
    with pytest.raises(BadInput, match=f"{path}: the passphrase does not open this keystore"):
        load_key(path, KNOWN["passphrase"] + " ")


def test_make__says_its_address_and_opens_with_its_passphrase_alone(tmp_path):
    path = tmp_path / "new.json"
    address = make_keystore(path, PASSPHRASE, kdf="pbkdf2", rounds=10)
    file = read_key_file(path)
    assert (file.address, file.is_keystore, file.is_open_to_others) == (address, True, False)
    assert file.open(PASSPHRASE).address == address
    with pytest.raises(BadInput, match="needs a passphrase"):
        file.open()
    assert make_keystore(tmp_path / "another.json", PASSPHRASE, kdf="pbkdf2", rounds=10) != address


def test_make__by_default__has_go_ethereums_standard_cost(tmp_path):
    path = tmp_path / "new.json"
    make_keystore(path, PASSPHRASE)
    parameters = json.loads(path.read_text())["crypto"]
    assert (parameters["kdf"], parameters["cipher"]) == ("scrypt", "aes-128-ctr")
    assert [parameters["kdfparams"][name] for name in ("n", "r", "p", "dklen")] == [262_144, 8, 1, 32]


def test_load__no_file__is_an_error_and_makes_none(tmp_path):
    path = tmp_path / "absent.json"
    with pytest.raises(BadInput, match="cannot read the key file: No such file"):
        load_key(path, PASSPHRASE)
    assert not path.exists()


def test_make__file_is_there__is_left_as_it_is(tmp_path):
    path = tmp_path / "old.json"
    path.write_text("precious")
    with pytest.raises(BadInput, match="never overwritten"):
        make_keystore(path, PASSPHRASE, kdf="pbkdf2", rounds=10)
    assert path.read_text() == "precious"


def test_load__keystore_with_another_address_written__is_told(tmp_path):
    path = tmp_path / "new.json"
    address = make_keystore(path, PASSPHRASE, kdf="pbkdf2", rounds=10)
    keystore = json.loads(path.read_text()) | {"address": "00" * 20}
    path.write_text(json.dumps(keystore))
    with pytest.raises(BadInput, match=f"holds that of {address}"):
        load_key(path, PASSPHRASE)


def test_errors__say_nothing_of_the_content(tmp_path):
    path = tmp_path / "key"
    path.write_text("deadbeef" * 8 + "zz")
    with pytest.raises(BadInput) as refused:
        load_key(path)
    assert "deadbeef" not in str(refused.value)
    assert refused.value.__cause__ is None
