"""What each distribution of the table is told to do for each family of cards: written by `python -m` on this module."""

from pathlib import Path

from deploys import steps
from deploys.drivers import DISTRIBUTIONS, Distribution
from deploys.facts import DriverFacts, Observed
from deploys.outcome import Outcome, Shell
from tests.builders.deploys import NOW, a_host, a_node
from tests.unit.deploys.driver_text import declared_part

FOLDER = Path(__file__).with_name("drivers")
CARDS = {
    "maxwell": 0x13C0,  # GTX 980
    "pascal": 0x1B80,  # GTX 1080
    "volta": 0x1DB1,  # V100
    "turing": 0x1EB8,  # T4
    "ampere": 0x2204,  # RTX 3090
    "ada": 0x2684,  # RTX 4090
    "hopper": 0x2330,  # H100
    "blackwell": 0x2B85,  # RTX 5090
}
KERNELS = {"debian": "6.1.0-27-amd64", "ubuntu": "6.8.0-49-generic"}
DECLARED = (("branch 580", {"branch": 580}), ("595.71.05", {"version": "595.71.05"}), ("nothing", {}))
BOOTS = (("", False), (", secure boot", True))


def golden(distribution: Distribution) -> str:
    """Every outcome with those that share it, in the order of first appearance."""
    cases: dict[str, list[str]] = {}
    for family, device in CARDS.items():
        for declared, settings in DECLARED:
            for boot, secure_boot in BOOTS:
                facts = bare(distribution, device, secure_boot=secure_boot)
                node = a_node(driver=settings)
                outcome = steps.driver(node, steps.ServiceKind.SYSTEMD, "/opt/livefleet", facts, now=NOW)
                cases.setdefault(told(outcome), []).append(f"{family}, {declared} declared{boot}")
    return "\n".join("".join(f"### {name}\n" for name in names) + text for text, names in cases.items())


def bare(distribution: Distribution, device: int, *, secure_boot: bool = False) -> Observed:
    return a_host(
        os_id=distribution.os_id,
        os_version=distribution.os_version,
        machine=distribution.machine,
        kernel=KERNELS[distribution.os_id],
        nvidia_pci=(device,),
        secure_boot=secure_boot,
        driver=DriverFacts(headers="offered"),
    )


def told(outcome: Outcome) -> str:
    if outcome.refusal:
        return f"refused: {outcome.refusal}\n"
    (command,) = outcome.commands
    assert isinstance(command, Shell)
    return "".join(f"note: {note}\n" for note in outcome.notes) + declared_part(command)


def name_of(distribution: Distribution) -> str:
    return f"{distribution.os_id}-{distribution.os_version}-{distribution.machine}.txt"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for row in DISTRIBUTIONS.values():
        (FOLDER / name_of(row)).write_text(golden(row))
