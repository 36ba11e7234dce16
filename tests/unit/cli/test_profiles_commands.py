"""`livefleet profiles`, and what `validate` and `init` say of profiles and cards."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from livefleet.cli import main
from livefleet.spec import card_table, profile_names

pytestmark = pytest.mark.unit

HOST = "role: worker, worker: {orchestrator: 'o.test:8935', secret: pool}"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["profiles", *arguments])


def shown(*arguments: str) -> dict[str, Any]:
    result = run("show", "--json", *arguments)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def own(folder: Path, **profiles: str) -> str:
    (folder / "profiles").mkdir()
    for name, text in profiles.items():
        (folder / "profiles" / f"{name}.yaml").write_text(text)
    return str(folder / "fleet.yaml")


def test_list__what_comes_with_livefleet__is_a_line_each() -> None:
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == len(profile_names()) + 1
    assert lines[0].split() == ["PROFILE", "BUILDS", "ON", "WHAT", "IT", "IS", "FOR"]
    assert any(line.split()[:5] == ["gtx-1060", "nvidia-pascal", "GeForce", "GTX", "1060"] for line in lines)
    assert not any(line.startswith("cards ") for line in lines)


def test_list__json__says_cards_and_roles() -> None:
    rows = {row["profile"]: row for row in json.loads(run("list", "--json").stdout)["profiles"]}
    assert rows["t4"]["cards"] == ["t4"]
    assert rows["t4"]["extends"] == ["nvidia-video"]
    assert (rows["solo"]["role"], rows["t4"]["role"]) == ("orchestrator", None)


def test_list__own_profiles__are_there_too_and_a_wrong_one_hides_no_other(tmp_path: Path) -> None:
    fleet = own(tmp_path, mine="description: Ours.\nextends: rtx-3060\n", wrong="extends: nobody\n")
    result = run("list", "--fleet", fleet, "--json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert {"mine", "t4"} <= {row["profile"] for row in document["profiles"]}
    (problem,) = document["problems"]
    assert problem.startswith(f"{tmp_path}/profiles/wrong.yaml:1:10: no profile `nobody`")


def test_show__card__has_values_with_places_and_facts_with_sources() -> None:
    result = run("show", "rtx-4070")
    assert result.exit_code == 0
    text = result.stdout
    assert text.startswith("rtx-4070: GeForce RTX 4070 (Ada, 12 GiB).\nbuilds on nvidia-turing\n")
    assert "profile rtx-4070 (" in text
    assert "profiles/nvidia-turing.yaml:" in text
    assert "encoders (NVENC)      1 [handbrake-7061; not in the list of those with two]" in text
    assert "disputed: 2 [nvenc-note-13-0; AD104, by its chip]" in text
    assert "unknown, for want of a source: decoders (NVDEC), memory with ECC" in text
    assert "gives 8 encoder sessions to all such cards of a host together [nvenc-note-13-0]; disputed: 12" in text
    assert "suggested models, each by itself" in text
    assert "https://github.com/HandBrake/HandBrake/issues/7061" in text


def test_show__every_card__names_the_url_of_every_source_that_it_names() -> None:
    for name in card_table().cards:
        (card,) = shown(name)["cards"]
        facts = list(card["facts"].values()) + [model["memory_gib"] for model in card["suggestions"]["models"]]
        facts += [card["session_cap"]] if card["session_cap"] else []
        named = {source for fact in facts for one in (fact, *fact["disputed"]) for source in one["source"]}
        assert named <= set(card["sources"]), name
        assert all(source["url"] for source in card["sources"].values())
        assert set(card["facts"]) | set(card["unknown"]) >= {"encoders", "decoders", "memory_gib"}


def test_show__name_as_nvml_says_it__is_the_cards_profile() -> None:
    assert shown("NVIDIA GeForce GTX 1080 Ti")["profile"] == "gtx-1080-ti"


def test_show__gtx__suggests_no_model_and_says_why() -> None:
    assert shown("gtx-1080-ti")["cards"][0]["suggestions"]["models"] == []
    assert "no models are suggested: a GTX has no tensor cores" in run("show", "gtx-1080-ti").stdout


def test_show__role__is_values_alone() -> None:
    document = shown("pool-worker")
    assert document["cards"] == []
    said = {value["path"]: value["value"] for value in document["values"]}
    assert (said["role"], said["network.name"], said["duties.reward"]) == ("worker", "offchain", None)
    assert "sources" not in run("show", "pool-worker").stdout


def test_show__own_profile_over_livefleets__has_places_in_both(tmp_path: Path) -> None:
    fleet = own(tmp_path, **{"rtx-3060": "extends: rtx-3060\nduties: {transcoding: {max_sessions: 1}}\n"})
    document = shown("rtx-3060", "--fleet", fleet)
    files = {value["path"]: value["file"] for value in document["values"]}
    assert files["duties.transcoding.max_sessions"] == f"{tmp_path}/profiles/rtx-3060.yaml"
    assert files["cards.0"].endswith("profiles/rtx-3060.yaml")
    assert files["cards.0"] != files["duties.transcoding.max_sessions"]


def test_show__unknown_name__says_which_is_meant_and_ends_with_2() -> None:
    result = run("show", "rtx-306")
    assert result.exit_code == 2
    assert "no profile `rtx-306`; did you mean `rtx-3060`?" in result.output


def test_validate__too_many_streams_for_the_card__is_a_warning_and_right_all_the_same(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "name: f\nnetwork: offchain\nsecrets: {pool: {env: HOME}}\nhosts:\n"
        f"  a: {{address: x, profile: rtx-3060, {HOST}, duties: {{transcoding: {{max_sessions: 9}}}}}}\n"
    )
    result = CliRunner().invoke(main, ["validate", str(fleet), "--json"])
    assert result.exit_code == 0
    (warning,) = json.loads(result.stdout)["warnings"]
    assert (warning["line"], warning["path"]) == (5, "duties.transcoding.max_sessions")
    assert "want 27 encoder sessions" in warning["message"]


def test_render__explain__names_each_profile_that_a_value_came_from(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "name: f\nnetwork: offchain\nsecrets: {pool: {env: HOME}}\nhosts:\n"
        "  a: {address: x, profile: [pool-worker, t4], worker: {orchestrator: 'o.test:8935', secret: pool}}\n"
    )
    result = CliRunner().invoke(main, ["render", "a", "--fleet", str(fleet), "--explain", "--json"])
    layers = {row["path"]: row["layer"] for row in json.loads(result.stdout)["origins"]}
    assert layers["role"] == "profile pool-worker"
    assert layers["cards.0"] == "profile t4"
    assert layers["driver.flavour"] == "profile nvidia-video"
    assert layers["profile"] == "host a"
