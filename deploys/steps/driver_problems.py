"""What keeps a host from getting the driver that is declared: all reasons, found before anything is touched."""

from deploys.drivers import BRANCHES, DEFAULT_BRANCH, at_least, families_of, family_of, numbers, runtime_of
from deploys.facts import Observed
from deploys.steps.driver_wish import Wish, change_due, wish_of
from livefleet.spec import NodeSpec, card_of, card_problems

__all__ = ["driver_problems"]

_USR_KIB = 2_500_000  # libraries, modules and their source, for two versions side by side
_BOOT_KIB = 65_536  # besides one more initial ramdisk, which is written whole before the old one goes
_DISTRIBUTIONS = ("Debian", "Ubuntu")


def driver_problems(node: NodeSpec, facts: Observed, *, local: bool = False) -> list[str]:
    """Every reason, each with what to do. `local`: the host is the machine that the deploy runs on."""
    settings = node.driver
    wrong = _wrong_cards(node, facts)
    if not facts.nvidia_pci:
        return wrong
    problems = [*(wrong or _families(node, facts)), *_encoders(node, facts)]
    if not settings.install:
        return [*problems, *_runtime(node, facts, facts.nvidia_loaded)]
    wish = wish_of(settings, facts)
    if isinstance(wish, str):
        # A driver that somebody else put here may serve all the same, where none is declared.
        alone = settings.wanted_branch is None and facts.nvidia_loaded
        return problems if alone else [*problems, wish]
    problems += _pairing(wish)
    reason = change_due(settings, facts, wish)
    if reason is None:
        return [*problems, *_runtime(node, facts, facts.nvidia_loaded)]
    return [*problems, *_runtime(node, facts, wish.version or str(wish.branch)), *_host(node, facts, wish, local=local)]


def _wrong_cards(node: NodeSpec, facts: Observed) -> list[str]:
    """Cards that the node is to use and that are none of those it is declared for."""
    if node.gpus == "none":
        return []
    if isinstance(node.gpus, tuple) and any(uuid in node.gpus for uuid, _ in facts.nvidia_gpus):
        return list(card_problems(node.cards, [model for uuid, model in facts.nvidia_gpus if uuid in node.gpus]))
    named = [model for _, model in facts.nvidia_gpus if card_of(model) is not None]
    return list(card_problems(node.cards, named if len(named) == len(facts.nvidia_pci) else facts.nvidia_pci))


def _families(node: NodeSpec, facts: Observed) -> list[str]:
    wanted = node.driver.families
    wrong = [family.name for family in families_of(facts.nvidia_pci) if wanted and family.name not in wanted]
    if not wrong:
        return []
    profile = f"profile {node.profile}" if node.profile else "`driver: {families: ...}`"
    return [
        (
            f"the host has {', '.join(wrong)} cards, and {profile} is for {', '.join(wanted)}:"
            " give the host the profile of its cards"
        )
    ]


def _encoders(node: NodeSpec, facts: Observed) -> list[str]:
    cards = [family for device in facts.nvidia_pci if (family := family_of(device)) is not None]
    if node.duties.transcoding and node.gpus != "none" and cards and not any(card.encoder for card in cards):
        return [
            (
                "its cards have no encoder (A30, A100, H100, H200, B200 and the like): take the duty `transcoding` off,"
                " or set"
                " `gpus: none` to transcode on the CPU"
            )
        ]
    return []


