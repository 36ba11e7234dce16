"""Setups as operators have them (`tests/data/setups`), and what an import makes of them.

`python -m tests.builders.setups` writes what the importer says now as the new expectations; read the difference.
"""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from livefleet.control.importer import Given, Imported, Outcome, Wishes, import_nodes, read_source

__all__ = ["FOLDER", "SETUPS", "golden_fleet", "golden_report", "import_setup", "report_text"]

FOLDER: Final = Path(__file__).parents[1] / "data/setups"
SETUPS: Final[dict[str, list[str]]] = {
    "01-solo-binary": ["start.sh"],
    "02-solo-docker": ["start.sh"],
    "03-compose-config-file": ["docker-compose.yml"],
    "04-standalone-orchestrator": ["livepeer-orchestrator.service"],
    "05-o-t-split": ["orchestrator.service", "transcoder.service"],
    "06-hot-wallet": ["start.sh"],
    "07-redeemer": ["orchestrator.sh", "redeemer.sh"],
    "08-redeemer-and-reward-node": ["compose.yaml"],
    "09-kubernetes": ["livepeer.yaml"],
    "10-systemd-file-secrets": ["livepeer.service"],
    "11-usd-price": ["livepeer.conf"],
    "12-per-gateway": ["start.sh", "gateways.json"],
    "13-combined-ai": ["start.sh"],
    "14-dual-mode": ["docker-compose.yml"],
    "15-remote-ai-worker": ["worker.env"],
    "17-ollama": ["docker-compose.yml"],
    "18-live-runner": ["start.sh"],
    "19-titan-worker": ["titan.service"],
    "20-other-pools": ["start.sh"],
    "21-open-pool-manager": ["config.json"],
    "22-siphon": ["config.ini"],
    "23-monitoring": ["docker-compose.yml"],
    "24-docker-inspect": ["containers.json"],
    "25-one-machine": ["docker-compose.yml"],
}
"""Each setup's sources; what they name lies beside them."""


def import_setup(name: str, work: Path) -> Imported:
    """Import a copy of a setup in an empty folder, which stands for the operator's."""
    shutil.copytree(FOLDER / name, work, dirs_exist_ok=True)
    for path in filter(Path.is_file, work.iterdir()):
        path.chmod(0o644)  # whatever the checkout's umask is
    with contextlib.chdir(work):
        given = [Given(source, read_source(Path(source), source)) for source in SETUPS[name]]
        return import_nodes(given, Wishes(name.partition("-")[2]))


def report_text(imported: Imported) -> str:
    """Every finding on a line of its own."""
    findings = imported.report.of(*Outcome)
    return "".join(f"{each.outcome} | {each.process} | {each}\n" for each in findings)


def golden_fleet(name: str) -> str:
    """The fleet file that is expected; empty where there is no host."""
    path = FOLDER / name / "expected" / "fleet.yaml"
    return path.read_text() if path.is_file() else ""


def golden_report(name: str) -> str:
    """The report that is expected."""
    return (FOLDER / name / "expected" / "report.txt").read_text()


def _write() -> None:
    for name in SETUPS:
        with tempfile.TemporaryDirectory() as work:
            imported = import_setup(name, Path(work))
        expected = FOLDER / name / "expected"
        expected.mkdir(exist_ok=True)
        (expected / "report.txt").write_text(report_text(imported))
        if imported.fleet:
            (expected / "fleet.yaml").write_text(imported.fleet)


if __name__ == "__main__":
    _write()
