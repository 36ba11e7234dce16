"""Whether the agent serves, asked on the host itself because the admin address is loopback."""

import json
import shlex
from dataclasses import dataclass

from pyinfra.api import FactBase

__all__ = ["AgentAnswer", "Answer", "parse_answer", "probe"]

_PROBE = """
import json, sys, time, urllib.error, urllib.request
base, version, deadline, digest = sys.argv[1], sys.argv[2], time.monotonic() + float(sys.argv[3]), sys.argv[4]
def get(path):
    try:
        with urllib.request.urlopen(base + path, timeout=5) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        return json.loads(error.read() or b"{}")
    except (OSError, ValueError) as error:
        return {"unreachable": str(getattr(error, "reason", error))}
while True:
    ready, status = get("/readyz"), get("/status")
    is_it = status.get("version") == version and digest in ("", status.get("digest"))
    if ready.get("ready") and is_it or time.monotonic() > deadline:
        print(json.dumps({"ready": ready, "status": status}))
        break
    time.sleep(0.3)
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent said when it was last asked."""

    ready: bool = False
    version: str = ""
    digest: str = ""  # of the specification that it runs
    unreachable: str = ""  # why nothing answered
    blocking: tuple[str, ...] = ()  # `ChainReachable: no endpoint answers`


def probe(admin: str, version: str, wait_s: float, digest: str = "") -> str:
    """Shell text that asks until the agent is ready in that version with that spec, or `wait_s` have passed."""
    words = ["python3", "-c", _PROBE, f"http://{admin}", version, f"{wait_s:g}", digest]
    return shlex.join(words)


def parse_answer(output: list[str]) -> Answer:
    """The last line printed, as a value."""
    document = json.loads(output[-1])
    ready, status = document["ready"], document["status"]
    blocking = [
        f"{c['name']}{' ' + c['subject'] if c.get('subject') else ''}: {c.get('message') or c.get('reason')}"
        for c in status.get("conditions", ())
        if c.get("gates_ready", True) and c.get("status") != "true"
    ]
    return Answer(
        ready=bool(ready.get("ready")),
        version=str(status.get("version", "")),
        digest=str(status.get("digest", "")),
        unreachable=str(ready.get("unreachable", "")),
        blocking=tuple(blocking) or tuple(str(name) for name in ready.get("blocking", ())),
    )


class AgentAnswer(FactBase[Answer]):
    """The agent's own word on being ready, waited for with a bound."""

    @staticmethod
    def default() -> Answer:
        """Nothing was heard."""
        return Answer(unreachable="the question could not be asked on the host")

    def command(self, admin: str, version: str, wait_s: float, digest: str = "") -> str:
        """See `probe`."""
        return probe(admin, version, wait_s, digest)

    def process(self, output: list[str]) -> Answer:
        """See `parse_answer`."""
        return parse_answer(output)
