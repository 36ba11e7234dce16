"""Settings of agents of several kinds, each with what it needs and no more; the chain that some want is not there."""

from pathlib import Path

from tests.builders.agents import free_port
from tests.devchain.accounts import dev_secret, dev_signer

__all__ = ["a_keykeeper", "a_redeemer", "a_worker", "an_orchestrator"]

SECRET = "test-only: how workers and orchestrator know each other"
NOWHERE = {"name": "devchain", "chain_id": 1337, "controller": "0x" + "22" * 20, "rpc": [{"url": "http://127.0.0.1:9"}]}
OFFCHAIN = {"name": "offchain"}


def an_orchestrator(root: Path) -> dict[str, object]:
    address = f"127.0.0.1:{free_port()}"
    return {
        "role": "orchestrator",
        "network": OFFCHAIN,
        "gpus": "none",
        "orchestrator": {"worker_secret": "workers", "listen": address, "service_uri": f"https://{address}"},
        "secrets": _worker_secret(root),
    }


def a_worker(root: Path, orchestrator: str) -> dict[str, object]:
    return {
        "role": "worker",
        "network": OFFCHAIN,
        "gpus": "none",
        "duties": {"transcoding": {"encoder": "software"}},
        "worker": {"orchestrator": orchestrator.removeprefix("https://"), "secret": "workers"},
        "secrets": _worker_secret(root),
    }


def a_keykeeper(root: Path) -> dict[str, object]:
    return {
        "role": "keykeeper",
        "network": NOWHERE,
        "gpus": "none",
        "duties": ["reward"],
        "keys": {"own": _key(root, 5)},
        "keykeeper": {"orchestrator": dev_signer(1).address, "keys": {"reward_caller": "own"}},
    }


def a_redeemer(root: Path) -> dict[str, object]:
    return {
        "role": "redeemer",
        "network": NOWHERE,
        "gpus": "none",
        "keys": {"own": _key(root, 6)},
        "redeemer": {"key": "own", "listen": f"127.0.0.1:{free_port()}"},
    }


def _key(root: Path, account: int) -> dict[str, str]:
    path = root / "var/lib/livefleet/keys/own.hex"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dev_secret(account).hex())
    path.chmod(0o600)
    return {"file": "keys/own.hex", "address": dev_signer(account).address}


def _worker_secret(root: Path) -> dict[str, str]:
    path = root / "var/lib/livefleet/secrets/workers"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SECRET + "\n")
    return {"workers": "secrets/workers"}
