"""What a monitor knows of the fleet, whom firewalls let in for it, and what is refused."""

from pathlib import Path

import pytest

from livefleet.spec import MonitoredHost, Role, load_node, node_digest, to_yaml
from tests.builders.monitored import FLEET
from tests.builders.spec import a_fleet, problems

pytestmark = pytest.mark.unit


def known(folder: Path, text: str = FLEET) -> dict[str, MonitoredHost]:
    monitor = a_fleet(folder, text).node("mon").monitor
    assert monitor is not None
    return {host.name: host for host in monitor.hosts}


def test_monitor__knows_every_host__and_nobody_else_does(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path, FLEET)
    hosts = known(tmp_path)
    assert hosts["a"] == MonitoredHost(
        name="a", role="orchestrator", address="10.0.0.1:7937", token="scrape", exporter="10.0.0.1:7937"
    )
    assert hosts["far"].address == ""
    assert (hosts["mon"].address, hosts["mon"].exporter) == ("127.0.0.1:7936", "127.0.0.1:9100")
    assert fleet.node("a").monitor is None


def test_monitor_s_node_yaml__is_read_back_as_it_was(tmp_path: Path) -> None:
    node = a_fleet(tmp_path, FLEET).node("mon")
    (tmp_path / "node.yaml").write_text(to_yaml(node))
    assert node_digest(load_node(tmp_path / "node.yaml")) == node_digest(node)


def test_firewall__monitors_are_let_in_by_their_address__unless_said_otherwise(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path, FLEET)
    assert fleet.host("a").firewall.monitors == ("10.0.0.9/32",)
    said = FLEET.replace("firewall: managed", "firewall: {mode: managed, monitors: [192.0.2.7]}")
    assert a_fleet(tmp_path, said).host("a").firewall.monitors == ("192.0.2.7/32",)
    named = FLEET.replace("address: 10.0.0.9", "address: mon.example.com")
    assert a_fleet(tmp_path, named).host("a").firewall.monitors == ()


def test_door__on_an_address_of_its_own__is_asked_there(tmp_path: Path) -> None:
    text = FLEET.replace("scrape: {token: scrape}", 'scrape: {token: scrape, listen: "192.168.7.1:9999"}')
    assert known(tmp_path, text)["a"].address == "192.168.7.1:9999"


def test_host_in_pull_mode__is_marked(tmp_path: Path) -> None:
    text = FLEET.replace("  a:\n", "  a:\n    pull: {url: 'https://b.example.com', trust: root.json}\n")
    (tmp_path / "root.json").write_text("{}")
    assert known(tmp_path, text)["a"].pulls


def test_secrets__each_host_gets_what_it_uses(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path, FLEET)
    assert set(fleet.node("mon").secrets) == {"push"}
    assert set(fleet.node("a").secrets) == {"scrape"}
    assert set(fleet.node("far").secrets) == {"push", "ca"}


def test_fleet_without_monitoring__has_none_of_it(tmp_path: Path) -> None:
    text = "name: f\nhosts:\n  a: {address: x, role: orchestrator, orchestrator: {service_uri: 'https://a:8935'}}\n"
    written = to_yaml(a_fleet(tmp_path, text).node("a"))
    assert not any(word in written for word in ("scrape", "push", "node_exporter", "monitor:"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("{token: scrape}", "{token: scrpe}", "no secret `scrpe` under `secrets`"),
        ("scrape: {token: scrape}", "log_level: INFO", "the monitor would not see `a`"),
        ("scrape: {token: scrape}", "scrape: {}", "who reaches the door could read what the node earns"),
        ("token: push}\n    monitoring", "token: pus}\n    monitoring", "no secret `pus` under `secrets`"),
        (", token: push}\n    monitoring", "}\n    monitoring", "whoever reaches the door could write metrics"),
        ('url: "https://mon.example.com:7938"', 'url: "https://u:p@mon"', "without user"),
        ("scrape: {token: scrape}", "scrape: {token: scrape, tls: {certificate: cert, key: key}}", "no monitor could"),
        ("scrape_every_s: 5", "scrape_every_s: 0", "scrape_every_s"),
        ("scrape_every_s: 5", "ca: nothing", "no secret `nothing` under `secrets`"),
        ("    role: monitor\n", "    role: redeemer\n    redeemer: {key: k}\n", "`monitor` is for the role monitor"),
    ],
)  # fmt: skip
def test_fault__is_told_with_its_place(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in FLEET
    found = problems(tmp_path, FLEET.replace(before, after))
    assert any(said in problem and problem.startswith("fleet.yaml:") for problem in found), found


def test_client_certificate_asked_for__and_no_monitor_has_one__is_refused(tmp_path: Path) -> None:
    tls = "scrape: {tls: {certificate: cert, key: key, client_ca: ca}}"
    text = FLEET.replace("scrape: {token: scrape}", tls).replace("scrape_every_s: 5", "ca: ca")
    assert any("no monitor has a certificate to show" in problem for problem in problems(tmp_path, text))


def test_monitor_that_pushes__is_refused(tmp_path: Path) -> None:
    text = FLEET.replace("{node_exporter: true}\n  a", "{push: {url: 'http://o:1', token: push}}\n  a")
    assert any("a monitor keeps its metrics itself" in problem for problem in problems(tmp_path, text))


def test_roles__monitor_takes_no_duties(tmp_path: Path) -> None:
    text = FLEET.replace("    role: monitor\n", "    role: monitor\n    duties: [reward]\n")
    assert Role.MONITOR in problems(tmp_path, text)[0]
