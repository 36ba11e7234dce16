"""Where keys may be, how they come to hosts, and what is refused."""

import os
import sys

import pytest

from livefleet.kernel import BadInput
from livefleet.spec import KeyRole, load_node, to_yaml
from livefleet.spec.secret_command import output_of
from tests.builders.spec import a_fleet, problems

pytestmark = pytest.mark.unit

COLD = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
HOT = "0x1563915e194D8CfBA1943570603F7606A3115508"
CHAIN = "name: demo\nnetwork: {name: devchain, rpc: ['http://127.0.0.1:1'], controller: '" + COLD + "'}\n"
ORCHESTRATOR = "role: orchestrator, orchestrator: {service_uri: 'https://o.example.com:8935', key: main}"
KEEPING = f"keykeeper: {{orchestrator: '{COLD}', keys: {{reward_caller: main}}}}"
REMOTE = f"remote: {{url: 'https://signer:9000'}}, address: '{HOT}'"


def test_remote_key__its_certificates_travel_and_no_key_does(tmp_path):
    for name in ("ca.pem", "me.pem"):
        (tmp_path / name).write_text(name)
    text = (
        f"{CHAIN}keys:\n  main:\n    address: '{HOT}'\n    remote:\n      url: https://signer:9000\n"
        "      tls_ca: {file: ca.pem}\n      client_certificate: {file: me.pem}\n      token: {env: TOKEN}\n"
        "      client_key: {host_file: /etc/pki/me.key}\n"
        f"hosts:\n  a: {{address: x, {ORCHESTRATOR}}}\n"
    )
    fleet = a_fleet(tmp_path, text)
    sent = {item.host_path: item.read({"TOKEN": "t0ken"}) for item in fleet.secrets_to_send("a")}
    assert sent == {
        "signers/main/ca.pem": b"ca.pem",
        "signers/main/client.pem": b"me.pem",
        "signers/main/token": b"t0ken",
    }
    key = fleet.node("a").keys["main"]
    assert (key.file, key.password_file, key.address) == (None, None, HOT)
    assert key.remote is not None
    assert key.files == (*sorted(sent)[:2], "/etc/pki/me.key", "signers/main/token")
    (tmp_path / "node.yaml").write_text(to_yaml(fleet.node("a")))
    assert load_node(tmp_path / "node.yaml") == fleet.node("a")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("{}", "or only the `address` of a key that no host has"),
        ("{file: a, env: B}", "exactly one of file, env, host_file, command, remote"),
        (f"{{file: a, {REMOTE}}}", "exactly one of file, env, host_file, command, remote"),
        ("{remote: {url: 'https://signer:9000'}}", "a remote key needs `address`"),
        ("{remote: {url: 'signer:9000'}, address: '" + HOT + "'}", "`url` cannot be `signer:9000`"),
        (f"{{{REMOTE}, password: {{env: A}}}}", "`password` opens a keystore, and this key is in none"),
        ("{file: a, roles: [hot]}", "roles"),
        ("{command: []}", "command"),
        (
            f"{{address: '{HOT}', remote: {{url: 'https://s', client_key: {{file: k}}}}}}",
            "`client_key` goes with `client_certificate`",
        ),
        (
            f"{{address: '{HOT}', remote: {{url: 'http://s', tls_ca: {{file: k}}}}}}",
            "certificates are given, and the URL is http",
        ),
        ("{file: a, address: '" + COLD.replace("E7E3", "e7E3") + "'}", "wrong checksum"),
    ],
)
def test_key__wrong_place__is_told(tmp_path, key, said):
    found = problems(tmp_path, f"{CHAIN}keys: {{main: {key}}}\nhosts:\n  a: {{address: x, {ORCHESTRATOR}}}\n")
    assert any(said in problem for problem in found), found


def test_cold_key__used_by_a_gpu_host__is_refused_where_it_is_named(tmp_path):
    text = (
        f"{CHAIN}keys: {{main: {{file: k, roles: [cold]}}}}\n"
        f"hosts:\n  a:\n    address: x\n    duties: [transcoding]\n    role: orchestrator\n"
        "    orchestrator:\n      service_uri: https://o.example.com:8935\n      key: main\n"
    )
    (problem,) = problems(tmp_path, text)
    assert problem == (
        "fleet.yaml:11:12: `main` is a cold key, and a host that does media work would hold it (a); use a key "
        "of its own here (roles: [identity]) and say the cold address as `orchestrator.recipient`"
    )


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (
            "file: k, roles: [cold]",
            "`main` is a cold key, and a host would hold it (a); leave it out",
        ),
        (f"address: '{COLD}'", "declared by its address alone"),
        ("file: k, roles: [redeemer]", "declared as redeemer, and is used here as recipient"),
    ],
)
def test_keykeeper__key_that_it_must_not_have__is_refused(tmp_path, key, said):
    keykeeper = f"role: keykeeper, keykeeper: {{orchestrator: '{COLD}', keys: {{orchestrator: main}}}}"
    (problem,) = problems(tmp_path, f"{CHAIN}keys: {{main: {{{key}}}}}\nhosts:\n  a: {{address: x, {keykeeper}}}\n")
    assert said in problem


