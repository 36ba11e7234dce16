"""Firewall, machine and the place of secrets, as an operator writes them."""

from pathlib import Path

import pytest

from livefleet.spec import Fleet, SpecError, fleet_schema, load_fleet, to_yaml

pytestmark = pytest.mark.unit

TEXT = """\
name: f
network: offchain
{top}
hosts:
  a:
    address: 10.0.0.1
    role: orchestrator
    orchestrator: {{service_uri: "https://10.0.0.1:8935"}}
    {host}
"""


def a_fleet(folder: Path, host: str = "", top: str = "") -> Fleet:
    path = folder / "fleet.yaml"
    path.write_text(TEXT.format(host=host, top=top))
    return load_fleet(path)


def test_unsaid__no_firewall_and_a_looked_after_machine(tmp_path: Path) -> None:
    settings = a_fleet(tmp_path).host("a")
    assert (settings.firewall.mode, settings.machine.mode, settings.machine.journal_max) == ("none", "managed", 1 << 30)


@pytest.mark.parametrize("text", ["firewall: managed", "firewall: {mode: managed}"])
def test_firewall__one_word__is_its_mode(tmp_path: Path, text: str) -> None:
    assert a_fleet(tmp_path, text).host("a").firewall.mode == "managed"


def test_firewall__layers__are_merged(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path, "firewall: {monitors: [10.0.0.5]}", "defaults: {firewall: managed, machine: none}")
    settings = fleet.host("a")
    assert (settings.firewall.mode, settings.firewall.monitors) == ("managed", ("10.0.0.5/32",))
    assert settings.machine.mode == "none"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("firewall: open", "known: managed, none"),
        ("firewall: {mode: managed, monitors: [prometheus]}", "is no address and no network"),
        ("firewall: {ports: [{port: 70000}]}", "65535"),
        ("firewall: {port: 9100}", "port"),
        ("machine: {journal_max: much}", "no amount of memory"),
        ("service: {secrets: vault}", "state"),
    ],
)
def test_safety__wrong__is_told_at_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SpecError) as failed:
        a_fleet(tmp_path, text)
    assert [problem.line for problem in failed.value.problems] == [9]
    assert words in str(failed.value)


def test_node__is_not_told_of_its_firewall__and_of_its_secrets_place_only_where_it_is_another(tmp_path: Path) -> None:
    text = to_yaml(a_fleet(tmp_path, "firewall: managed").node("a"))
    assert "firewall" not in text
    assert "secrets: state" not in text
    assert "secrets: tmpfs" in to_yaml(a_fleet(tmp_path, "service: {secrets: tmpfs}").node("a"))


def test_schema__knows_the_short_forms() -> None:
    definitions = fleet_schema()["$defs"]
    assert definitions["FirewallSettings"]["anyOf"][1]["enum"] == ["none", "managed"]
    assert definitions["MachineSettings"]["anyOf"][1]["enum"] == ["managed", "none"]
