"""anvil, the Solidity compiler and OpenZeppelin's contracts from npm, pinned here; each content compiled once."""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from livefleet.kernel import BadInput, OutsideWorld

__all__ = ["Artifact", "Toolchain", "compile_contracts", "compile_sources", "default_cache", "install"]

HERE = Path(__file__).resolve().parent
_ANVIL, _SOLC, _OPENZEPPELIN = "1.7.1", "0.8.30", "4.9.6"
_PLATFORMS = {"x86_64": "linux-amd64", "aarch64": "linux-arm64"}
_OPTIMIZER = {"enabled": True, "runs": 200}
_OUTPUT = {"*": ["evm.bytecode.object", "evm.bytecode.linkReferences", "storageLayout"]}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Where the programs are."""

    anvil: Path
    node_modules: Path


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract."""

    code: str  # hex, with blanks where addresses of libraries go
    slots: dict[str, int]  # storage slot of each state variable, for tests that write storage
    links: dict[str, tuple[int, ...]]  # by library: the bytes at which its address goes

    @property
    def bytecode(self) -> bytes:
        """The code of a contract that needs no library."""
        return self.linked({})

    def linked(self, libraries: dict[str, str]) -> bytes:
        """The code with the addresses of its libraries."""
        code = self.code
        for library, places in self.links.items():
            for place in places:
                code = code[: 2 * place] + libraries[library][2:].lower() + code[2 * place + 40 :]
        return bytes.fromhex(code)


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/livefleet`, as the run script has it."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "livefleet"


def install(cache: Path) -> Toolchain:
    """Install them unless they are there. Raises BadInput without npm, OutsideWorld when npm fails."""
    # Not `@foundry-rs/anvil`, which has the program's package as an optional dependency: npm drops such a one without
    # a word where node is older than its `engines` (Debian 12 has node 18), though the program itself needs no node.
    if platform.machine() not in _PLATFORMS:
        raise OutsideWorld(f"npm has no anvil for {platform.machine()} ({' and '.join(_PLATFORMS)} it has)")
    anvil = f"@foundry-rs/anvil-{_PLATFORMS[platform.machine()]}"
    folder = cache / f"npm-anvil-{_ANVIL}-solc-{_SOLC}-openzeppelin-{_OPENZEPPELIN}"
    with _locked(cache):
        if not folder.exists():
            _npm_install([f"{anvil}@{_ANVIL}", f"solc@{_SOLC}", f"@openzeppelin/contracts@{_OPENZEPPELIN}"], folder)
    modules = folder / "node_modules"
    return Toolchain(anvil=modules / anvil / "bin/anvil", node_modules=modules)


def compile_contracts(toolchain: Toolchain, cache: Path) -> dict[str, Artifact]:
    """Every contract of `contracts/`, by name."""
    sources = {path.name: path.read_text() for path in sorted((HERE / "contracts").glob("*.sol"))}
    return compile_sources(toolchain, cache, sources, wanted=tuple(sources))


def compile_sources(
    toolchain: Toolchain, cache: Path, sources: dict[str, str], *, wanted: tuple[str, ...]
) -> dict[str, Artifact]:
    """The contracts of the `wanted` ones of these files, by name; each content is compiled once."""
    settings = {"optimizer": _OPTIMIZER, "outputSelection": dict.fromkeys(wanted, _OUTPUT)}
    inputs = {name: {"content": text} for name, text in sources.items()}
    task = json.dumps({"language": "Solidity", "sources": inputs, "settings": settings}, sort_keys=True)
    packages = (toolchain.node_modules / name / "package.json" for name in ("solc", "@openzeppelin/contracts"))
    versions = "".join(package.read_text() for package in packages)
    kept = cache / f"contracts-{hashlib.sha256((versions + task).encode()).hexdigest()[:16]}.json"
    with _locked(cache):
        if not kept.exists():
            _write(kept, _solc(toolchain, task))
    answer = json.loads(kept.read_text())
    return {
        name: Artifact(
            code=contract["evm"]["bytecode"]["object"],
            slots={entry["label"]: int(entry["slot"]) for entry in contract["storageLayout"]["storage"]},
            links={
                library: tuple(int(place["start"]) for place in places)
                for libraries in contract["evm"]["bytecode"]["linkReferences"].values()
                for library, places in libraries.items()
            },
        )
        for file in answer["contracts"].values()
        for name, contract in file.items()
        if contract["evm"]["bytecode"]["object"]
    }


def _npm_install(packages: list[str], folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise BadInput("the local chain needs node and npm; on Debian or Ubuntu: apt-get install nodejs npm")
    scratch = Path(tempfile.mkdtemp(prefix="npm-", dir=folder.parent))
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--no-save", "--loglevel=error"]
    try:
        done = subprocess.run(
            [npm, "install", f"--prefix={scratch}", *options, *packages],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode != 0:
            raise OutsideWorld(f"npm could not install {' and '.join(packages)}:\n{done.stderr.strip()[-2000:]}")
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
