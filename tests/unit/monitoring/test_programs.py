"""What runs on which host, with which arguments, files and secrets."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from livefleet.monitoring import Program, fleet_programs, program_secrets, unfit
from tests.builders.deploys import a_node
from tests.builders.monitored import FLEET, a_monitored_fleet

pytestmark = pytest.mark.unit

TLS = "scrape: {token: scrape, tls: {certificate: cert, key: key, client_ca: ca}}"


def programs(folder: Path, host: str, text: str = FLEET) -> dict[str, Program]:
    return {program.name: program for program in fleet_programs(a_monitored_fleet(folder, text), host)}


def config(program: Program) -> dict:
    return YAML(typ="safe").load(program.files["prometheus.yml"])


def test_monitor__has_prometheus_and_alertmanager__and_what_is_declared(tmp_path: Path) -> None:
    assert list(programs(tmp_path, "mon")) == ["prometheus", "alertmanager", "node-exporter"]
    more = FLEET.replace("scrape_every_s: 5", "loki: true, grafana: true")
    assert list(programs(tmp_path, "mon", more)) == ["prometheus", "alertmanager", "loki", "grafana", "node-exporter"]


def test_other_hosts__have_what_they_declare_alone(tmp_path: Path) -> None:
    assert list(programs(tmp_path, "a")) == ["node-exporter"]
    assert list(programs(tmp_path, "far")) == ["prometheus"]
    alloy = FLEET.replace(
        "token: push, ca: ca}}", "token: push, metrics: false, logs: alloy}, scrape: {token: scrape}}"
    )
    assert list(programs(tmp_path, "far", alloy)) == ["alloy"]


def test_prometheus__retention_and_addresses__are_arguments(tmp_path: Path) -> None:
    text = FLEET.replace("scrape_every_s: 5", "retention_days: 7, retention_size: 2 GiB")
    arguments = programs(tmp_path, "mon", text)["prometheus"].arguments
    assert "--storage.tsdb.retention.time=7d" in arguments
    assert "--storage.tsdb.retention.size=2048MB" in arguments
    assert "--web.listen-address=127.0.0.1:9090" in arguments
    assert "--web.enable-remote-write-receiver" in arguments


def test_prometheus__nobody_may_push__takes_no_writes(tmp_path: Path) -> None:
    text = FLEET.replace('    monitor: {listen: "0.0.0.0:7938", token: push}\n', "")
    assert "--web.enable-remote-write-receiver" not in programs(tmp_path, "mon", text)["prometheus"].arguments


def test_prometheus__token__is_a_file_beside_and_in_no_text(tmp_path: Path) -> None:
    prometheus = programs(tmp_path, "mon")["prometheus"]
    (asked,) = [job for job in config(prometheus)["scrape_configs"] if job["job_name"] == "agents-scrape"]
    assert asked["authorization"] == {"credentials_file": "secrets/scrape"}
    assert prometheus.secrets == {"secrets/scrape": "scrape"}
    assert asked["file_sd_configs"] == [{"files": ["targets/agents-scrape.json"]}]
    assert asked["http_sd_configs"] == [
        {"url": "http://127.0.0.1:7936/sd?tls=0&token=scrape", "refresh_interval": "30s"}
    ]
    listed = json.loads(prometheus.files["targets/agents-scrape.json"])
    assert [group["targets"] for group in listed] == [["10.0.0.1:7937"]] * 2


def test_prometheus__token_that_is_on_the_host__is_read_where_it_is(tmp_path: Path) -> None:
    prometheus = programs(tmp_path, "mon", FLEET.replace("{token: scrape}", "{token: other}"))["prometheus"]
    (asked,) = [job for job in config(prometheus)["scrape_configs"] if job["job_name"] == "agents-other"]
    assert asked["authorization"] == {"credentials_file": "/etc/other"}
    assert prometheus.secrets == {}


def test_prometheus__mutual_tls__shows_its_certificate_and_checks_theirs(tmp_path: Path) -> None:
    text = FLEET.replace("scrape: {token: scrape}", TLS).replace(
        "scrape_every_s: 5", "ca: ca, client: {certificate: cert, key: key}"
    )
    prometheus = programs(tmp_path, "mon", text)["prometheus"]
    (asked,) = [job for job in config(prometheus)["scrape_configs"] if job["job_name"] == "agents-tls-scrape"]
    assert asked["scheme"] == "https"
    assert asked["tls_config"] == {
        "ca_file": "secrets/ca",
        "server_name": "livefleet-node",
        "cert_file": "secrets/cert",
        "key_file": "secrets/key",
    }
    assert set(prometheus.secrets.values()) == {"scrape", "ca", "cert", "key"}


def test_pusher__knows_its_own_host_alone__by_the_labels_that_scraped_hosts_have(tmp_path: Path) -> None:
    pusher = programs(tmp_path, "far")["prometheus"]
    document = config(pusher)
    (job,) = document["scrape_configs"]
    assert job["static_configs"] == [
        {
            "targets": ["127.0.0.1:7936"],
            "labels": {"job": "livefleet", "fleet": "demo", "node": "far", "role": "orchestrator"},
        }
    ]
    (write,) = document["remote_write"]
    assert write["url"] == "https://mon.example.com:7938/api/v1/write"
    assert write["authorization"] == {"credentials_file": "secrets/push"}
    assert write["tls_config"] == {"ca_file": "secrets/ca"}
    assert "--enable-feature=agent" in pusher.arguments


def test_limits__whatever_a_node_answers__are_there(tmp_path: Path) -> None:
    for job in config(programs(tmp_path, "mon")["prometheus"])["scrape_configs"]:
        if job["job_name"].startswith("agents"):
            assert {"sample_limit", "body_size_limit", "label_limit", "label_value_length_limit"} <= set(job)


def test_drop_in__package_s_own_arguments__count_no_more(tmp_path: Path) -> None:
    lines = programs(tmp_path, "a")["node-exporter"].drop_in.splitlines()
    start = "/usr/bin/prometheus-node-exporter --web.listen-address=127.0.0.1:9100"
    assert lines[2] == "ExecStart="
    assert lines[3] == f"ExecStart={start} --web.disable-exporter-metrics --no-collector.wifi"


def test_alloy__labels_are_few__and_the_rest_is_metadata(tmp_path: Path) -> None:
    text = FLEET.replace("token: push, ca: ca}", "token: push, logs: alloy}")
    alloy = programs(tmp_path, "far", text)["alloy"]
    written = alloy.files["config.alloy"]
    assert '{ fleet = "demo", node = "far", role = "orchestrator", unit = "livefleet.service" }' in written
    assert 'values = { gpu = "", session = "", job = "", round = "", event = "" }' in written
    assert 'bearer_token_file   = "/etc/livefleet/monitor/alloy/secrets/push"' in written
    assert alloy.secrets == {"secrets/push": "push"}


def test_loki_and_grafana__listen_on_loopback__and_keep_as_long_as_declared(tmp_path: Path) -> None:
    text = FLEET.replace("scrape_every_s: 5", "loki: true, grafana: true, retention_days: 7")
    found = programs(tmp_path, "mon", text)
    loki = YAML(typ="safe").load(found["loki"].files["loki.yaml"])
    assert loki["limits_config"]["retention_period"] == "168h"
    assert loki["compactor"]["retention_enabled"]
    assert loki["server"]["http_listen_address"] == "127.0.0.1"
    assert "cfg:default.server.http_addr=127.0.0.1" in found["grafana"].arguments
    sources = YAML(typ="safe").load(found["grafana"].files["provisioning/datasources/livefleet.yaml"])["datasources"]
    assert [source["uid"] for source in sources] == ["livefleet-prometheus", "livefleet-loki"]


def test_program_secrets__each_with_its_place(tmp_path: Path) -> None:
    fleet = a_monitored_fleet(tmp_path)
    sent = program_secrets(fleet, fleet_programs(fleet, "mon"))
    assert [(item.name, item.host_path) for item in sent] == [
        ("secrets.scrape", "/etc/livefleet/monitor/prometheus/secrets/scrape")
    ]
    assert sent[0].read({"SCRAPE": "value"}) == b"value"


@pytest.mark.parametrize(("root", "systemd"), [("/", False), ("/srv/tree", True)])
def test_unfit__no_systemd_of_its_own__says_so(tmp_path: Path, root: str, systemd: bool) -> None:
    fleet = a_monitored_fleet(tmp_path)
    found = fleet_programs(fleet, "a")
    assert "node-exporter" in (unfit(a_node(root=root), found, systemd=systemd) or "")
    assert unfit(a_node(), found, systemd=True) is None
    assert unfit(a_node(root=root), (), systemd=systemd) is None
