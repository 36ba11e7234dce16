"""No secret survives, wherever it stands; what is no secret mostly does."""

import base64
import json
import string
import time
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from livefleet.control.host.masking import MASK, Masker, secret_parts_of_urls

pytestmark = pytest.mark.unit

few = settings(max_examples=25)

LOOKS = Masker()
"""Knows nothing: goes by looks alone."""

PRINTABLE = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp"), exclude_characters="*"), min_size=4
)
WORD = st.text(string.ascii_letters + string.digits + "!%&+,./:;<>?@^_|~$#", min_size=4, max_size=40)
TOKEN = st.text(string.ascii_letters + string.digits, min_size=20, max_size=60).filter(
    lambda text: any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
)
NAMES = st.sampled_from(
    ["password", "ethPassword", "JOIN_SECRET", "api_key", "apiKey", "access-token", "private_key", "mnemonic", "Cookie"]
)
AROUND = st.sampled_from(["", "level=info msg=", "2026-03-01 12:00 gpu-1 ", "{'a': 1} "])


def survives(secret: str, text: str) -> bool:
    return secret in text or json.dumps(secret)[1:-1] in text


@few
@given(PRINTABLE, NAMES, AROUND)
def test_mask__value_of_a_name_in_json__is_gone(secret: str, name: str, around: str) -> None:
    text = around + json.dumps({"n": 1, name: secret, "m": "kept"})
    masked = LOOKS.mask(text)
    assume(secret not in text.replace(json.dumps(secret), ""))
    assert not survives(secret, masked), masked
    assert '"kept"' in masked


@few
@given(
    st.recursive(
        st.integers() | st.booleans() | st.none() | PRINTABLE, lambda x: st.lists(x) | st.dictionaries(PRINTABLE, x)
    ),
    PRINTABLE,
    NAMES,
)
def test_mask_document__named_and_known_values__are_gone_and_it_stays_json(rest, secret: str, name: str) -> None:
    assume(secret.strip() == secret and len(secret) >= 4 and secret not in json.dumps(rest, ensure_ascii=False) + name)
    masked = Masker([secret]).mask_document(
        {"a": [{name: "some other"}, f"x{secret}y", rest], secret: {name: [1, {"b": "c0"}]}}
    )
    text = json.dumps(masked, ensure_ascii=False)
    assert secret not in text
    assert masked["a"][:2] == [{name: MASK}, f"x{MASK}y"]
    assert masked[MASK] == {name: [MASK, {"b": MASK}]}


def test_mask__json_text__stays_json() -> None:
    text = '{"token": 12, "a": {"password": "x y"}, "cmd": "run --secret s3 --n 1", "why": "token=t1", "b": true}'
    assert json.loads(LOOKS.mask(text)) == {
        "token": MASK, "a": {"password": MASK}, "cmd": f"run --secret {MASK} --n 1", "why": f"token={MASK}", "b": True
    }  # fmt: skip


@few
@given(PRINTABLE, NAMES)
def test_mask__json_within_json__is_gone(secret: str, name: str) -> None:
    text = json.dumps({"event": json.dumps({name: secret, "n": 1})})
    assume(secret not in json.dumps({"event": json.dumps({name: "", "n": 1})}))
    masked = LOOKS.mask(text)
    assert not survives(secret, masked), masked
    assert json.dumps(json.dumps(secret)[1:-1])[1:-1] not in masked


@few
@given(WORD, NAMES, AROUND)
def test_mask__assignments_flags_and_yaml__are_gone(secret: str, name: str, around: str) -> None:
    assume(secret not in f"{around} {name}" and secret.lower() not in ("true", "false", "null", "none"))
    for text in (
        f"{around}{name}={secret} n=1",
        f"{name}: {secret}",
        f"x\n  {name}:  '{secret}'\ny: 1",
        f"{name}: |\n  {secret}\n",
    ):
        assert secret not in LOOKS.mask(text), text
    assume(not secret.startswith("-"))
    assert secret not in LOOKS.mask(f"livepeer -{name} {secret} -v 6")


@few
@given(WORD, AROUND)
def test_mask__what_an_url_carries__is_gone(secret: str, around: str) -> None:
    quoted = quote(secret, safe="")
    assume(quoted not in f"{around} https://postgres user host db apiKey")
    for text in (f"{around}postgres://user:{quoted}@host/db", f"{around}https://host/?x=1&apiKey={quoted}#y"):
        assert quoted not in LOOKS.mask(text)


@few
@given(TOKEN, AROUND)
def test_mask__tokens__are_gone(token: str, around: str) -> None:
    for text in (
        f"{around}https://arb-mainnet.example.com/v2/{token}",
        f"{around}https://arb-mainnet.example.com/v2/{token}/x?y=z",
        f"curl -H 'Authorization: Bearer {token}' https://host",
        f"{around}hf_{token}",
    ):
        assert token not in LOOKS.mask(text), text


