"""Profiles: what comes with livefleet, what one builds on another, and several on one host."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import BadInput
from livefleet.spec import (
    NodeSpec,
    ProfileLayer,
    Role,
    SpecError,
    card_table,
    cards,
    load_fleet,
    load_profile,
    own_profiles,
    profile_names,
    resolve_profile,
)
from livefleet.spec.document import Document, parse_document, read_document
from livefleet.spec.profile import Origin, ProfileFile, ProfileFolders
from livefleet.spec.profile_chains import ProfileChains
from tests.builders.spec import HEAD, a_fleet, problems

pytestmark = pytest.mark.unit

ROLES = {
    "solo": Role.ORCHESTRATOR,
    "dual-mode": Role.ORCHESTRATOR,
    "split-orchestrator": Role.ORCHESTRATOR,
    "split-worker": Role.WORKER,
    "pool-worker": Role.WORKER,
    "ai-worker": Role.WORKER,
    "keykeeper": Role.KEYKEEPER,
    "redeemer": Role.REDEEMER,
    "monitor": Role.MONITOR,
}
HARDWARE = {"cpu", "nvidia-pascal", "nvidia-turing", "nvidia-video", "nvidia-compute", "nvidia-blackwell"}
WORKER = "role: worker, worker: {orchestrator: 'o.example.com:8935', secret: pool}"


class InMemory(ProfileFile):
    """A profile that extends others, and has no file."""

    __slots__ = ("bases",)
    bases: list[str]

    def read(self) -> Document:
        return parse_document(f"extends: [{', '.join(self.bases)}]\n", f"{self.name}.yaml")


class Web(ProfileFolders):
    """Profiles by name, with what each extends."""

    def __init__(self, web: dict[str, list[str]]) -> None:
        super().__init__([])
        self._web = web

    def find(self, name: str, *, behind: int = -1) -> ProfileFile | None:
        if name not in self._web or behind >= 0:
            return None
        found = InMemory(name, 0, Path(name))
        object.__setattr__(found, "bases", self._web[name])
        return found


def a_host(profile: str, more: str = "") -> str:
    return f"{HEAD}hosts:\n  a: {{address: x, profile: {profile}, {WORKER}{more}}}\n"


def problems_of(folder: Path, name: str, **profiles: str) -> list[str]:
    (folder / "profiles").mkdir(exist_ok=True)
    for profile, text in profiles.items():
        (folder / "profiles" / f"{profile}.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        resolve_profile(name, [folder / "profiles"])
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


# -- those that come with livefleet


def test_profiles__names__are_the_cards_families_and_roles() -> None:
    assert set(profile_names()) == {card.card for card in cards()} | set(ROLES) | HARDWARE


def test_profiles__every_file__is_described_and_says_where_its_values_are_from() -> None:
    for name in profile_names():
        path = own_profiles() / f"{name}.yaml"
        assert load_profile(path).description, name
        assert "# Source: " in path.read_text(), name
        assert max(map(len, path.read_text().splitlines())) <= 121, name


def test_profiles__every_card__has_its_own_on_top_of_its_family() -> None:
    for card in cards():
        found = resolve_profile(card.card)
        driver = found.layer.driver
        assert found.layer.cards == (card.card,)
        assert found.chain[1:], card.card
        assert set(found.chain[1:]) <= HARDWARE
        assert driver is not None
        assert card.architecture.value in driver.families, card.card
        assert card.kernel_modules is not None
        assert driver.flavour in card.kernel_modules.value, card.card
        duties = found.data.get("duties", {})
        assert ("transcoding" in duties and duties["transcoding"] is None) is card.has_no_encoder, card.card


def test_profiles__cards_that_the_driver_counts__take_no_more_streams_than_sessions_allow() -> None:
    cap = card_table().session_cap.value
    for card in cards():
        duty = resolve_profile(card.card).data.get("duties", {}).get("transcoding") or {}
        is_counted = card.encoder_sessions is None or card.encoder_sessions.value == "shared"
        if is_counted and not card.has_no_encoder:
            assert duty["max_sessions"] * 3 <= cap, card.card


def test_profiles__roles__say_their_role_and_fit_each_card() -> None:
    for name, role in ROLES.items():
        found = resolve_profile(name).layer
        assert found.role is role
        assert found.models is None, "models are for operators to choose"


def test_profiles__no_profile__turns_a_model_on() -> None:
    assert all(resolve_profile(name).layer.models is None for name in profile_names())


def test_profiles__table_of_cards__is_there_to_be_read_and_is_no_profile() -> None:
    assert (own_profiles() / "cards.yaml").read_text().startswith("# What is known of NVIDIA's cards.")
    with pytest.raises(BadInput, match="no profile `cards`"):
        resolve_profile("cards")


def test_readme__tables__name_profiles_that_there_are_and_all_that_others_build_on() -> None:
    text = (own_profiles() / "README.md").read_text()
    rows = text[text.index("| what hosts do") : text.index("## How values are merged")].splitlines()
    cells = [cell for row in rows if row.startswith("|") for cell in row.split("|")[1:3]]
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)} - {"models"}
    assert named <= set(profile_names())
    assert named >= set(ROLES) | HARDWARE


# -- building on another


def test_extends__values__are_the_own_ones_over_those_below_and_each_keeps_its_place(tmp_path: Path) -> None:
    fleet = a_fleet(
        tmp_path,
        a_host("top"),
        top="extends: middle\ndriver: {branch: 580}\n",
        middle="extends: base\ndriver: {branch: 570, flavour: open}\n",
        base="gpus: all\ndriver: {branch: 550, flavour: proprietary, container_toolkit: true}\n",
    )
    driver = fleet.node("a").driver
    assert (driver.branch, driver.flavour, driver.container_toolkit) == (580, "open", True)
    origins = fleet.origins("a")
    said = {
        path: (origin.layer, Path(origin.file).name, origin.line)
        for path, _, origin in origins.leaves(fleet.node("a").model_dump(mode="json"))
        if origin is not None
    }
    assert said[("driver", "branch")] == ("profile top", "top.yaml", 2)
    assert said[("driver", "flavour")] == ("profile middle", "middle.yaml", 2)
    assert said[("driver", "container_toolkit")] == ("profile base", "base.yaml", 2)
    assert said[("gpus",)] == ("profile base", "base.yaml", 1)
    assert fleet.node("a").profile == "top"


def test_extends__duties__follow_the_rules_of_layers(tmp_path: Path) -> None:
    fleet = a_fleet(
        tmp_path,
        a_host("top"),
        top="extends: base\nduties: [transcoding]\n",
        base="duties: {transcoding: {max_sessions: 3}, ai: {}}\n",
    )
    duties = fleet.node("a").duties
    assert duties.transcoding is not None
    assert duties.transcoding.max_sessions == 3
    assert duties.ai is None


def test_extends__several__the_later_wins_and_what_both_build_on_lies_below_both(tmp_path: Path) -> None:
    fleet = a_fleet(
        tmp_path,
        a_host("top"),
        top="extends: [first, second]\n",
        first="extends: base\ndriver: {branch: 570, flavour: open}\n",
        second="extends: base\ndriver: {branch: 580}\n",
        base="driver: {branch: 550, flavour: proprietary}\n",
    )
    driver = fleet.node("a").driver
    assert (driver.branch, driver.flavour) == (580, "open")


def test_extends__own_profile_of_the_same_name__builds_on_the_one_that_comes_with_livefleet(tmp_path: Path) -> None:
    own = tmp_path / "profiles"
    own.mkdir()
    (own / "rtx-3060.yaml").write_text("extends: rtx-3060\nduties: {transcoding: {max_sessions: 1}}\n")
    found = resolve_profile("rtx-3060", [own, own_profiles()])
    assert found.chain == ("rtx-3060", "rtx-3060", "nvidia-turing")
    assert found.data["duties"] == {"transcoding": {"max_sessions": 1}}
    assert found.layer.cards == ("rtx-3060",)
    assert found.layer.description is None  # a description is of one file


@pytest.mark.parametrize(
    ("profiles", "told"),
    [
        (
            {"a": "extends: b\n", "b": "gpus: all\nextends: a\n"},
            "profiles/b.yaml:2:10: `extends: a` goes in a circle: a > b > a; take it away here or there",
        ),
        (
            {"a": "extends: [c, b]\n", "b": "extends: c\n", "c": "extends: [b]\n"},
            "profiles/b.yaml:1:10: `extends: c` goes in a circle: a > c > b > c; take it away here or there",
        ),
        (
            {"a": "gpus: all\nextends: a\n"},
            "profiles/a.yaml:2:10: no profile `a` besides this one; write profiles/a.yaml beside the fleet file",
        ),
        ({"a": "extends: nvidia\n", "nvidia-x": ""}, "profiles/a.yaml:1:10: no profile `nvidia`; did you mean"),
        ({"a": "extends: [b, q]\n", "b": "gpus: all\n"}, "profiles/a.yaml:1:14: no profile `q`; known: a, b"),
        ({"a": "extends: ../b\n"}, "profiles/a.yaml:1:10: `extends`"),
        ({"a": "extends: b\n", "b": "gpus: [\n"}, "profiles/b.yaml:2:1: not YAML"),
        ({"a": "extends: b\n", "b": "driver: {brnch: 580}\n"}, "profiles/b.yaml:1:10: unknown key `brnch`"),
        ({"a": "extends: 3\n"}, "profiles/a.yaml:1:10: `extends`"),
        ({"a": "extends: b\n", "b": "- x\n"}, "profiles/b.yaml:1:1:"),
    ],
)
def test_extends__mistake__is_told_with_its_place(tmp_path: Path, profiles: dict[str, str], told: str) -> None:
    found = problems_of(tmp_path, "a", **profiles)
    assert any(problem.startswith(told) for problem in found), found


def test_extends__circle_in_a_fleet__is_told_once_for_all_hosts(tmp_path: Path) -> None:
    hosts = "".join(f"  h{n}: {{address: x{n}, profile: a, {WORKER}}}\n" for n in range(9))
    found = problems(tmp_path, f"{HEAD}hosts:\n{hosts}", a="extends: b\n", b="extends: a\n")
    assert found == ["profiles/b.yaml:1:10: `extends: a` goes in a circle: a > b > a; take it away here or there"]


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from("abcd"), max_size=3), min_size=4))
def test_extends__any_web_of_profiles__ends_in_layers_or_in_words(web: dict[str, list[str]]) -> None:
    chains = ProfileChains(Web(web), lambda _, document: (document.data, ()))
    layers = chains.layers([("a", Origin("host x", "fleet.yaml", 1, 1))])
    names = [layer.name.removeprefix("profile ") for layer in layers]
    assert names[0] == "a"
    assert len(set(names)) == len(names)
    if not chains.problems:
        for above, name in enumerate(names):
            assert all(names.index(base) > above for base in web[name])


# -- several on one host


def test_profile__list__is_role_and_card_together(tmp_path: Path) -> None:
    fleet = a_fleet(
        tmp_path,
        a_host("[some-role, some-card]"),
        **{
            "some-role": "duties: {transcoding: true, ai: false}\ngpus: none\n",
            "some-card": "extends: family\ngpus: all\n",
            "family": "duties: {transcoding: {max_sessions: 2}}\n",
        },
    )
    node = fleet.node("a")
    assert node.profile == "some-role + some-card"
    assert node.gpus == "all"
    assert node.duties.transcoding is not None
    assert node.duties.transcoding.max_sessions == 2
    assert fleet.host("a").profile == "some-role + some-card"


def test_profile__list_of_what_comes_with_livefleet__is_a_whole_host(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    for card in cards():
        path.write_text(
            f"{HEAD}hosts:\n  a: {{address: x, profile: [pool-worker, {card.card}],"
            " worker: {orchestrator: 'o.example.com:8935', secret: pool}}\n"
        )
        node = load_fleet(path).node("a")
        assert node.cards == (card.card,)
        assert (node.duties.transcoding is None) is card.has_no_encoder


def test_profile__name_in_a_list_is_unknown__is_told_at_it(tmp_path: Path) -> None:
    assert problems(
        tmp_path, a_host("[some-role, some-crad]"), **{"some-role": "gpus: none\n", "some-card": "gpus: all\n"}
    ) == ["fleet.yaml:5:40: no profile `some-crad`; did you mean `some-card`?"]


@pytest.mark.parametrize("profile", ["{a: b}", "[[a]]", "3", "[3]"])
def test_profile__neither_name_nor_names__is_told(tmp_path: Path, profile: str) -> None:
    assert any("profile" in problem for problem in problems(tmp_path, a_host(profile)))


def test_cards__unset__are_not_written_and_change_no_digest() -> None:
    node = NodeSpec.model_validate({"fleet": "f", "name": "n", "role": "monitor"})
    assert "cards" not in node.model_dump(mode="json")


def test_resolve__unknown_name__says_which_is_meant() -> None:
    with pytest.raises(BadInput, match="no profile `rtx-306`; did you mean `rtx-3060`"):
        resolve_profile("rtx-306")


def test_load_profile__table_shape__every_field_is_of_the_layer() -> None:
    for name in profile_names():
        said = read_document(own_profiles() / f"{name}.yaml").data
        assert set(said) <= set(ProfileLayer.model_fields), name
