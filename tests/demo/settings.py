"""Where the demo lives and what it declares."""

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.devchain.chain import DevchainInfo

__all__ = ["MODEL_ID", "DemoSettings"]

MODEL_ID = "livefleet/tiny-random"
_FILE = "demo.json"

FLEET = """\
# Written by `./run demo`: one solo node with every duty, on this machine, on a chain of its own.
name: demo
network: {{name: devchain, rpc: ["{rpc}"], controller: "{controller}", chain_id: {chain_id}, l1_block_s: 1}}
keys: {{orchestrator: {{file: keys/orchestrator.hex}}}} # test-only
hosts:
  solo:
    address: "@local"
    root: {root}
    profile: cpu
    role: orchestrator
    duties:
      transcoding: {{max_sessions: 4}}
      ai: true
      reward: {{check_every_s: 2}}
      redemption: {{check_every_s: 2}}
    orchestrator:
      service_uri: https://127.0.0.1:{front_door}
      listen: 127.0.0.1:{front_door}
      key: orchestrator
      # Dear and winning often, so that some seconds show what takes days on the live network.
      ticket: {{expected_value: 2000 gwei, max_face_value: 4000 gwei}}
    prices: {{video: 150000 wei}}
    models:
      - {{pipeline: text-to-image, model_id: {model}, source: models/tiny-random, price: 2000000 wei}}
    monitoring: {{admin_listen: 127.0.0.1:{admin}}}
"""


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """The demo's folder and ports; kept between runs, so that a second run changes nothing."""

    front_door: int
    admin: int

    @classmethod
    def load(cls, folder: Path) -> "DemoSettings":
        """What an earlier run chose, or the usual ports where they are free, else any."""
        file = folder / _FILE
        if file.exists():
            return cls(**json.loads(file.read_text()))
        folder.mkdir(parents=True, exist_ok=True)
        chosen = cls(front_door=_free(8935), admin=_free(7936))
        file.write_text(json.dumps(asdict(chosen)) + "\n")
        return chosen

    def fleet_yaml(self, folder: Path, chain: DevchainInfo) -> str:
        """The fleet file."""
        return FLEET.format(
            rpc=chain.rpc,
            controller=chain.controller,
            chain_id=chain.chain_id,
            root=folder / "node",
            front_door=self.front_door,
            admin=self.admin,
            model=MODEL_ID,
        )


def _free(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(sock.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")