@few
@given(st.binary(min_size=40, max_size=2000), st.sampled_from(["PRIVATE KEY", "RSA PRIVATE KEY", "CERTIFICATE"]))
def test_mask__pem__no_line_of_it_is_left(body: bytes, kind: str) -> None:
    lines = base64.encodebytes(body).decode().split()
    pem = "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])
    in_a_log = pem.replace("\n", "\n2026-03-01T10:00:00 gpu-1 agent[7]: ")
    for text in (f"key:\n{pem}\nafter: 1", json.dumps({"x": pem, "after": 1}), pem[: len(pem) // 2], in_a_log):
        masked = LOOKS.mask(text)
        assert not [line for line in lines if len(line) > 8 and line in masked], masked
    assert LOOKS.mask(f"{pem}\nafter: 1").endswith("after: 1")


@few
@given(st.binary(min_size=32, max_size=64), st.booleans())
def test_mask__long_hex__is_gone_and_the_same_value_has_the_same_mark(value: bytes, prefixed: bool) -> None:
    digits = value.hex()
    masked = LOOKS.mask(f"{'key=0x' if prefixed else 'a'}{digits} and 0x{digits.upper()}")
    assert digits not in masked.lower()
    first, _, second = masked.partition(" and ")
    if prefixed:
        assert first.partition("=")[2] == second


@few
@given(st.lists(PRINTABLE, min_size=1, max_size=4), AROUND)
def test_mask__known_values__are_gone_in_every_spelling(secrets: list[str], around: str) -> None:
    masker = Masker([f"{secret}\n" for secret in secrets])
    for secret in (text.strip() for text in secrets):
        assume(len(secret) >= 4)
        spellings = {
            secret,
            json.dumps(secret)[1:-1],
            quote(secret, safe=""),
            repr(secret)[1:-1],
            base64.b64encode(secret.encode()).decode().rstrip("="),
        }
        masked = masker.mask("".join(f"{around}<{spelling}> " for spelling in spellings))
        assert not [spelling for spelling in spellings if spelling in masked], masked


def test_mask__known_value_of_many_lines__each_line_is_gone() -> None:
    masked = Masker(["first-line-of-it\nsecond-line-of-it\n"]).mask("a second-line-of-it b first-line-of-it")
    assert masked == f"a {MASK} b {MASK}"


def test_mask__keystore__its_texts_are_gone() -> None:
    keystore = {
        "address": "70997970c51812dc3a010c7d01b50e0d17dc79c8",
        "crypto": {"ciphertext": "ab" * 20, "mac": "cd" * 20},
    }
    masked = Masker([json.dumps(keystore, indent=1)]).mask(f"x {'ab' * 20} y {'CD' * 20}")
    assert masked == f"x {MASK} y {MASK}"


def test_mask__known_value_is_very_short__goes_as_a_word_and_nothing_else_is_torn() -> None:
    assert Masker(["ab"]).mask("ab cab ab.") == f"{MASK} cab {MASK}."


def test_mask__value_that_begins_like_a_plain_one__is_gone() -> None:
    assert LOOKS.mask("password: true-horse\nn: 1") == f"password: {MASK}\nn: 1"
    assert LOOKS.mask("password: null, horse") == f"password: {MASK}"
    assert LOOKS.mask('{"token": null, "a": 1}') == '{"token": null, "a": 1}'


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01 info segment.done session=abc took_s=1.25 renditions=3",
        "https://orch.example.com:8935/live/video/manifest_1",
        "address 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 digest 0123456789ab",
        '{"tickets": 4, "token": true, "tokens_per_second": 31.5}',
        "password_file: passwords/orchestrator",
        "basic authentication is not offered",
        "0.1.0-a5b4d3d3501c",
    ],
)
def test_mask__no_secret__stays_as_it_is(text: str) -> None:
    assert LOOKS.mask(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "A" * 400_000,
        "password" * 40_000,
        "a.b-" * 80_000,
        "x://" * 60_000,
        "-----BEGIN A-----" * 12_000,
        '"token": "' * 20_000,
    ],
)
def test_mask__hostile_text__takes_time_in_proportion(text: str) -> None:
    began = time.process_time()
    LOOKS.mask(text)
    assert time.process_time() - began < 5


def test_parts_of_urls__what_stands_before_and_after_the_host() -> None:
    text = "rpc: [https://u:p4ss@arb.example.com/v2/k3yk3yk3y?x=t0k3nt0k3n , https://orch:8935/live/transcode]"
    assert {*secret_parts_of_urls(text)} >= {"u:p4ss", "p4ss", "k3yk3yk3y", "t0k3nt0k3n"}
    assert "transcode" not in {*secret_parts_of_urls(text)}
