import json
import logging

import pytest

from livefleet.chain import load_key
from livefleet.kernel import BadInput

pytestmark = pytest.mark.unit

KEY = "11" * 32  # test-only
ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key.hex"
    path.write_text(KEY)
    path.chmod(0o600)
    return path


def test_load_key__hex__has_the_address_and_prints_masked(key_file, caplog):
    signer = load_key(key_file)
    assert signer.address == ADDRESS
    assert KEY[:8] not in repr(signer)
    assert caplog.records == []


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_load_key__others_can_read_it__warns_and_says_what_to_do(key_file, caplog, mode):
    key_file.chmod(mode)
    with caplog.at_level(logging.WARNING):
        assert load_key(key_file).address == ADDRESS
    (record,) = caplog.records
    assert (record.message, record.do) == ("key.open_to_others", f"chmod 600 {key_file}")
    assert KEY[:8] not in str(vars(record))


@pytest.mark.parametrize(
    "content",
    [
        b"ab",
        KEY.encode() + b"11",
        b"00" * 32,
        b"not hex",
        b"\xff\xfe",
        b"{",
        b"{}",
        json.dumps({"version": 3}).encode(),
    ],
)
def test_load_key__no_key__names_the_file_only(key_file, content):
    key_file.write_bytes(content)
    with pytest.raises(BadInput, match=str(key_file)):
        load_key(key_file, "passphrase")
