"""The network's official Python SDK in an environment of its own: its protobuf must not meet ours in one process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SDK = "livepeer-gateway==1.0.0"
_NEEDS = ("aiohttp", "av", "grpcio", "protobuf")


def newer_python() -> str | None:
    """A Python 3.12 or 3.13 of this machine: on the PATH, or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for name in ("python3.12", "python3.13"):
        found = shutil.which(name) or next((str(p) for p in sorted(pyenv.glob(f"*/bin/{name}"))), None)
        if found and subprocess.run([found, "-c", "import ssl, ensurepip"], capture_output=True).returncode == 0:
            return found
    return None


def make_environment(folder: Path) -> Path:
    """A virtual environment with the SDK; returns its interpreter. Exact versions come from this environment.

    The SDK declares Python 3.12. Where none is installed it is put on this interpreter without the check; everything
    used here runs on it.
    """
    python = folder / "bin/python"
    if not python.exists():
        uv = [str(Path(sys.executable).with_name("uv")), "-q"]
        base = newer_python() or sys.executable
        subprocess.run([*uv, "venv", "--seed", "--python", base, str(folder)], check=True)
        freeze = subprocess.run([*uv, "pip", "freeze", "--python", sys.executable], capture_output=True, text=True)
        pins = [line for line in freeze.stdout.splitlines() if line.split("==")[0].lower() in _NEEDS]
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *pins], check=True)
        subprocess.run([*pip, "--no-deps", "--ignore-requires-python", SDK], check=True)
    return python
