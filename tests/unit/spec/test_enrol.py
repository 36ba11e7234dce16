"""first-boot.yaml and livefleet.yaml: what they may say, and what is told of what is wrong."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from livefleet.kernel import BadInput
from livefleet.spec import SpecError
from livefleet.spec.document import parse_document
from livefleet.spec.enrol import EnrolTrust, FirstBoot, FirstBootMode, Seed, load_first_boot, parse_seed
from livefleet.spec.enrolment import EnrolAsk, HostReport, SeenGpu, host_name, signed_text
from livefleet.spec.more_hosts import with_hosts

PIN = "sha256:" + "ab" * 32
TOKEN = "lf1-" + "a2" * 16
CHECKSUMMED = "0x52908400098527886E0F7030069857D2E4169EE7"


def problems_of(tmp_path, text):
    path = tmp_path / "first-boot.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_first_boot(path)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_first_boot__the_least__is_a_fleets_host_that_claims(tmp_path):
    path = tmp_path / "first-boot.yaml"
    path.write_text(f"url: https://ops.example.com:8939/\ntrust: {{pins: ['{PIN}']}}\n")
    boot = load_first_boot(path)
    assert boot.url == "https://ops.example.com:8939"
    assert boot.mode is FirstBootMode.FLEET
    assert boot.claim


def test_first_boot__mistakes__each_at_its_place_with_what_to_do(tmp_path):
    found = problems_of(tmp_path, "url: http://ops:1\ntrust: {}\nmode: pol_worker\ntoken: x\n")
    assert found[0].startswith("first-boot.yaml:1:6: `url`: write `https://HOST:PORT`")
    assert found[1].startswith("first-boot.yaml:2:8: `trust`: give `pins`")
    assert found[2] == "first-boot.yaml:3:7: `mode` cannot be `pol_worker`; did you mean `pool_worker`?"
    assert found[3].startswith("first-boot.yaml:4:1: unknown key `token`")


@pytest.mark.parametrize(
    "url",
    [
        "https://user@ops:1",
        "https://ops:1/path",
        "https://ops:1?x=1",
        "https://",
        "https://ops:99999",
        "https://ops:0",
        "https://o ps:1",
        "ops:1",
    ],
)
def test_first_boot__url_that_is_no_service__is_refused(url):
    with pytest.raises(ValidationError, match="write `https://HOST:PORT`"):
        FirstBoot(url=url, trust={"pins": [PIN]})


def test_trust__a_private_key_among_the_authorities__is_refused():
    with pytest.raises(ValidationError, match="no private key"):
        EnrolTrust(ca="-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n")


def test_first_boot__pool_without_its_mode__is_refused():
    with pytest.raises(ValidationError, match="goes with `mode: pool_worker`"):
        FirstBoot(url="https://ops:1", trust={"pins": [PIN]}, pool="Titan")


@pytest.mark.parametrize("wrong", [TOKEN + "x", "LF1-" + "a2" * 16, "lf1-" + "a1" * 16, "secret"])
def test_seed__a_token_that_is_none__is_refused_without_showing_it(wrong):
    with pytest.raises(BadInput) as caught:
        parse_seed(f"token: {wrong}\n", "LIVEFLEET/livefleet.yaml")
    assert str(caught.value).startswith("LIVEFLEET/livefleet.yaml:1:8: `token`: is no token")
    assert wrong not in str(caught.value)


def test_seed__payout_with_a_wrong_capital__is_told_as_mistyped():
    with pytest.raises(BadInput, match="wrong checksum"):
        parse_seed(f"payout: {CHECKSUMMED.replace('E', 'e', 1)}\nnickname: a\n", "stick")


def test_seed__of_several_places__the_first_wins_each_field():
    first, second = Seed(nickname="a"), Seed(nickname="b", payout=CHECKSUMMED, token=TOKEN)
    assert first.over(second) == Seed(nickname="a", payout=CHECKSUMMED, token=TOKEN)


@given(st.text(max_size=200))
def test_seed__whatever_is_on_the_stick__is_a_seed_or_a_told_mistake(text):
    with contextlib.suppress(SpecError):
        assert isinstance(parse_seed(text, "stick"), Seed)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_host_name__is_fit_for_a_host_and_stands_for_its_key(one, other):
    EnrolAsk(name=host_name("host", one))
    assert (host_name("host", one) == host_name("host", other)) == (one == other)


def test_signed_text__differs_with_path_challenge_and_body():
    texts = {signed_text(path, challenge, body) for path in ("/a", "/b") for challenge in "xy" for body in (b"1", b"2")}
    assert len(texts) == 8


@pytest.mark.parametrize("name", ["a\x1b[31mred", "a\nb", "a\x9bb", "a\x7f"])
def test_names_of_cards__with_what_a_terminal_obeys__are_refused(name):
    with pytest.raises(ValidationError):
        SeenGpu(name=name)
    with pytest.raises(ValidationError):
        HostReport(ready=True, digest="sha256:" + "0" * 64, reasons=(name,))


def test_with_hosts__one_that_is_declared__stays_as_it_is():
    document = parse_document("name: a\nhosts:\n  x: {address: 10.0.0.1}\n", "fleet.yaml")
    more = with_hosts(document, {"x": {"address": "other"}, "y": {"address": "y", "groups": ["g"]}})
    assert more.data["hosts"] == {"x": {"address": "10.0.0.1"}, "y": {"address": "y", "groups": ["g"]}}
    assert list(document.data["hosts"]) == ["x"]
    assert more.place.children["hosts"].children["y"].children["groups"].children[0].line == 2
