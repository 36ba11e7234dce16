"""Grafana Alloy on a host: the agent's lines from the journal to the monitor's Loki.

It tries for as long as the monitor is away, and reads no further when its queue is full (10 MiB, in memory): from there
on the journal is what keeps the lines.
"""

import json
from typing import Final

from livefleet.spec import NodeSpec, PushSettings

__all__ = ["METADATA", "alloy_text"]

METADATA: Final = {"gpu": "gpu || device", "session": "session", "job": "job", "round": "round", "event": "event"}
"""What a line may be found by beside its labels, and where its JSON has it. No label: there is no end to their values.
What logs about devices calls a GPU `device`."""

_LABELS: Final = {"level": "level"}


def alloy_text(node: NodeSpec, push: PushSettings, token_file: str, ca_file: str | None) -> str:
    """`config.alloy`. Paths are absolute: Alloy takes relative ones from its working directory."""
    own = {"fleet": node.fleet, "node": node.name, "role": node.role.value, "unit": "livefleet.service"}
    labels = ", ".join(f"{name} = {_quoted(value)}" for name, value in own.items())
    found = ", ".join(f"{name} = {_quoted(path)}" for name, path in {**_LABELS, **METADATA}.items())
    metadata = ", ".join(f'{name} = ""' for name in METADATA)
    tls = "" if ca_file is None else f"\n    tls_config {{\n      ca_file = {_quoted(ca_file)}\n    }}"
    return f"""\
// Written by livefleet; `livefleet apply` puts it back.
loki.source.journal "livefleet" {{
  matches    = "_SYSTEMD_UNIT=livefleet.service"
  max_age    = "12h"
  labels     = {{ {labels} }}
  forward_to = [loki.process.livefleet.receiver]
}}

loki.process "livefleet" {{
  stage.json {{
    expressions = {{ ts = "ts", {found} }}
  }}
  stage.timestamp {{
    source = "ts"
    format = "RFC3339Nano"
  }}
  stage.labels {{
    values = {{ level = "" }}
  }}
  stage.structured_metadata {{
    values = {{ {metadata} }}
  }}
  forward_to = [loki.write.monitor.receiver]
}}

loki.write "monitor" {{
  endpoint {{
    url                 = {_quoted(push.url + "/loki/api/v1/push")}
    bearer_token_file   = {_quoted(token_file)}
    max_backoff_period  = "1m"
    max_backoff_retries = 1000000{tls}
  }}
}}
"""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
