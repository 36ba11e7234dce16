"""What looks like a secret, and what only nearly does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.image.secret_words import secrets_in

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----",
        '{"crypto": {"ciphertext": "0123456789abcdef0123456789abcdef"}}',
        "token: lf1-abcdefghijklmnopqrstuvwxyz234567",
        "key: 0x" + "4c" * 32,
        "url: https://user:pw@example.com/",
        "url: https://example.com/v2?api_key=abc",
        "  password: hunter2",
        'secret = "s3cret"',
        "hf_ABCDEFGHIJKLMNOPQRSTUVWX",
    ],
)
def test_secrets_in__a_secret__is_found(text):
    assert list(secrets_in(f"# harmless\n{text}\n"))


@pytest.mark.parametrize(
    "text",
    [
        "pins: ['sha256:" + "ab" * 32 + "']",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ operator@desk",
        "key_fingerprint: EB693B3035CD5710E231E123A4B469963BF863CC",
        "url: https://example.com:8939",
        "secret: {file: join.txt}",
        "token_file: /run/token",
    ],
)
def test_secrets_in__something_public__is_not(text):
    assert list(secrets_in(text)) == []


@given(before=st.lists(st.sampled_from(["", "# words", "a: 1"]), max_size=20))
def test_secrets_in__tells_the_line(before):
    text = "\n".join([*before, "password: hunter2", "z: 1"])
    (found,) = secrets_in(text)
    assert found.startswith(f"line {len(before) + 1} ")
    assert "hunter2" not in found
