"""go-livepeer's price files, right and wrong."""

import contextlib
import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.spec import Currency, DeclaredPrice, SpecError, load_node, to_yaml
from livefleet.spec.gateways_file import parse_gateways
from tests.builders.spec import HEAD, a_fleet, problems

pytestmark = pytest.mark.unit

A = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
B = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
HOST = "  a: {address: x, role: orchestrator, orchestrator: {service_uri: 'https://o.example.com:8935'}"


def told(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_gateways(text, "prices.json")
    return [str(problem) for problem in caught.value.problems]


def test_parse__go_livepeers_example__is_read_exactly() -> None:
    text = (
        f'{{"gateways":[{{"ethaddress":"{A}","priceperunit":0.5,"currency":"USD","pixelsperunit":1}},'
        f'{{"ethaddress":"{B}","priceperunit":0.3,"currency":"USD","pixelsperunit":3}}]}}'
    )

    assert parse_gateways(text, "prices.json") == {
        A: DeclaredPrice(Fraction(1, 2), Currency.USD),
        B: DeclaredPrice(Fraction(1, 10), Currency.USD),
    }


@given(st.decimals(min_value=0, max_value=10**20, places=15), st.integers(1, 10**15))
def test_parse__any_number__keeps_every_digit(price: object, pixels: int) -> None:
    text = f'{{"gateways": [{{"ethaddress": "{A}", "priceperunit": {price}, "pixelsperunit": {pixels}}}]}}'

    assert parse_gateways(text, "f") == {A: DeclaredPrice(Fraction(str(price)) / pixels)}


def test_parse__older_name_and_both_lists__the_last_price_counts() -> None:
    text = json.dumps(
        {
            "gateways": [{"ethaddress": A, "priceperunit": 2}],
            "broadcasters": [{"ethaddress": A, "priceperunit": 1}, {"EthAddress": B, "PricePerUnit": 3}],
        },
        indent="\t",
    )

    assert parse_gateways(text, "f") == {B: DeclaredPrice(Fraction(3)), A: DeclaredPrice(Fraction(2))}


def test_parse__price_in_ether__is_wei() -> None:
    text = json.dumps({"gateways": [{"ethaddress": A, "priceperunit": 1, "currency": "ETH", "pixelsperunit": 10**12}]})

    assert parse_gateways(text, "f") == {A: DeclaredPrice(Fraction(10**6))}


@pytest.mark.parametrize("text", ['{"gateways": []}', '{"gateways": null}', "{}"])
def test_parse__no_gateway__is_none(text: str) -> None:
    assert parse_gateways(text, "f") == {}


def test_parse__map_from_address_to_price__would_set_no_price_and_is_refused() -> None:
    (problem,) = told(f'{{\n  "{A}": 800\n}}')

    assert problem == (
        f"prices.json:2:3: a price by address is read by nobody: `{A}` would have no effect; "
        'write {"gateways": [{"ethaddress": "0x…", "priceperunit": 1200, "pixelsperunit": 1}]}'
    )


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ('"priceperunit": 1', "1:15: `ethaddress` must be a gateway's address, 0x and 40 hex digits"),
        (f'"ethaddress": "{A}"', "1:15: `priceperunit` must be a number"),
        (
            f'"ethaddress": "{A}", "priceperunit": "0.5USD"',
            "1:92: `priceperunit` must be a number; a price in dollars has `currency` beside it",
        ),
        (f'"ethaddress": "{A}", "priceperunit": -1', "1:92: `priceperunit` must not be negative"),
        (f'"ethaddress": "{A}", "priceperunit": 1e999999999', "1:92: `priceperunit` must be a number"),
        (f'"ethaddress": "{A}", "priceperunit": NaN', "1:92: `priceperunit` must be a number"),
        (
            f'"ethaddress": "{A}", "priceperunit": 1, "pixelsperunit": 0',
            "1:112: `pixelsperunit` must be a whole number above 0",
        ),
        (
            f'"ethaddress": "{A}", "priceperunit": 1, "currency": "EUR"',
            "1:107: unknown currency `EUR`; known: wei, eth, USD",
        ),
        (
            f'"ethaddress": "{A}", "priceperpixel": 1, "priceperunit": 1',
            "1:76: unknown key `priceperpixel`; did you mean `priceperunit`?",
        ),
    ],
)
def test_parse__wrong_entry__is_told_at_its_place(entry: str, problem: str) -> None:
    assert told(f'{{"gateways": [{{{entry}}}]}}') == [f"prices.json:{problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "1:2: not JSON: Expecting property name enclosed in double quotes"),
        ('{"gateways":\n [1,]}', "2:"),
        ("[]", "1:1: the file must be an object with the list `gateways`"),
        ('{"gateways": {}}', "1:14: `gateways` must be a list of gateways"),
        ('{"gateway": []}', "1:2: unknown key `gateway`; did you mean `gateways`?"),
        ("[" * 100_000, "1:1: not a price file: nested too deeply"),
        ('["]",' * 100_000, "1:1: not a price file: nested too deeply"),
        ('{"a":"' + "[" * 100, "1:1: not a price file: nested too deeply"),
    ],
)
def test_parse__wrong_file__is_told_at_its_place(text: str, problem: str) -> None:
    (found,) = told(text)
    assert found.startswith(f"prices.json:{problem}")


