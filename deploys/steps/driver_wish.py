"""Which driver a host is to have: the declaration, met with the host's cards and distribution."""

from dataclasses import dataclass

from deploys.drivers import (
    BRANCHES,
    DEFAULT_BRANCH,
    Distribution,
    Family,
    Source,
    TrustedRepository,
    at_least,
    distribution_of,
    families_of,
    numbers,
)
from deploys.facts import Observed
from livefleet.spec import DriverSettings

__all__ = ["Wish", "change_due", "wish_of"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a host is to have, and where that comes from."""

    distribution: Distribution
    source: Source
    repository: TrustedRepository | None  # None: the distribution's own sources have it
    branch: int
    version: str | None
    flavour: str  # `open` or `proprietary`
    signed: bool  # modules built and signed by the distribution, none built here
    packages: tuple[str, ...]
    families: tuple[Family, ...]

    @property
    def pattern(self) -> str:
        """Versions that will do, as apt and sh match them."""
        return f"{self.version}" if self.version else f"{self.branch}.*"

    @property
    def told(self) -> str:
        """For people."""
        return self.version or f"branch {self.branch}"

    def is_met_by(self, version: str, min_version: str | None) -> bool:
        """Whether a driver of that version will do."""
        if min_version is not None and numbers(version) < numbers(min_version):
            return False
        return version == self.version if self.version else version.partition(".")[0] == str(self.branch)


def wish_of(settings: DriverSettings, facts: Observed) -> Wish | str:
    """The wish, or why there can be none."""
    distribution = distribution_of(facts.os_id, facts.os_version, facts.machine)
    if distribution is None:
        found = f"{facts.os_id or 'this system'} {facts.os_version} ({facts.machine})"
        return (
            f"no driver packages are known for {found}: install the driver yourself, and set"
            " `driver: {install: false}`"
        )
    families = families_of(facts.nvidia_pci)
    if not families:
        return (
            "the NVIDIA device is of a generation before Maxwell, which no driver here drives:"
            " set `gpus: none` and `driver: {install: false}`"
        )
    before_turing = any(not at_least(family.name, "turing") for family in families)
    flavour = settings.flavour
    if flavour == "auto":
        flavour = "proprietary" if before_turing else "open"
    branch = settings.wanted_branch or _default_branch(distribution)
    source, signed = _source(distribution, settings, facts, branch)
    nothing_old = settings.repository is None and min(distribution.branches) > DEFAULT_BRANCH
    if before_turing and nothing_old:
        return (
            f"cards before Turing need branch {DEFAULT_BRANCH} or older, and there is none of these for"
            f" {distribution.name}"
            f" (only {_listed(distribution)}): use Debian 12, Ubuntu 22.04 or 24.04 for them, or name a repository"
            " of your own"
            " in `driver: {repository: ...}`"
        )
    if source is None:
        return (
            f"branch {branch} is not to be had for {distribution.name};"
            f" choose `driver: {{branch: ...}}` among {_listed(distribution)}"
        )
    return Wish(
        distribution=distribution,
        source=source,
        repository=_repository(settings, source),
        branch=branch,
        version=settings.version,
        flavour=flavour,
        signed=signed,
        packages=_packages(source, branch, flavour, facts, signed=signed),
        families=families,
    )


def change_due(settings: DriverSettings, facts: Observed, wish: Wish) -> str | None:
    """Why the driver has to be changed; None where it is as declared, or is to be left alone."""
    found = facts.driver
    if found.change:
        return f"an earlier change was cut off ({found.change})"
    if found.broken:
        return f"packages are only half installed: {', '.join(found.broken)}"
    loaded = facts.nvidia_loaded
    if not loaded:
        if found.installed:
            return f"driver {found.installed} is installed and not loaded"
        return "there is no driver"
    if settings.wanted_branch is None and (
        settings.min_version is None or numbers(loaded) >= numbers(settings.min_version)
    ):
        return None
    if not wish.is_met_by(loaded, settings.min_version):
        return f"driver {loaded} is loaded, {wish.told} is declared"
    if found.installed and found.installed != loaded:
        return f"driver {loaded} is loaded and the packages are of {found.installed}: they do not work together"
    return None


def _default_branch(distribution: Distribution) -> int:
    if DEFAULT_BRANCH in distribution.branches:
        return DEFAULT_BRANCH
    lasting = [n for n in distribution.branches if BRANCHES[n].kind in ("long-term", "production")]
    return min(lasting)


def _source(
    distribution: Distribution, settings: DriverSettings, facts: Observed, branch: int
) -> tuple[Source | None, bool]:
    """The first source that can have it, and whether with modules signed by the distribution."""
    if settings.repository is not None:  # what a site's own repository holds is for the site to know
        return next(source for source in distribution.sources if source.repository is not None), False
    fitting = [
        source
        for source in distribution.sources
        if branch in source.branches and (source.exact_versions or settings.version is None)
    ]
    if facts.secure_boot:
        signing = next((source for source in fitting if source.prebuilt is not None), None)
        if signing is not None:
            return signing, True
    return (fitting[0] if fitting else None), False


def _repository(settings: DriverSettings, source: Source) -> TrustedRepository | None:
    own, known = settings.repository, source.repository
    if own is None or known is None:
        return known
    url = own.url.rstrip("/") + "/"
    key_url = own.key_url or url + known.key_url.rpartition("/")[2]
    return TrustedRepository(url, key_url, (own.key_fingerprint or known.fingerprint).upper())


def _packages(source: Source, branch: int, flavour: str, facts: Observed, *, signed: bool) -> tuple[str, ...]:
    if signed and source.prebuilt is not None:
        names = source.prebuilt(branch, flavour, facts.kernel)
    else:
        names = source.packages(branch, flavour)
    fabric = (source.fabric_manager(branch),) if facts.driver.nvswitch else ()
    return (*names, *fabric)


def _listed(distribution: Distribution) -> str:
    return ", ".join(map(str, distribution.branches))
