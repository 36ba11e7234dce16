"""A host with other cards than its profile is for: found before anything is touched. Facts in, words out."""

from typing import Any

import pytest

from deploys.facts import Observed
from deploys.steps import driver_problems
from livefleet.spec import cards, resolve_profile
from tests.builders.deploys import a_host, a_node

pytestmark = pytest.mark.unit

GTX_1060, GTX_1660_TI, RTX_3060, RTX_3090, T4, A2_OR_A16, LAPTOP = (
    0x1C03,
    0x2182,
    0x2487,
    0x2204,
    0x1EB8,
    0x25B6,
    0x2520,
)
NAMES = {RTX_3060: "NVIDIA GeForce RTX 3060", RTX_3090: "NVIDIA GeForce RTX 3090"}
A, B = "GPU-aaaaaaaa-0000", "GPU-bbbbbbbb-0000"


def with_cards(*devices: int, seen: tuple[tuple[str, str], ...] = ()) -> Observed:
    return a_host(nvidia_pci=devices, nvidia_gpus=seen)


def told(facts: Observed, profile: str | None = "rtx-3060", **fields: Any) -> list[str]:
    """What keeps the host from being touched, with a profile that comes with livefleet."""
    if profile is not None:
        layer = resolve_profile(profile).layer
        fields = {"cards": layer.cards, "driver": layer.driver, "profile": profile, **fields}
    return [problem for problem in driver_problems(a_node(**fields), facts) if "declared" in problem]


def test_preflight__other_card_of_the_same_family__is_refused_with_the_fix() -> None:
    (problem,) = told(with_cards(RTX_3090))
    assert problem == (
        "the host has GeForce RTX 3090, and GeForce RTX 3060 is declared: give the host the profile of its cards, or"
        " declare them: `cards: [rtx-3090]`"
    )


def test_preflight__other_family__is_told_as_the_card_that_it_is_and_once() -> None:
    problems = driver_problems(
        a_node(cards=["rtx-3060"], driver={"families": ["turing", "ampere", "ada"]}), with_cards(GTX_1060)
    )
    assert sum("the host has" in problem for problem in problems) == 1
    assert "the host has GeForce GTX 1060, and GeForce RTX 3060 is declared" in problems[0]


def test_preflight__one_card_of_several_is_wrong__is_refused() -> None:
    (problem,) = told(with_cards(RTX_3060, GTX_1660_TI, GTX_1660_TI))
    assert "the host has 2 GeForce GTX 1660 Ti" in problem
    assert "`cards: [rtx-3060, gtx-1660-ti]`" in problem


def test_preflight__no_card_at_all__is_refused() -> None:
    (problem,) = told(with_cards())
    assert "the host has no NVIDIA card, and GeForce RTX 3060 is declared" in problem


@pytest.mark.parametrize(
    ("facts", "fields"),
    [
        (with_cards(RTX_3060, RTX_3060), {}),
        (with_cards(LAPTOP), {}),  # not in the table: nobody can say that it is another
        (with_cards(RTX_3090), {"gpus": "none"}),
        (with_cards(), {"gpus": "none"}),
        (with_cards(RTX_3090), {"cards": []}),
        (with_cards(RTX_3090, RTX_3060), {"cards": ["rtx-3060", "rtx-3090"]}),
        (with_cards(A2_OR_A16), {"cards": ["a16"]}),
        (with_cards(A2_OR_A16), {"cards": ["a2"]}),
    ],
)
def test_preflight__right_or_unknown_cards__pass(facts: Observed, fields: dict[str, Any]) -> None:
    assert told(facts, **fields) == []


def test_preflight__somebody_elses_card_beside_the_nodes_own__is_not_looked_at() -> None:
    facts = with_cards(RTX_3060, RTX_3090, seen=((A, NAMES[RTX_3060]), (B, NAMES[RTX_3090])))
    assert told(facts, gpus=[A]) == []
    (problem,) = told(facts, gpus=[B])
    assert "the host has GeForce RTX 3090" in problem


def test_preflight__names_of_the_driver__tell_apart_what_shares_a_pci_id() -> None:
    facts = with_cards(A2_OR_A16, seen=((A, "NVIDIA A2"),))
    assert told(facts, None, cards=["a2"]) == []
    (problem,) = told(facts, None, cards=["a16"])
    assert "the host has A2, and A16 is declared" in problem


def test_preflight__driver_is_somebody_elses_business__the_card_is_looked_at_all_the_same() -> None:
    assert told(with_cards(RTX_3090), driver={"install": False})


def test_preflight__every_card_on_its_own_profile__passes() -> None:
    for card in cards():
        for text in card.pci_ids.value:
            assert told(with_cards(int(text, 16)), card.card) == [], (card.card, text)
