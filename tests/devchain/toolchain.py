"""anvil and the Solidity compiler from npm, pinned by package.json, in a cache folder; each content compiled once."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from livefleet.kernel import BadInput, OutsideWorld

__all__ = ["Artifact", "Toolchain", "compile_contracts", "default_cache", "install"]

HERE = Path(__file__).resolve().parent
_SETTINGS = {
    "optimizer": {"enabled": True, "runs": 200},
    "outputSelection": {"*": {"*": ["evm.bytecode.object", "storageLayout"]}},
}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Where the programs are."""

    anvil: Path
    node_modules: Path


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract."""

    bytecode: bytes
    slots: dict[str, int]  # storage slot of each state variable, for tests that write storage


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/livefleet`, as the run script has it."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "livefleet"


def install(cache: Path) -> Toolchain:
    """Install what package.json pins unless it is there. Raises BadInput without npm, OutsideWorld when npm fails."""
    manifest = (HERE / "package.json").read_bytes()
    folder = cache / f"npm-{hashlib.sha256(manifest).hexdigest()[:12]}"
    with _locked(cache):
        if not folder.exists():
            _npm_install(manifest, folder)
    modules = folder / "node_modules"
    binaries = sorted(modules.glob("@foundry-rs/anvil-*/bin/anvil"))
    if not binaries:
        raise OutsideWorld(f"npm has no anvil for this machine; {modules} lacks @foundry-rs/anvil-<platform>")
    return Toolchain(anvil=binaries[0], node_modules=modules)


def compile_contracts(toolchain: Toolchain, cache: Path) -> dict[str, Artifact]:
    """Every contract of `contracts/`, by name."""
    sources = {path.name: {"content": path.read_text()} for path in sorted((HERE / "contracts").glob("*.sol"))}
    task = json.dumps({"language": "Solidity", "sources": sources, "settings": _SETTINGS}, sort_keys=True)
    version = (toolchain.node_modules / "solc" / "package.json").read_text()
    kept = cache / f"contracts-{hashlib.sha256((version + task).encode()).hexdigest()[:16]}.json"
    with _locked(cache):
        if not kept.exists():
            _write(kept, _solc(toolchain, task))
    answer = json.loads(kept.read_text())
    return {
        name: Artifact(
            bytecode=bytes.fromhex(contract["evm"]["bytecode"]["object"]),
            slots={entry["label"]: int(entry["slot"]) for entry in contract["storageLayout"]["storage"]},
        )
        for file in answer["contracts"].values()
        for name, contract in file.items()
        if contract["evm"]["bytecode"]["object"]
    }


def _npm_install(manifest: bytes, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise BadInput("the local chain needs node and npm; on Debian or Ubuntu: apt-get install nodejs npm")
    scratch = Path(tempfile.mkdtemp(prefix="npm-", dir=folder.parent))
    try:
        (scratch / "package.json").write_bytes(manifest)
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--loglevel=error"],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode != 0:
            raise OutsideWorld(f"npm could not install anvil and solc:\n{done.stderr.strip()[-2000:]}")
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _solc(toolchain: Toolchain, task: str) -> str:
    done = subprocess.run(
        ["node", str(HERE / "compile.cjs")],
        input=task,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "NODE_PATH": str(toolchain.node_modules)},
    )
    if done.returncode != 0:
        raise OutsideWorld(f"solc did not run:\n{done.stderr.strip()[-2000:]}")
    complaints = json.loads(done.stdout).get("errors", [])
    if any(complaint["severity"] == "error" for complaint in complaints):
        raise BadInput("\n".join(complaint["formattedMessage"] for complaint in complaints))
    return done.stdout


def _write(path: Path, text: str) -> None:
    half = path.with_suffix(".part")
    half.write_text(text)
    half.rename(path)


@contextlib.contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """One at a time over all processes: parallel test workers start together."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "devchain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