@given(st.text(max_size=40) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_parse__anything__is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SpecError):
        assert all(price.amount >= 0 for price in parse_gateways(text, "f").values())


def test_fleet__gateways_file__is_merged_by_layers_and_leaves_no_trace_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "gw.json").write_text(
        json.dumps({"gateways": [{"ethaddress": A, "priceperunit": 7}, {"ethaddress": B, "priceperunit": 8}]})
    )
    text = (
        HEAD
        + "defaults: {prices: {gateways_file: gw.json}}\nhosts:\n"
        + HOST
        + f", prices: {{gateways: {{'{A}': 1 gwei}}}}}}\n"
    )
    fleet = a_fleet(tmp_path, text)
    node = fleet.node("a")

    assert {address: str(price) for address, price in node.prices.gateways.items()} == {A: "1000000000", B: "8"}
    assert node.prices.gateways_file is None
    assert str(fleet.origins("a").of(("prices", "gateways", B))) == f"defaults ({tmp_path}/fleet.yaml:4:36)"
    assert "host a" in str(fleet.origins("a").of(("prices", "gateways", A)))
    (tmp_path / "node.yaml").write_text(to_yaml(node))
    assert load_node(tmp_path / "node.yaml") == node


def test_fleet__same_layer_says_both__what_it_says_itself_wins_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "gw.json").write_text(json.dumps({"gateways": [{"ethaddress": A, "priceperunit": 7}]}))
    prices = f"{{gateways_file: gw.json, gateways: {{'{A.lower()}': 5}}}}"

    node = a_fleet(tmp_path, f"{HEAD}hosts:\n{HOST}, prices: {prices}}}\n").node("a")

    assert {address: str(price) for address, price in node.prices.gateways.items()} == {A.lower(): "5"}


def test_fleet__gateways_file_missing_or_wrong__is_told_with_position(tmp_path: Path) -> None:
    text = f"{HEAD}hosts:\n{HOST}, prices: {{gateways_file: gw.json}}}}\n"

    (missing,) = problems(tmp_path, text)
    (tmp_path / "gw.json").write_text(f'{{"{A}": 800}}')
    (wrong,) = problems(tmp_path, text)

    assert missing.startswith("fleet.yaml:5:")
    assert missing.endswith("cannot be read: No such file or directory")
    assert wrong.startswith("gw.json:1:2: a price by address is read by nobody")


def test_load_node__gateways_file_beside_it__is_read(tmp_path: Path) -> None:
    (tmp_path / "gw.json").write_text(json.dumps({"gateways": [{"ethaddress": A, "priceperunit": 7}]}))
    (tmp_path / "node.yaml").write_text(
        "fleet: f\nname: n\nrole: monitor\nprices: {video: 1, gateways_file: gw.json}\n"
    )

    node = load_node(tmp_path / "node.yaml")

    assert node.prices.gateways == {A: DeclaredPrice(Fraction(7))}
