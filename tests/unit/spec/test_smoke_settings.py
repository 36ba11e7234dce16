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


CHAIN = """\
name: demo
network: {name: arbitrum-one-mainnet, rpc: [https://arb1.example.com/rpc]}
"""
ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
KEYS = f"keys: {{o: {{file: o}}, payer: {{file: k, address: '{ADDRESS}'}}}}\n"
DOOR = "orchestrator: {service_uri: 'https://%s:8935', key: o%s}"


def hosts(**more):
    lines = [f"  {name}: {{address: {name}, role: orchestrator, {DOOR % (name, text)}}}" for name, text in more.items()]
    return "hosts:\n" + "\n".join(lines) + "\n"


def test_withheld__orchestrators_on_a_chain_know_whose_job_they_wait_for(tmp_path):
    other = "0x" + "1" * 40
    told = hosts(a="", b=f", smoke_account: '{other}'", c=", discovery_only: true, nodes: ['https://a:8935']")
    fleet = a_fleet(tmp_path, f"{CHAIN}{KEYS}{told}smoke: {{key: payer, withhold: true}}\n")
    found = {name: fleet.node(name).orchestrator.smoke_account for name in fleet.hosts}
    assert found == {"a": ADDRESS, "b": other, "c": None}
    plain = a_fleet(tmp_path, f"{CHAIN}{KEYS}{hosts(a='')}smoke: {{key: payer}}\n")
    assert plain.node("a").orchestrator.smoke_account is None


def test_withheld__off_chain__nobody_could_be_told_apart(tmp_path):
    fleet = a_fleet(tmp_path, f"{HEAD}{KEYS}smoke: {{key: payer, withhold: true}}\n")
    assert fleet.node("a").orchestrator.smoke_account is None
    said = problems(tmp_path, f"name: demo\nnetwork: offchain\n{KEYS}{hosts(a=f', smoke_account: {ADDRESS!r}')}")
    assert [text for text in said if "nobody signs requests where the network is offchain" in text]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{withhold: true}", "fleet.yaml:5:19: nobody pays for the jobs that orchestrators are to wait for"),
        ("{key: o, withhold: true}", "fleet.yaml:5:27: no host could tell who `o` is"),
    ],
)
def test_withheld__without_an_account_that_hosts_can_know__is_said(tmp_path, settings, message):
    (said,) = problems(tmp_path, f"{CHAIN}{KEYS}{hosts(a='')}smoke: {settings}\n".replace("hosts:\n", "hosts: \n"))
    assert said.startswith(message.replace(":5:", ":6:"))
