"""Setups as they are found: each becomes the fleet file and the report that lie beside it."""

from collections import Counter
from pathlib import Path

import pytest

from livefleet.control.importer import Given, Imported, Outcome, Wishes, import_nodes
from livefleet.spec import load_fleet
from tests.builders.setups import FOLDER, SETUPS, golden_fleet, golden_report, import_setup, report_text

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def all_imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Imported]:
    return {name: import_setup(name, tmp_path_factory.mktemp(name)) for name in SETUPS}


@pytest.mark.parametrize("name", SETUPS)
def test_setup__imported__becomes_the_expected_fleet_and_report(name: str, all_imported: dict[str, Imported]) -> None:
    imported = all_imported[name]

    assert imported.fleet == golden_fleet(name)
    assert report_text(imported) == golden_report(name)


@pytest.mark.parametrize("name", [name for name in SETUPS if golden_fleet(name)])
def test_expected_fleet__is_valid(name: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(golden_fleet(name))

    fleet = load_fleet(tmp_path / "fleet.yaml")

    assert fleet.hosts


@pytest.mark.parametrize("name", SETUPS)
def test_setup__secrets_in_plain_text__are_in_neither_fleet_nor_report(
    name: str, all_imported: dict[str, Imported]
) -> None:
    imported = all_imported[name]

    for secret in imported.secrets.values():
        assert secret not in imported.fleet
        assert secret not in report_text(imported)
        assert secret not in repr(imported)


@pytest.mark.parametrize("name", SETUPS)
def test_setup__every_flag__has_one_fate(name: str, all_imported: dict[str, Imported]) -> None:
    imported = all_imported[name]
    fates = Counter(
        (each.process, each.subject, each.spot) for each in imported.report.findings if each.outcome.is_fate
    )

    assert max(fates.values(), default=1) == 1


def test_setups__together__hold_every_secret_that_is_to_be_found(all_imported: dict[str, Imported]) -> None:
    found = {secret for imported in all_imported.values() for secret in imported.secrets.values()}

    assert found == {
        "s3cr3t-in-the-open",
        "also-in-the-open",
        "correct-horse-battery",
        "swordfish-in-the-open",
        "runner-token-in-the-open",
        "https://hooks.example.org/ask?key=0123456789abcdef",
        "sup3r/secret",
    }


def test_setups__every_outcome__is_met(all_imported: dict[str, Imported]) -> None:
    met = {each.outcome for imported in all_imported.values() for each in imported.report.findings}

    assert met == set(Outcome)


def test_one_machine__split__is_a_host_for_each_process(tmp_path: Path) -> None:
    folder = FOLDER / "25-one-machine"
    text = (folder / "docker-compose.yml").read_text()

    imported = import_nodes([Given("docker-compose.yml", text, folder)], Wishes(split=True))
    (tmp_path / "fleet.yaml").write_text(imported.fleet)
    fleet = load_fleet(tmp_path / "fleet.yaml")

    assert imported.hosts == ("orchestrator", "transcoder-0", "transcoder-1", "ai")
    worker = fleet.node("transcoder-1").worker
    assert worker is not None
    assert worker.orchestrator == "all.example.org:8935"  # not the name that only containers know
    assert fleet.node("orchestrator").models[0].device == "workers"
