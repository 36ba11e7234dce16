"""Challenges, rates, the certificate and slices, each by itself."""

import stat
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from livefleet.control.enrol.certificate import ensure_certificate
from livefleet.control.enrol.challenge import CHALLENGE_S, Challenges, is_signed
from livefleet.control.enrol.rate import RateLimit
from livefleet.control.enrol.slices import FleetSlices
from livefleet.control.enrol.tokens import Template, TemplateKind
from livefleet.enrol import public_key_pin
from livefleet.kernel import BadInput
from livefleet.spec.enrolment import Challenge, signed_text
from tests.builders.enrol import a_fleet_file

NOW = 1_000_000.0


def test_challenge__fresh__is_good_once():
    challenges = Challenges()
    text = challenges.new(NOW)
    assert Challenge(challenge=text, now=NOW)
    assert challenges.spend(text, NOW + 1)
    assert not challenges.spend(text, NOW + 1)


def test_challenge__after_its_time_or_of_another_process__is_not_good():
    challenges = Challenges()
    assert not challenges.spend(challenges.new(NOW), NOW + CHALLENGE_S)
    assert not challenges.spend(Challenges().new(NOW), NOW)


def test_challenge__many_over_a_day__are_forgotten_when_they_end():
    challenges = Challenges()
    for second in range(2000):
        assert challenges.spend(challenges.new(NOW + second), NOW + second)
    assert len(challenges._spent) <= CHALLENGE_S + 1


@given(st.text(max_size=200))
def test_challenge__any_text__is_none_of_ours(text):
    assert not Challenges().spend(text, NOW)


def test_signature__of_the_key_over_this_request__is_the_only_good_one():
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    good = key.sign(signed_text("/a", "c", b"body")).hex()
    assert is_signed(public, good, "/a", "c", b"body")
    assert not is_signed(public, good, "/b", "c", b"body")
    assert not is_signed(public, good, "/a", "d", b"body")
    assert not is_signed(public, good, "/a", "c", b"other")
    assert not is_signed("00" * 32, good, "/a", "c", b"body")
    assert not is_signed("zz", good, "/a", "c", b"body")
    assert not is_signed(public, "zz", "/a", "c", b"body")


def test_rate__a_burst_and_then_so_many_a_second():
    rate = RateLimit(burst=3, per_s=2)
    assert [rate.allows("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert [rate.allows("a", 1.0) for _ in range(3)] == [True, True, False]
    assert rate.allows("b", 1.0)


def test_rate__a_long_rest__gives_no_more_than_a_burst():
    rate = RateLimit(burst=3, per_s=2)
    rate.allows("a", 0.0)
    assert sum(rate.allows("a", 1e6) for _ in range(10)) == 3


def test_rate__many_addresses__are_bounded():
    rate = RateLimit(most=10)
    for number in range(100):
        rate.allows(str(number), 0.0)
    assert len(rate._buckets) == 10


def test_certificate__made_once__stays_and_its_pin_is_what_a_host_sees(tmp_path):
    made = ensure_certificate(tmp_path / "keys", ("ops.example.com", "192.0.2.1"))
    loaded = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    assert public_key_pin(loaded.public_bytes(Encoding.DER)) == made.pin
    assert ensure_certificate(tmp_path / "keys", ("other",)) == made
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600


def test_certificate__taken_away__is_made_anew_with_the_key_that_images_know(tmp_path):
    made = ensure_certificate(tmp_path, ("a",), datetime(2020, 1, 1, tzinfo=UTC))
    made.certificate.unlink()
    assert ensure_certificate(tmp_path, ("b",)).pin == made.pin


def test_certificate__without_its_key__is_refused_rather_than_replaced(tmp_path):
    made = ensure_certificate(tmp_path, ("a",))
    made.key.unlink()
    with pytest.raises(BadInput, match="bring it back"):
        ensure_certificate(tmp_path, ("a",))


def test_certificate__files_that_are_none__are_told(tmp_path):
    (tmp_path / "enrol-key.pem").write_text("nothing")
    with pytest.raises(BadInput, match="is none that `livefleet enrol` has made"):
        ensure_certificate(tmp_path, ("a",))


def a_fleet(folder, groups):
    path = folder / "fleet.yaml"
    path.write_text(
        f"name: a\nkeys: {{k: {{file: k}}}}\nsecrets: {{j: {{env: J}}}}\ngroups:\n{groups}"
        "hosts:\n  x: {address: 10.0.0.1, role: worker, worker: {orchestrator: 'o:1', secret: j}}\n"
    )
    return FleetSlices(path, {})


def test_template__whose_host_would_need_a_key__is_refused(tmp_path):
    slices = a_fleet(
        tmp_path,
        "  o: {role: orchestrator, network: {name: devchain, rpc: ['http://a'], controller:"
        " '0x0000000000000000000000000000000000000001'}, prices: {video: 1 wei},"
        " orchestrator: {service_uri: 'https://p:1', key: k}}\n",
    )
    with pytest.raises(BadInput, match="would need the keys k: keys come by `livefleet apply` alone"):
        slices.check(Template(TemplateKind.GROUP, "o"))


def test_template__that_keeps_secrets_in_memory__is_refused(tmp_path):
    slices = a_fleet(
        tmp_path,
        "  w: {role: worker, service: {secrets: tmpfs}, worker: {orchestrator: 'o:1', secret: j}}\n",
    )
    with pytest.raises(BadInput, match="keeps secrets in tmpfs"):
        slices.check(Template(TemplateKind.GROUP, "w"))


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (Template(TemplateKind.HOST, "gpu-7"), "no host `gpu-7`"),
        (Template(TemplateKind.GROUP, "worker"), "no group `worker`"),
    ],
)
def test_template__that_the_file_does_not_have__is_told_with_what_is_near(tmp_path, template, told):
    slices = FleetSlices(a_fleet_file(tmp_path, tmp_path / "host"), {})
    with pytest.raises(BadInput, match=told):
        slices.check(template)