@pytest.mark.parametrize(
    ("roles", "extra", "said"),
    [
        ("identity", "", "used here as recipient (a); say the orchestrator's address as `orchestrator.recipient`"),
        ("identity", f", recipient: '{COLD}'", ""),
        ("identity, recipient", "", ""),
        ("reward_caller", f", recipient: '{COLD}'", "declared as reward_caller, and is used here as identity"),
    ],
)
def test_roles__say_what_a_key_may_be_used_as(tmp_path, roles, extra, said):
    text = f"{CHAIN}keys: {{main: {{file: k, roles: [{roles}]}}}}\nhosts:\n  a: {{address: x, {ORCHESTRATOR}}}\n"
    text = text.replace("key: main", f"key: main{extra}")
    if not said:
        assert a_fleet(tmp_path, text).node("a").keys["main"].roles[0] is KeyRole.IDENTITY
        return
    (problem,) = problems(tmp_path, text)
    assert said in problem


def test_keykeeper__has_the_keys_that_it_names_and_only_these(tmp_path):
    text = (
        f"{CHAIN}keys:\n  caller: {{file: c, password: {{env: P}}, roles: [reward_caller]}}\n  other: {{file: o}}\n"
        f"hosts:\n  a: {{address: x, role: keykeeper, duties: [reward],\n"
        f"      keykeeper: {{orchestrator: '{COLD}', keys: {{reward_caller: caller}}}}}}\n"
    )
    node = a_fleet(tmp_path, text).node("a")
    assert list(node.keys) == ["caller"]
    assert node.keykeeper is not None
    assert (node.keykeeper.keys.rewarding, node.keykeeper.orchestrator) == ("caller", COLD)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("role: keykeeper", "role keykeeper needs `keykeeper:`"),
        (f"role: keykeeper, keykeeper: {{orchestrator: '{COLD}', keys: {{}}}}", "at least one of orchestrator"),
        (
            f"role: keykeeper, keykeeper: {{orchestrator: '{COLD}', keys: {{reward_caller: maim}}}}",
            "did you mean `main`?",
        ),
        (
            f"role: keykeeper, duties: [transcoding], {KEEPING}",
            "duty `transcoding` is not for a keykeeper",
        ),
        (
            f"role: keykeeper, network: offchain, keykeeper: {{orchestrator: '{COLD}', keys: {{reward_caller: main}}}}",
            "a keykeeper needs a chain",
        ),
        (
            f"role: keykeeper, network: devchain, keykeeper: {{orchestrator: '{COLD}', keys: {{reward_caller: main}}}}",
            "`network.rpc` is needed",
        ),
    ],
)
def test_keykeeper__what_it_lacks__is_told(tmp_path, host, said):
    text = f"{CHAIN}keys: {{main: {{file: k}}}}\nhosts:\n  a: {{address: x, {host}}}\n"
    if "network" in host:
        text = text.replace(", rpc: ['http://127.0.0.1:1'], controller: '" + COLD + "'", "")
    assert any(said in problem for problem in problems(tmp_path, text))


def test_command__prints_the_secret__without_its_line_end(tmp_path):
    text = (
        f"{CHAIN}keys: {{main: {{file: k, password: {{command: [{sys.executable}, ask.py, two words]}}}}}}\n"
        f"hosts:\n  a: {{address: x, {ORCHESTRATOR}}}\n"
    )
    (tmp_path / "ask.py").write_text("import os, sys; print(os.environ['WHO'], sys.argv[1])")
    _, password = a_fleet(tmp_path, text).secrets_to_send("a")
    assert (password.host_path, password.read({**os.environ, "WHO": "me"})) == ("passwords/main", b"me two words")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('s3cret'); raise SystemExit(3)", "ended with status 3"),
        ("pass", "printed nothing"),
        ("import time; print('s3cret', flush=True); time.sleep(60)", "within 0 s"),
    ],
)
def test_command__gives_no_secret__tells_why_and_nothing_of_what_it_printed(tmp_path, program, said):
    command = [sys.executable, "-c", program]
    with pytest.raises(BadInput) as failed:
        output_of(command, what="keys.main.password", folder=tmp_path, environ=os.environ, timeout_s=0.4)
    text = f"{failed.value} {failed.value.__cause__}"
    assert said in text
    assert "keys.main.password" in text
    assert "s3cret" not in text
    assert f"-c {program}" not in text


def test_command__no_such_program__is_named(tmp_path):
    with pytest.raises(BadInput, match="cannot run `no-such-program`: No such file"):
        output_of(["no-such-program", "s3cret"], what="x", folder=tmp_path, environ=os.environ)
