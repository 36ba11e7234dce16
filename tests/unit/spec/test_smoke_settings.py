"""`smoke:` in the fleet file."""

import pytest

from livefleet.spec import node_digest
from tests.builders.spec import a_fleet, problems

pytestmark = pytest.mark.unit

HOST = "hosts: {a: {address: a.example.com, role: orchestrator, orchestrator: {service_uri: 'https://a:8935'}}}\n"
HEAD = f"name: demo\nnetwork: offchain\n{HOST}"


def test_nothing_said__has_bounds_and_no_key(tmp_path):
    smoke = a_fleet(tmp_path, HEAD).spec.smoke
    assert (smoke.key, smoke.max_spend, smoke.seconds) == (None, 10**14, 4)


def test_amounts__are_read_with_their_units(tmp_path):
    smoke = a_fleet(tmp_path, f"{HEAD}smoke: {{max_price: 2 gwei, max_spend: 0.001 eth}}\n").spec.smoke
    assert (smoke.max_price, smoke.max_spend) == (2 * 10**9, 10**15)


def test_settings__are_no_part_of_what_hosts_get(tmp_path):
    plain = a_fleet(tmp_path, HEAD)
    tried = a_fleet(tmp_path, f"{HEAD}keys: {{payer: {{file: k}}}}\nsmoke: {{key: payer}}\n")
    assert node_digest(tried.node("a")) == node_digest(plain.node("a"))
    assert tried.secrets_to_send("a") == []


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("{file: k}", "no key `payer` under `keys`; did you mean `payers`?"),
        ("{file: k, roles: [cold]}", "`payer` is a cold key, and smoke jobs sign with it"),
        ("{host_file: /k}", "key `payer` cannot be read on this machine"),
        ("{address: '0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A'}", "key `payer` cannot be read on this machine"),
    ],
)
def test_key_that_cannot_pay__is_said_where_it_stands(tmp_path, key, message):
    name = "payers" if "no key" in message else "payer"
    (said,) = problems(tmp_path, f"{HEAD}keys: {{{name}: {key}}}\nsmoke:\n  seconds: 2\n  key: payer\n")
    assert said.startswith(f"fleet.yaml:7:8: {message}")


@pytest.mark.parametrize(
    "bad", ["{seconds: 0}", "{profiles: []}", "{profiles: [P144p30fps16x9, P144p30fps16x9]}", "{pay: 1}"]
)
def test_wrong_values__are_refused_with_their_position(tmp_path, bad):
    assert problems(tmp_path, f"{HEAD}smoke: {bad}\n")[0].startswith("fleet.yaml:4:")
