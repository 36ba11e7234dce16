"""Loki on the monitor itself: on loopback, its samples on the disk, deleted by age."""

from typing import Any

from livefleet.monitoring.text import yaml_text
from livefleet.spec import CentralMonitoring

__all__ = ["loki_text"]

_FOLDER = "/var/lib/loki"
_LISTENING = ("http_listen_address", "grpc_listen_address")


def loki_text(central: CentralMonitoring) -> str:
    """`loki.yaml`. Nobody but this machine reaches it: logs come in by the door of the monitor's agent."""
    limits: dict[str, Any] = {
        "retention_period": f"{central.retention_days * 24}h",
        "allow_structured_metadata": True,
        "reject_old_samples_max_age": "168h",  # what waited on a host for a week is still taken
        "max_label_names_per_series": 15,
        "max_line_size": "256KB",
        "max_line_size_truncate": True,
    }
    return yaml_text(
        {
            "auth_enabled": False,
            "server": {
                "http_listen_address": "127.0.0.1",
                "http_listen_port": 3100,
                "grpc_listen_address": "127.0.0.1",
            },
            "common": {
                "instance_addr": "127.0.0.1",
                "path_prefix": _FOLDER,
                "storage": {
                    "filesystem": {"chunks_directory": f"{_FOLDER}/chunks", "rules_directory": f"{_FOLDER}/rules"}
                },
                "replication_factor": 1,
                "ring": {"kvstore": {"store": "inmemory"}},
            },
            "schema_config": {
                "configs": [
                    {
                        "from": "2024-01-01",
                        "store": "tsdb",
                        "object_store": "filesystem",
                        "schema": "v13",
                        "index": {"prefix": "index_", "period": "24h"},
                    }
                ]
            },
            "limits_config": limits,
            "compactor": {
                "working_directory": f"{_FOLDER}/compactor",
                "retention_enabled": True,
                "delete_request_store": "filesystem",
            },
            "analytics": {"reporting_enabled": False},
        }
    )
