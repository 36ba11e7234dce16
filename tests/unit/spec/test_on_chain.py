"""`on_chain`: amounts and addresses exactly, and every mistake at its place."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.chain import checksum_address
from livefleet.spec import SpecError, load_fleet, load_node, to_yaml
from livefleet.spec.amounts import lpt_text, parse_lpt, parse_percent, percent_text
from livefleet.spec.checksum import checksummed, is_checksum_wrong

pytestmark = pytest.mark.unit

COLD = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"

FLEET = """\
name: demo
network: {{name: devchain, rpc: ["http://127.0.0.1:1"], controller: "0x5fbdb2315678afecb367f032d93f642f64180aa3"}}
keys:
  hot: {{file: hot.json}}
  cold: {{address: "{cold}", roles: [cold]}}
hosts:
  o1:
    address: "@local"
    role: orchestrator
    orchestrator: {{service_uri: "https://o.example:8935", key: hot}}
    on_chain:
{section}
"""


def a_fleet(tmp_path, section):
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET.format(cold=COLD, section="\n".join(f"      {line}" for line in section.splitlines())))
    return path


def problems(tmp_path, section):
    with pytest.raises(SpecError) as caught:
        load_fleet(a_fleet(tmp_path, section))
    return [(p.line, p.message) for p in caught.value.problems]


@given(st.integers(0, 1_000_000))
def test_percent__any_parts__come_back_equal(parts):
    assert parse_percent(percent_text(parts)) == parts


@given(st.integers(0, 2**128))
def test_lpt__any_amount__comes_back_equal(lptu):
    assert parse_lpt(lpt_text(lptu)) == lptu
    assert Fraction(lpt_text(lptu).removesuffix(" LPT")) * 10**18 == lptu


@given(st.binary(min_size=20, max_size=20))
def test_checksum__any_address__is_what_the_keccak_library_says(raw):
    address = checksum_address(raw)

    assert checksummed(address.lower()) == address
    assert not is_checksum_wrong(address)
    assert not is_checksum_wrong(address.lower())


def test_checksum__one_letter_in_the_other_case__is_wrong():
    letter = next(i for i, c in enumerate(COLD) if i > 1 and c.isalpha())
    assert is_checksum_wrong(COLD[:letter] + COLD[letter].swapcase() + COLD[letter + 1 :])


@pytest.mark.parametrize(
    "value", [0.5, 10, "10", "0.5", "-1%", "100.0001%", "0.00001%", "1e2%", "% 5", None, True, "٣%"]
)
def test_percent__without_a_sign_or_out_of_range__is_refused(value):
    with pytest.raises(ValueError, match=r"share|finer|more than"):
        parse_percent(value)


@pytest.mark.parametrize("value", [1000, "1000", "1 ETH", "0.0000000000000000001 LPT", "-5 LPT", None, True])
def test_lpt__without_its_unit_or_too_fine__is_refused(value):
    with pytest.raises(ValueError, match="LPT"):
        parse_lpt(value)


def test_fleet__everything_declared__reaches_the_node_and_survives_its_file(tmp_path):
    fleet = load_fleet(
        a_fleet(
            tmp_path,
            """\
reward_cut: 10%
fee_cut: 0.5%
max_change: 2%
service_uri: same
ai_service_uri: https://ai.example:8936
reward_caller: none
min_self_stake: 1000 LPT
activate: true
withdraw_fees: {to: cold, above: 0.20 ETH, keep: 0.02 ETH}
transfer_stake: {to: cold, above: 100 LPT}
gas: {warn_below: 0.01 ETH, warn_days: 3}""",
        )
    )

    node = fleet.node("o1")
    declared = node.on_chain
    assert declared is not None
    assert (declared.reward_cut, declared.fee_cut, declared.max_change) == (100_000, 5_000, 20_000)
    assert declared.withdraw_fees is not None
    assert declared.withdraw_fees.to == COLD, "hosts are told addresses, not names"
    path = tmp_path / "node.yaml"
    path.write_text(to_yaml(node))
    assert load_node(path) == node
    assert "cold" not in node.keys


@pytest.mark.parametrize(
    ("section", "line", "message"),
    [
        ("reward_cut: 101%", 12, "'101%' is more than 100%"),
        ("fee_cut: 0.5", 12, "0.5 is no share; write it with its sign, for example '10%' or '0.5%'"),
        ("reward_caller: colt", 12, "no key `colt` under `keys` (o1)"),
        ("reward_caller: hot", 12, "key `hot` has no `address` (o1)"),
        (f"reward_caller: '{COLD.replace('C8', 'c8')}'", 12, "has a wrong checksum (EIP-55)"),
        ("orchestrator: 0x1234", 12, "'0x1234' is no address: 0x and 40 hex digits"),
        (f"price_feed: '{COLD.replace('C8', 'c8')}'", 12, "has a wrong checksum (EIP-55)"),
        ("activate: true", 12, "an orchestrator cannot be activated without `reward_cut` (o1)"),
        ("withdraw_fees: {above: 1 ETH}", 12, "`withdraw_fees` has no `to` (o1)"),
        ("transfer_stake: {to: cold}", 12, "`transfer_stake` does not say how much stake stays (o1)"),
        (
            "min_self_stake: 5 LPT\ntransfer_stake: {to: cold, keep: 4 LPT}",
            13,
            "`keep` is below `min_self_stake`, 5 LPT",
        ),
        ("min_self_stake: 1000", 12, "write it with its unit"),
        ("service_uri: http://o.example", 12, "service_uri"),
    ],
)
def test_fleet__a_mistake__is_told_at_its_line(tmp_path, section, line, message):
    found = problems(tmp_path, section)

    assert any(at == line and message in f"{text} {section}" for at, text in found), found


def test_fleet__section_on_a_host_without_a_chain__is_refused(tmp_path):
    path = a_fleet(tmp_path, "reward_cut: 10%")
    path.write_text(path.read_text().replace("name: devchain,", "name: offchain,"))
    with pytest.raises(SpecError, match="`on_chain` needs a chain"):
        load_fleet(path)
