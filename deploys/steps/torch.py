"""Which build of PyTorch a host gets: by its cards, and by the driver that it has or is to get."""

from dataclasses import dataclass, replace

from deploys.drivers import BUILDS, CPU, DEFAULT_BRANCH, TORCH, Family, TorchBuild, families_of, numbers
from deploys.facts import Observed
from deploys.steps.driver_wish import change_due, wish_of
from livefleet.spec import NodeSpec, extras_of

__all__ = ["TorchChoice", "choose_torch", "coming_driver", "torch_for"]


@dataclass(frozen=True, slots=True)
class TorchChoice:
    """The build for a host, or why there is none."""

    build: TorchBuild
    refusal: str | None = None
    warning: str | None = None


def choose_torch(node: NodeSpec, facts: Observed) -> TorchChoice | None:
    """The build for a host. None: the node loads no models."""
    if "ai" not in extras_of(node):
        return None
    families = () if node.gpus == "none" else families_of(facts.nvidia_pci)
    driver = coming_driver(node, facts) if families else ""
    choice = torch_for(families, driver, facts.machine)
    if choice.refusal and driver:
        whose = "what the host has" if driver == facts.nvidia_loaded else "declared"
        return replace(choice, refusal=f"{choice.refusal} (driver {driver} is {whose})")
    return choice


def torch_for(families: tuple[Family, ...], driver: str, machine: str) -> TorchChoice:
    """The newest build that has code for these cards and runs on that driver (version or branch; empty: none yet)."""
    if not families:
        return TorchChoice(CPU)
    names = " and ".join(family.name.capitalize() for family in families)
    fitting = [build for build in BUILDS if build.machine == machine and build.drives(families)]
    if not fitting:
        return TorchChoice(
            CPU,
            f"no build of PyTorch {TORCH} has code for {names} cards on {machine}: set `gpus: none`, or serve the"
            " models by a runner elsewhere (`url`)",
        )
    oldest = fitting[-1]
    if not driver:
        return TorchChoice(oldest)
    version = numbers(driver)
    build = next((build for build in fitting if version >= build.driver), None)
    if build is None:
        return TorchChoice(
            oldest,
            f"PyTorch {TORCH} for {names} cards ({oldest.name}) needs driver {_dotted(oldest.driver)} or newer:"
            f" use `driver: {{branch: {DEFAULT_BRANCH}}}`",
        )
    if version >= build.shipped_with:
        return TorchChoice(build)
    return TorchChoice(
        build,
        warning=f"PyTorch's {build.name} runs on driver {driver} by minor version compatibility: what is compiled on"
        f" the host may fail; {_dotted(build.shipped_with)} or newer has all of it",
    )


def coming_driver(node: NodeSpec, facts: Observed) -> str:
    """The version, or the branch, of the driver that the host has once it is as declared. Empty: it has none."""
    if not node.driver.install:
        return facts.nvidia_loaded
    wish = wish_of(node.driver, facts)
    if isinstance(wish, str) or change_due(node.driver, facts, wish) is None:
        return facts.nvidia_loaded
    return wish.version or str(wish.branch)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