def _pairing(wish: Wish) -> list[str]:
    oldest, newest = wish.families[0], wish.families[-1]
    if not oldest.open_modules and not newest.proprietary_modules:
        return ["devices before Turing and Blackwell ones cannot share a host: no kernel modules drive both"]
    problems = []
    branch = BRANCHES.get(wish.branch)
    if wish.flavour == "open" and not oldest.open_modules:
        problems.append(
            f"the open kernel modules do not drive devices before Turing, and {oldest.name} ones are here;"
            " use `driver: {flavour: proprietary}`"
        )
    if wish.flavour == "proprietary" and not newest.proprietary_modules:
        problems.append("Blackwell devices need the open kernel modules; use `driver: {flavour: open}`")
    if wish.flavour == "proprietary" and branch is not None and branch.open_only:
        problems.append(f"branch {wish.branch} has no proprietary kernel modules any more; use an older branch")
    if branch is not None and not at_least(oldest.name, branch.oldest):
        problems.append(
            f"branch {wish.branch} does not drive {oldest.name.capitalize()} devices any more;"
            f" use `driver: {{branch: {DEFAULT_BRANCH}}}`, the last that does"
        )
    if wish.branch < newest.first_branch:
        problems.append(
            f"branch {wish.branch} does not drive {newest.name.capitalize()} devices yet, the first that does is"
            f" {newest.first_branch}; use `driver: {{branch: {DEFAULT_BRANCH}}}`"
        )
    return problems


def _runtime(node: NodeSpec, facts: Observed, version: str) -> list[str]:
    """What the agent's own libraries want of a driver of that version."""
    families = families_of(facts.nvidia_pci)
    if node.gpus == "none" or not version or not families:
        return []
    return [
        f"{runtime.name} needs driver {'.'.join(map(str, runtime.driver))} or newer, and {version} is"
        f" {'what the host has' if version == facts.nvidia_loaded else 'declared'};"
        f" use `driver: {{branch: {DEFAULT_BRANCH}}}`"
        for runtime in runtime_of(transcoding=node.duties.transcoding is not None)
        if numbers(version) < runtime.driver
    ]


def _host(node: NodeSpec, facts: Observed, wish: Wish, *, local: bool) -> list[str]:
    """Reasons on the host itself; asked only where something is to be done."""
    found = facts.driver
    problems = []
    if facts.uid != 0:
        problems.append(
            "installing the NVIDIA driver needs root; set `ssh: {sudo: true}` or `driver: {install: false}`"
        )
    if not facts.apt:
        problems.append("there is no apt-get to install the NVIDIA driver with; set `driver: {install: false}`")
    if found.runfile:
        problems.append(
            "a driver from a .run file is here, which apt does not know: run `nvidia-uninstall`, reboot, apply again"
        )
    elif facts.nvidia_loaded and not found.driver_packages:
        problems.append(
            f"driver {facts.nvidia_loaded} is loaded and belongs to no package, so that it cannot be changed from here:"
            " whoever put it there has to, or set `driver: {install: false}`"
        )
    problems += [*_nouveau(node, facts, local=local), *_secure_boot(facts, wish), *_foreign(facts, wish)]
    problems += [*_kernel(facts, wish), *_room(facts)]
    if found.apt_holder:
        problems.append(f"apt is in use by {found.apt_holder}: apply again when it is done")
    return problems


def _nouveau(node: NodeSpec, facts: Observed, *, local: bool) -> list[str]:
    if not facts.nouveau:
        return []
    if facts.driver.display:
        return [
            (
                "nouveau drives a screen at the NVIDIA card: move the screen to another card or unplug it, stop the"
                " desktop (`systemctl set-default multi-user.target`), reboot and apply again"
            )
        ]
    if node.driver.reboot_window is None or local:
        return [
            (
                "nouveau is loaded, and only a reboot takes it away: declare `driver: {reboot_window: ...}`, or"
                " blacklist it (`echo blacklist nouveau > /etc/modprobe.d/nouveau.conf && update-initramfs -u`), reboot"
                " and apply again"
            )
        ]
    return []


