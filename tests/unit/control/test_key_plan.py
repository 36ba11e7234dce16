"""Which key sits where, and which must not."""

import pytest

from livefleet.control import KeyFacts, KeyOnChain, Verdict, plan_keys
from livefleet.spec import KeyRole
from tests.builders.spec import a_fleet

pytestmark = pytest.mark.unit

STAKE = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
HOT = "0x1563915e194D8CfBA1943570603F7606A3115508"
ETH = 10**18
FLEET = f"""\
name: demo
network: {{name: devchain, rpc: ['http://127.0.0.1:1'], controller: '{STAKE}'}}
keys:
  cold: {{address: '{STAKE}', roles: [cold]}}
  identity: {{file: i.json, password: {{env: P}}, address: '{HOT}', roles: [identity]}}
  caller: {{file: c.json, password: {{env: P}}}}
  stake: {{file: s.json, address: '{STAKE}'}}
  far: {{remote: {{url: 'https://signer:9000'}}, address: '{STAKE}'}}
hosts:
"""
GPU = "address: {0}, duties: [transcoding], role: orchestrator"
SEPARATE = f"recipient: '{STAKE}'"


def gpu(name: str, key: str, *more: str) -> str:
    settings = ", ".join([f"service_uri: 'https://{name}.example.com:8935'", f"key: {key}", *more])
    return f"  {name}: {{{GPU.format(name)}, orchestrator: {{{settings}}}}}\n"


def keykeeper(**keys: str) -> str:
    named = ", ".join(f"{field}: {name}" for field, name in keys.items())
    return (
        f"  keeper: {{address: k, duties: [reward], role: keykeeper, "
        f"keykeeper: {{orchestrator: '{STAKE}', keys: {{{named}}}}}}}\n"
    )


def seats(folder, hosts, **settings):
    plan = plan_keys(a_fleet(folder, FLEET + hosts), settings.pop("facts", {}), **settings)
    return plan, {(seat.host, seat.key): seat for seat in plan.seats}


def test_plan__split_as_it_should_be__nothing_is_refused(tmp_path):
    plan, by_place = seats(tmp_path, gpu("a", "identity", SEPARATE) + keykeeper(reward_caller="caller"))
    assert plan.refused == ()
    identity = by_place["a", "identity"]
    assert (identity.verdict, identity.roles, identity.can) == (Verdict.GOOD, (KeyRole.IDENTITY,), "sign results")
    assert (identity.place, identity.address) == ("keys/identity, from i.json", HOT)
    caller = by_place["keeper", "caller"]
    assert (caller.can, caller.findings) == (
        "call reward; spend its ETH",
        ("its address is not known here: declare `address`",),
    )
    cold = by_place["", "cold"]
    assert (cold.place, cold.can, cold.verdict) == ("nowhere", "everything, by hand", Verdict.GOOD)


def test_plan__recipients_key_on_a_gpu_host__is_refused_without_asking_the_chain(tmp_path):
    plan, _ = seats(tmp_path, gpu("a", "stake"))
    (seat,) = plan.refused
    assert (seat.host, seat.key) == ("a", "stake")
    assert "orchestrator.recipient" in seat.findings[0]


def test_plan__recipients_key_at_a_signer__is_a_remark(tmp_path):
    plan, by_place = seats(tmp_path, gpu("a", "far"))
    assert plan.refused == ()
    seat = by_place["a", "far"]
    assert (seat.place, seat.verdict) == ("signer https://signer:9000", Verdict.REMARK)
    assert "let its policy allow little" in seat.findings[0]


@pytest.mark.parametrize(
    ("url", "is_told"),
    [
        ("https://signer:9000", False),
        ("http://127.0.0.1:9000", False),
        ("http://[::1]:9000", False),
        ("http://s:9", True),
    ],
)
def test_plan__signer_without_tls__is_told_unless_it_is_on_the_host(tmp_path, url, is_told):
    text = FLEET.replace("https://signer:9000", url) + gpu("a", "far", SEPARATE)
    plan = plan_keys(a_fleet(tmp_path, text), {})
    (seat,) = (seat for seat in plan.seats if seat.host == "a")
    assert any("without TLS" in finding for finding in seat.findings) is is_told


def test_plan__recipients_key_on_a_keykeeper__is_a_remark(tmp_path):
    plan, by_place = seats(tmp_path, keykeeper(orchestrator="stake"))
    assert plan.refused == ()
    assert "LIP-118" in by_place["keeper", "stake"].findings[0]


@pytest.mark.parametrize(
    ("stake", "balance", "refused", "said"),
    [
        (1, 0, True, "0.000000000000000001 LPT of stake"),
        (0, 2 * ETH, True, "it holds 2 ETH, more than 1 ETH, on a GPU host"),
        (0, ETH, False, ""),
    ],
)
def test_plan__chain_asked__what_the_key_holds_decides(tmp_path, stake, balance, refused, said):
    held = {HOT.lower(): KeyOnChain(stake, balance)}
    plan, by_place = seats(tmp_path, gpu("a", "identity", SEPARATE), on_chain=held, max_balance=ETH)
    assert bool(plan.refused) is refused
    assert said in " ".join(by_place["a", "identity"].findings)


def test_plan__recipient_without_stake__is_let_be(tmp_path):
    plan, by_place = seats(tmp_path, gpu("a", "stake"), on_chain={STAKE.lower(): KeyOnChain(0, ETH)}, max_balance=ETH)
    assert plan.refused == ()
    assert by_place["a", "stake"].findings == ()


def test_plan__sender_without_eth__is_told(tmp_path):
    held = {HOT.lower(): KeyOnChain(0, 0)}
    facts = {"caller": KeyFacts(address=HOT)}
    _, by_place = seats(tmp_path, keykeeper(reward_caller="caller"), on_chain=held, facts=facts)
    assert by_place["keeper", "caller"].findings == ("it holds no ETH and cannot pay for gas: send it some",)


def test_plan__key_file__its_faults_are_told(tmp_path):
    facts = {"stake": KeyFacts(address=HOT, encrypted=False, mode=0o644)}
    plan, by_place = seats(tmp_path, keykeeper(orchestrator="stake"), facts=facts)
    text = "\n".join(by_place["keeper", "stake"].findings)
    assert f"its file is the key of {HOT}, declared is {STAKE}" in text
    assert "not encrypted" in text
    assert "mode 0644" in text
    assert [seat.key for seat in plan.refused] == ["stake"]


def test_plan__sending_key_on_two_hosts__wants_one_store(tmp_path):
    hosts = gpu("a", "stake", "object_store: null") + gpu("b", "stake")
    _, by_place = seats(tmp_path, hosts.replace(", object_store: null", ""))
    assert "2 hosts have it" in " ".join(by_place["b", "stake"].findings)


def test_plan__key_of_no_host_and_no_role__is_told(tmp_path):
    _, by_place = seats(tmp_path, gpu("a", "identity", SEPARATE))
    assert by_place["", "stake"].findings == ("no host uses it: say its `roles`, or take it out",)
    assert by_place["", "stake"].place == "the operator's: s.json"
