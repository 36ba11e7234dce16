"""The table of cards: every value has its source, and a card is found by what a host says of itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.drivers import family_of
from livefleet.media.ladder import parse_profile
from livefleet.spec import Card, Known, SpecError, card_of, card_problems, card_table, cards
from livefleet.spec.card_file import read_cards

pytestmark = pytest.mark.unit

SECOND_HAND = {"matrix-extract", "wikipedia-nvenc", "gpu-spec", "memory-list", "core-count-list", "handbrake-7061"}
A_TABLE = """\
sources:
  sheet: {title: A data sheet, url: "https://maker.example/sheet"}
session_cap: {value: 8, source: sheet}
suggestions: {ladder: {value: [], source: sheet}, models: []}
groups:
  old:
    architecture: {value: pascal, source: sheet}
    compute_capability: {value: "6.1", source: sheet}
    encoders: {value: 1, source: sheet}
cards:
  one:
    groups: [old]
    names: {value: [Card One], source: sheet}
    pci_ids: {value: ["1b80"], source: sheet}
    chips: {value: [GP104], source: sheet}
"""

some_card = st.sampled_from(cards())


def everything() -> Iterator[tuple[Card, str, Known[Any]]]:
    """Every known value of every card."""
    for card in cards():
        for name, known in card.facts().items():
            if known is not None:
                yield card, name, known


def test_table__every_value_and_every_doubt__names_a_source_that_there_is() -> None:
    table = card_table()
    for card, name, known in everything():
        where = f"{card.card}.{name}"
        for source in (*known.source, *(source for claim in known.disputed for source in claim.source)):
            assert table.sources[source].title, where
            assert table.sources[source].url.startswith("https://"), where
        assert known.source, where
        assert all(claim.value != known.value for claim in known.disputed), where


def test_table__architecture__is_what_the_driver_train_takes_its_pci_ids_for() -> None:
    for card in cards():
        for text in card.pci_ids.value:
            family = family_of(int(text, 16))
            assert family is not None, card.card
            assert family.name == card.architecture.value, card.card
            assert family.encoder is not card.has_no_encoder, card.card
            assert card.kernel_modules is not None, card.card
            assert family.open_modules is ("open" in card.kernel_modules.value), card.card
            assert family.proprietary_modules is ("proprietary" in card.kernel_modules.value), card.card


def test_table__sources_that_nothing_names__are_not_there() -> None:
    table = card_table()
    general = [table.session_cap, table.suggestions.ladder, *(model.memory_gib for model in table.suggestions.models)]
    facts = [known for _, _, known in everything()]
    named = {
        source
        for known in (*facts, *general)
        for source in (*known.source, *(source for claim in known.disputed for source in claim.source))
    }
    assert named == set(table.sources)


def test_table__second_hand_sources__say_so() -> None:
    sources = card_table().sources
    assert all(sources[name].note for name in SECOND_HAND | {"support-matrix", "nvenc-note-13-1"})


def test_table__names__are_each_of_one_card() -> None:
    table = card_table()
    assert sum(len(card.names.value) for card in cards()) == len(table.by_name)


def test_table__common_cards__are_there() -> None:
    wanted = "gtx-1060 gtx-1080-ti gtx-1650 gtx-1660-super titan-v titan-rtx rtx-2080-ti rtx-3060 rtx-3090 rtx-4060"
    wanted += " rtx-4090 rtx-5060 rtx-5090 t4 l4 l40s a2 a10 a16 a40 a100 a4000 a6000 h100"
    assert set(wanted.split()) <= set(card_table().cards)


def test_session_cap__sources_disagree__the_smaller_counts_and_both_are_told() -> None:
    cap = card_table().session_cap
    assert cap.value < min(claim.value for claim in cap.disputed)
    assert {"nvenc-note-13-0"} == set(cap.source)


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("NVIDIA GeForce RTX 3060", "rtx-3060"),
        ("GeForce RTX 3060", "rtx-3060"),
        ("GeForce GTX 1060 6GB", "gtx-1060"),
        ("NVIDIA GeForce RTX 3060 Ti", "rtx-3060-ti"),
        ("Tesla T4", "t4"),
        ("Tesla V100-SXM2-16GB", "v100"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA A100 80GB PCIe", "a100"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA RTX A4000", "a4000"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA TITAN V", "titan-v"),
        ("NVIDIA GeForce RTX 3060 Laptop GPU", None),
        ("NVIDIA GeForce RTX 9090", None),
        ("NVIDIA", None),
        ("", None),
    ],
)
def test_card_of__name_as_nvml_says_it__is_found_or_unknown(name: str, card: str | None) -> None:
    found = card_of(name)
    assert (None if found is None else found.card) == card


@pytest.mark.parametrize(
    ("device", "card"), [(0x1C03, "gtx-1060"), (0x1EB8, "t4"), (0x2B85, "rtx-5090"), (0x25B6, None), (0x1180, None)]
)
def test_card_of__pci_device_id__is_found_unless_several_have_it(device: int, card: str | None) -> None:
    found = card_of(device)
    assert (None if found is None else found.card) == card


@given(some_card, st.data())
def test_card_of__known_name_in_any_clothes__is_that_card(card: Card, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(card.names.value))
    prefix = data.draw(st.sampled_from(["", "NVIDIA ", "nvidia  ", " Nvidia ", "NVIDIA(R) "]))
    dressed = data.draw(st.sampled_from([str.upper, str.lower, str.title]))(name)
    blank = data.draw(st.sampled_from([" ", "  ", "-", "_", "\t"]))
    assert card_of(f"{prefix}{dressed.replace(' ', blank)} ") == card


@given(st.text() | st.integers())
def test_card_of__anything_at_all__is_a_card_or_nothing(seen: str | int) -> None:
    assert card_of(seen) is None or card_of(seen) in cards()


def test_card_problems__the_declared_card__is_none() -> None:
    assert card_problems(["rtx-3060"], ["NVIDIA GeForce RTX 3060", 0x2487]) == ()
    assert card_problems(["a2"], [0x25B6]) == ()  # an A16 has the same
    assert card_problems([], ["NVIDIA GeForce RTX 3060"]) == ()


def test_card_problems__another_card__says_both_and_what_to_do() -> None:
    (text,) = card_problems(["rtx-3060"], ["NVIDIA GeForce GTX 1660 Ti", 0x2182, "NVIDIA GeForce RTX 3060"])
    assert "the host has 2 GeForce GTX 1660 Ti, and GeForce RTX 3060 is declared" in text
    assert "`cards: [gtx-1660-ti, rtx-3060]`" in text


def test_card_problems__no_card_at_all__is_told() -> None:
    (text,) = card_problems(["t4", "l4"], [])
    assert "no NVIDIA card, and Tesla T4 or L4 is declared" in text
    assert "lspci -d 10de:" in text


@given(st.lists(st.text(max_size=8) | st.integers(0, 0x1000), min_size=1, max_size=4))
def test_card_problems__cards_that_nobody_knows__are_passed_over(present: list[str | int]) -> None:
    assert card_problems(["rtx-3060"], present) == ()


@given(st.lists(some_card, min_size=1, max_size=3), st.lists(some_card, min_size=1, max_size=4))
def test_card_problems__any_cards__are_wrong_exactly_when_one_is_not_declared(
    declared: list[Card], present: list[Card]
) -> None:
    told = card_problems([card.card for card in declared], [card.names.value[0] for card in present])
    assert bool(told) is any(card not in declared for card in present)


def test_suggestions__ladder__is_one_that_bench_takes() -> None:
    assert [parse_profile(text).height for text in card_table().suggestions.ladder.value] == [240, 360, 480, 720]


def test_suggestions__gtx_unknown_memory_or_no_encoder__get_none_of_what_they_cannot_do() -> None:
    table = card_table()
    say = table.suggestions
    assert say.models_for(table.cards["gtx-1080-ti"]) == ()
    assert say.models_for(table.cards["p4"]) == ()  # its memory is unknown
    assert say.ladder_for(table.cards["h100"]) == ()
    assert say.ladder_for(table.cards["gtx-1060"])


def test_suggestions__models__fit_into_the_smallest_variant() -> None:
    table = card_table()
    for card in cards():
        for model in table.suggestions.models_for(card):
            assert card.memory_gib is not None
            assert model.memory_gib.value <= min(card.memory_gib.value)
    assert len(table.suggestions.models_for(table.cards["rtx-4090"])) == len(table.suggestions.models)


def a_table(folder: Path, change: tuple[str, str] = ("", "")) -> Path:
    path = folder / "cards.yaml"
    path.write_text(A_TABLE.replace(*change) if change[0] else A_TABLE)
    return path


def test_read_cards__groups__are_under_the_cards_own_values(tmp_path: Path) -> None:
    own = ("    chips: {value: [GP104]", "    encoders: {value: 2, source: sheet}\n    chips: {value: [GP104]")
    assert read_cards(a_table(tmp_path)).cards["one"].encoders == read_cards(a_table(tmp_path)).session_cap.model_copy(
        update={"value": 1}
    )
    found = read_cards(a_table(tmp_path, own)).cards["one"]
    assert found.encoders is not None
    assert found.encoders.value == 2
    assert found.decoders is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("    chips: {value: [GP104], source: sheet}", "    chips: {value: [GP104]}"),
            "15:5: `source` is missing in `chips`",
        ),
        (("[GP104], source: sheet", "[GP104], source: shet"), "15:37: no source `shet`; did you mean `sheet`?"),
        (("[GP104], source: sheet", "[GP104], source: []"), "15:37: `source`"),
        (("encoders: {value: 1", "encoders: {value: one"), "`value`"),
        (("groups: [old]", "groups: [odl]"), "12:14: no group `odl`; did you mean `old`?"),
        (("chips:", "chpis:"), "15:5: unknown key `chpis`; did you mean `chips`?"),
        (('["1b80"]', "[1e84]"), "14:23: `value[0]` must be text"),
        (("value: pascal", "value: pasacl"), "did you mean `pascal`?"),
    ],
)
def test_read_cards__mistake__is_told_with_its_place(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_cards(a_table(tmp_path, change))
    assert words in str(caught.value)