def _secure_boot(facts: Observed, wish: Wish) -> list[str]:
    if not facts.secure_boot or wish.signed or facts.driver.mok == "enrolled":
        return []
    if facts.driver.mok == "pending":
        return [
            (
                "secure boot is on, and the key that signs modules built here waits to be confirmed: reboot, and choose"
                " `Enroll MOK` at the machine's own console (a KVM or BMC will do) before it starts; then apply again"
            )
        ]
    signed = (
        f" leave out `version` and use `branch: {DEFAULT_BRANCH}`, for which Ubuntu has signed modules; or"
        if wish.distribution.os_id == "ubuntu"
        else ""
    )
    return [
        (
            "secure boot is on, and the kernel would refuse modules built here, because no machine owner's key (MOK) is"
            f" enrolled:{signed} install `dkms` and `mokutil`, make the key (`dkms generate_mok`, where dkms has that;"
            " Ubuntu:"
            " `update-secureboot-policy --new-key`), run `mokutil --import` on it, which asks for a password to choose,"
            " reboot,"
            " choose `Enroll MOK` at the machine's own console and give that password, then apply again; or turn secure"
            " boot off"
            " in the firmware. None of this can be done from here, so nothing was begun"
        )
    ]


def _foreign(facts: Observed, wish: Wish) -> list[str]:
    """Package sources that are neither the distribution's, NVIDIA's for it, nor declared, and have a newer driver."""
    known = {wish.repository.url.rstrip("/")} if wish.repository else set()
    known |= {s.repository.url.rstrip("/") for s in wish.distribution.sources if s.repository is not None}
    newer: dict[str, str] = {}
    for offer in facts.driver.offers:
        url = offer.source.split(" ")[0].rstrip("/")
        if offer.origin in _DISTRIBUTIONS or url in known or offer.branch <= wish.branch:
            continue
        newer.setdefault(url, f"{offer.name} {offer.version}{f' of {offer.origin}' if offer.origin else ''}")
    return [
        f"package source {url} has a newer driver than is declared ({what}; {wish.told} is declared), and a host's"
        " driver"
        f" must come from one source: remove it (`grep -rl {url} /etc/apt`), or name it in `driver: {{repository:"
        " ...}}`"
        for url, what in newer.items()
    ]


def _kernel(facts: Observed, wish: Wish) -> list[str]:
    problems = []
    if not wish.signed and facts.driver.headers == "absent":
        problems.append(
            f"modules cannot be built for the running kernel {facts.kernel}: its headers are neither here nor in any"
            " package"
            " source (it was updated and not rebooted, or is one of your own): reboot into the newest kernel, or"
            " install"
            " its headers, and apply again"
        )
    versions = {package.upstream for package in facts.driver.driver_packages}
    stale = sorted({v for line in facts.driver.dkms if (v := _dkms_version(line)) not in versions})
    if stale:
        problems.append(
            f"dkms has modules of NVIDIA's that no package owns ({', '.join(stale)}), and would build these over the"
            " new ones:"
            f" `dkms remove nvidia/{stale[0]} --all`, apply again"
        )
    return problems


def _dkms_version(line: str) -> str:
    """`580.95.05` of `nvidia/580.95.05, 6.1.0-27-amd64, x86_64: installed` (dkms 3) or `nvidia, 580.95.05, ...`."""
    head = line.replace(":", ",").replace("/", ",").split(",")
    return head[1].strip() if len(head) > 1 else ""


def _room(facts: Observed) -> list[str]:
    found = facts.driver
    problems = []
    if found.usr_free_kib and found.usr_free_kib < _USR_KIB:
        problems.append(
            f"{found.usr_free_kib // 1024} MiB are free at /usr; the driver needs {_USR_KIB // 1024} MiB: make room"
        )
    needed_kib = _BOOT_KIB + found.initrd_kib
    if found.boot_free_kib and found.initrd_kib and found.boot_free_kib < needed_kib:
        problems.append(
            f"{found.boot_free_kib // 1024} MiB are free at /boot, and a new initial ramdisk needs"
            f" {needed_kib // 1024} MiB:"
            " remove old kernels (`apt-get autoremove --purge`) and apply again"
        )
    return problems
