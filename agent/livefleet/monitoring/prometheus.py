"""Prometheus' own files: what it asks whom for, and with which credentials. Paths in them start at the file itself."""

from typing import Any, Final
from urllib.parse import urlencode

from livefleet.monitoring.discovery import AGENTS_JOB, EXPORTERS_JOB, Door, doors, labels_of, target_list, through
from livefleet.monitoring.text import yaml_text
from livefleet.spec import CentralMonitoring, NodeSpec, PushSettings

__all__ = ["OUT_OF_ORDER_H", "PUSHED_BACK_H", "SecretPath", "prometheus_files", "push_text"]

PUSHED_BACK_H: Final = 4
"""Hours of samples that a pushing host keeps while its monitor is away."""

OUT_OF_ORDER_H: Final = PUSHED_BACK_H + 1
"""Hours back in which a monitor still takes samples: what was missed comes after newer ones of its own."""

_SAMPLES: Final = 50_000  # a node of 500 streams told apart has 15,000
_BODY: Final = "8MB"
_LABEL_LENGTH: Final = 512
_LABELS: Final = 40
_LOOK_AGAIN: Final = "30s"

SecretPath = dict[str, str]
"""Where the secret of each name is: a path, relative ones to the file."""


def prometheus_files(
    fleet: str, central: CentralMonitoring, node: NodeSpec, secrets: SecretPath, *, rules: str
) -> dict[str, str]:
    """Text by path: `prometheus.yml`, `rules.yml`, and a list of targets for each way in. `node` is the monitor."""
    assert node.monitor is not None  # the fleet's assembly gives every monitor its hosts
    hosts = node.monitor.hosts
    files = {"rules.yml": rules}
    configs = []
    for door in doors(hosts):
        name = _name(door)
        files[f"targets/{name}.json"] = target_list(fleet, through(hosts, door, pulling=False))
        configs.append(_agents(name, door, central, secrets, _admin(node)))
    own = {"prometheus": 9090, "alertmanager": 9093}
    own |= {"loki": 3100} if central.loki else {}
    own |= {"grafana": 3000} if central.grafana else {}
    for job, port in own.items():
        labels = labels_of(fleet, node.name, node.role.value, job)
        configs.append({"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": labels}]})
    files["prometheus.yml"] = yaml_text(
        {
            "global": _global(central.scrape_every_s) | {"external_labels": {"fleet": fleet}},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9093"]}]}]},
            "storage": {"tsdb": {"out_of_order_time_window": f"{OUT_OF_ORDER_H}h"}},
            "scrape_configs": configs,
        }
    )
    return files


def push_text(node: NodeSpec, push: PushSettings, every_s: int, secrets: SecretPath) -> str:
    """The configuration of a Prometheus in agent mode that reads its own host alone and writes to the monitor."""
    admin = {"targets": [_admin(node)], "labels": labels_of(node.fleet, node.name, node.role.value, AGENTS_JOB)}
    configs: list[dict[str, Any]] = [_job(AGENTS_JOB) | {"static_configs": [admin]}]
    if node.monitoring.node_exporter:
        labels = labels_of(node.fleet, node.name, node.role.value, EXPORTERS_JOB)
        static = {"targets": ["127.0.0.1:9100"], "labels": labels}
        configs.append(_job(EXPORTERS_JOB) | {"static_configs": [static]})
    write: dict[str, Any] = {
        "url": f"{push.url}/api/v1/write",
        "authorization": {"credentials_file": secrets[push.token]},
        # One connection's worth: a fleet that comes back at once must not drown its monitor.
        "queue_config": {
            "max_shards": 4,
            "max_samples_per_send": 2000,
            "max_backoff": "30s",
            "retry_on_http_429": True,
        },
    }
    if push.ca is not None:
        write["tls_config"] = {"ca_file": secrets[push.ca]}
    return yaml_text({"global": _global(every_s), "scrape_configs": configs, "remote_write": [write]})


def _global(every_s: int) -> dict[str, Any]:
    timeout_s = max(1, min(10, every_s // 2))
    return {"scrape_interval": f"{every_s}s", "scrape_timeout": f"{timeout_s}s", "evaluation_interval": f"{every_s}s"}


def _job(name: str) -> dict[str, Any]:
    """What no host can go beyond, whatever it answers: then the whole answer is refused, and `up` is 0."""
    return {
        "job_name": name,
        "sample_limit": _SAMPLES,
        "body_size_limit": _BODY,
        "label_limit": _LABELS,
        "label_value_length_limit": _LABEL_LENGTH,
    }


def _agents(name: str, door: Door, central: CentralMonitoring, secrets: SecretPath, admin: str) -> dict[str, Any]:
    is_tls, token = door
    asked = urlencode({"tls": int(is_tls), "token": token})
    config = _job(name) | {
        "scheme": "https" if is_tls else "http",
        "file_sd_configs": [_file(name)],
        "http_sd_configs": [{"url": f"http://{admin}/sd?{asked}", "refresh_interval": _LOOK_AGAIN}],
    }
    if token:
        config["authorization"] = {"credentials_file": secrets[token]}
    if is_tls:
        assert central.ca is not None  # the fleet's check says so
        tls = {"ca_file": secrets[central.ca], "server_name": central.server_name}
        if central.client is not None:
            tls |= {"cert_file": secrets[central.client.certificate], "key_file": secrets[central.client.key]}
        config["tls_config"] = tls
    return config


def _file(name: str) -> dict[str, Any]:
    return {"files": [f"targets/{name}.json"]}


def _name(door: Door) -> str:
    is_tls, token = door
    return "-".join(["agents", *(["tls"] if is_tls else []), *([token] if token else [])])


def _admin(node: NodeSpec) -> str:
    host, _, port = node.monitoring.admin_listen.rpartition(":")
    return f"{'127.0.0.1' if host in ('', '0.0.0.0', '*', '[::]') else host}:{port}"  # noqa: S104 -- asked, not bound
