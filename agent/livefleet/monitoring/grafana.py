"""What Grafana finds at its start: where data is, and a folder of dashboards."""

from livefleet.monitoring.text import yaml_text
from livefleet.spec import CentralMonitoring

__all__ = ["LOKI_UID", "PROMETHEUS_UID", "grafana_files"]

PROMETHEUS_UID = "livefleet-prometheus"
"""By which dashboards name the metrics."""

LOKI_UID = "livefleet-loki"
"""By which dashboards name the logs."""


def grafana_files(central: CentralMonitoring, folder: str, dashboards: dict[str, str]) -> dict[str, str]:
    """Text by path below `folder`: data sources, where dashboards are, and the dashboards (name to JSON)."""
    sources = [
        {
            "name": "Prometheus",
            "uid": PROMETHEUS_UID,
            "type": "prometheus",
            "access": "proxy",
            "url": "http://127.0.0.1:9090",
            "isDefault": True,
            "editable": False,
            "jsonData": {"timeInterval": f"{central.scrape_every_s}s"},
        }
    ]
    if central.loki:
        loki = {"name": "Loki", "uid": LOKI_UID, "type": "loki", "access": "proxy", "url": "http://127.0.0.1:3100"}
        sources.append(loki | {"editable": False})
    provider = {
        "name": "livefleet",
        "folder": "livefleet",
        "type": "file",
        "allowUiUpdates": False,
        "options": {"path": f"{folder}/dashboards"},
    }
    return {
        "provisioning/datasources/livefleet.yaml": yaml_text({"apiVersion": 1, "datasources": sources}),
        "provisioning/dashboards/livefleet.yaml": yaml_text({"apiVersion": 1, "providers": [provider]}),
        **{f"dashboards/{name}": text for name, text in sorted(dashboards.items())},
    }
