"""The network's official Python SDK in an environment of its own: its protobuf must not meet ours in one process."""

import subprocess
import sys
from pathlib import Path

SDK = "livepeer-gateway==1.0.0"
_NEEDS = ("aiohttp", "av", "grpcio", "protobuf")


def make_environment(folder: Path) -> Path:
    """A virtual environment with the SDK; returns its interpreter. Exact versions come from this environment.

    The SDK declares Python 3.12; where that is not installed it is put on this interpreter without the check, on which
    everything used here runs.
    """
    python = folder / "bin/python"
    if not python.exists():
        uv = [str(Path(sys.executable).with_name("uv")), "-q"]
        newer = subprocess.run(
            [*uv, "python", "find", "--no-python-downloads", ">=3.12"], capture_output=True, text=True
        )
        base = newer.stdout.strip() if newer.returncode == 0 else sys.executable
        subprocess.run([*uv, "venv", "--seed", "--python", base, str(folder)], check=True)
        freeze = subprocess.run([*uv, "pip", "freeze", "--python", sys.executable], capture_output=True, text=True)
        pins = [line for line in freeze.stdout.splitlines() if line.split("==")[0].lower() in _NEEDS]
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *pins], check=True)
        subprocess.run([*pip, "--no-deps", "--ignore-requires-python", SDK], check=True)
    return python
