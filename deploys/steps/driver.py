"""The NVIDIA driver: facts in, commands out.

What is known of cards, branches and distributions stands in `deploys/drivers/`; what keeps a host from the declared
driver in `driver_problems.py`, which preflight asks first; how a change runs on the host in `files/driver.sh`;
DRIVERS.md tells it for people.
"""

from dataclasses import dataclass

from deploys.facts import Observed
from deploys.outcome import Command, Outcome, Reboot, Shell, refuse
from deploys.steps.drain import drain
from deploys.steps.driver_problems import driver_problems
from deploys.steps.driver_script import (
    REBOOT,
    Service,
    change_script,
    driver_files,
    patch_words,
    run_script,
    toolkit_words,
)
from deploys.steps.driver_wish import Wish, change_due, wish_of
from deploys.steps.preflight import ServiceKind
from deploys.steps.service import supervisor_command
from livefleet.spec import NodeSpec
from livefleet.spec.drain import DRAIN_FILE

__all__ = ["driver"]

_TOOLKIT = "nvidia-container-toolkit"


def driver(node: NodeSpec, kind: ServiceKind, opt: str, facts: Observed, *, now: float, local: bool = False) -> Outcome:
    """Install, change, keep, wait for the window, leave alone, or say why the wish is impossible.

    `now`: unix seconds. `local`: the host is the machine that the deploy runs on, which cannot reboot itself.
    """
    settings = node.driver
    if not facts.nvidia_pci:
        return Outcome(notes=("skipped: no NVIDIA device on the PCI bus",))
    problems = driver_problems(node, facts, local=local)
    if problems:
        return refuse("; ".join(problems))
    if not settings.install:
        return Outcome(notes=("skipped: `driver: {install: false}`",))
    wish = wish_of(settings, facts)
    if isinstance(wish, str):
        return Outcome(notes=(f"skipped: driver {facts.nvidia_loaded} is loaded, and none is declared",))
    host = _Host(node, kind, opt, facts, wish, local=local)
    reason = change_due(settings, facts, wish)
    return host.keep() if reason is None else host.change(reason, now)


@dataclass(frozen=True, slots=True)
class _Host:
    node: NodeSpec
    kind: ServiceKind
    opt: str
    facts: Observed
    wish: Wish
    local: bool

    def change(self, reason: str, now: float) -> Outcome:
        """Bring the declared driver, in its window where a reboot may be needed and one is declared."""
        settings, facts = self.node.driver, self.facts
        window = None if self.local else settings.reboot_window
        closes_at = window.closes_at(now) if window else None
        serves = facts.nvidia_loaded and not facts.driver.change
        if window is not None and closes_at is None and (serves or facts.nouveau):
            meanwhile = f"driver {facts.nvidia_loaded} goes on serving" if serves else "without a driver until then"
            return Outcome(
                notes=(f"waiting for its window, {window.told(now)}: {reason}; {meanwhile}; apply again then",)
            )
        script = change_script(
            settings,
            facts,
            self.wish,
            self._service(),
            begin_before=closes_at or 0,
            reboot_allowed=closes_at is not None,
        )
        commands: tuple[Command, ...]
        if closes_at is None:
            commands = (run_script(script, "change", "check", "settle"),)
        else:
            reboot = Reboot(when=REBOOT, within_s=settings.reboot_timeout_s)
            commands = (
                run_script(script, "change"),
                reboot,
                run_script(script, "check"),
                reboot,
                run_script(script, "settle"),
            )
        return Outcome(
            commands=(*commands, *self._beside(settings.version or "", changed=True)),
            notes=(*self._told(reason, reboots=closes_at is not None), *self._beside_notes(changed=True)),
            diff=self._difference(),
            alone=self._serves,
        )

    def keep(self) -> Outcome:
        """The driver is as declared, or none is: hold it, and see to what is beside it."""
        settings, facts = self.node.driver, self.facts
        loaded = facts.nvidia_loaded
        declared = settings.wanted_branch is not None
        commands: list[Command] = []
        notes = [f"skipped: driver {loaded} is loaded{', as declared' if declared else ''}"]
        loose = [p.name for p in facts.driver.driver_packages if not p.held]
        if declared and loose:
            script = change_script(settings, facts, self.wish, self._service())
            commands.append(run_script(script, "keep"))
            notes = [f"driver {loaded} is as declared; hold {len(loose)} package(s) of it at that version"]
        beside = self._beside(loaded, changed=False)
        return Outcome(
            commands=(*commands, *beside),
            notes=(*notes, *self._beside_notes(changed=False)),
            diff=self._difference() if commands else (),
        )

    def _told(self, reason: str, *, reboots: bool) -> tuple[str, ...]:
        facts, wish = self.facts, self.wish
        modules = f"{wish.flavour} modules {'signed by the distribution' if wish.signed else 'built here'}"
        count = len(facts.nvidia_pci)
        verb = "change the driver to" if facts.nvidia_loaded or facts.driver.installed else "install driver"
        first = f"{verb} {wish.told}, {modules}, from {wish.source.name}, for {count} NVIDIA device(s): {reason}"
        notes = [first]
        if self._serves:
            patience = f"{self.node.driver.drain_deadline_s:g} s"
            notes.append(f"the agent is drained first (streams get {patience}) and started again afterwards")
        if reboots:
            notes.append("the host is rebooted where the modules cannot be exchanged without it")
        return tuple(notes)

    @property
    def _serves(self) -> bool:
        return self.facts.active and bool(self.facts.current)

    def _service(self) -> Service:
        if not self._serves:
            return Service()
        node = self.node
        if self.kind is ServiceKind.SYSTEMD:
            stop, start = "systemctl stop livefleet.service", "systemctl restart livefleet.service"
        else:
            stop = supervisor_command(node, self.opt, "stop", None)
            start = f"{stop}; {supervisor_command(node, self.opt, 'start', None)}"
        asked = drain(
            node,
            self.opt,
            self.facts,
            deadline=f"{node.driver.drain_deadline_s:g}",
            reason="the NVIDIA driver is being changed",
            wait=True,
        )
        words = [c.text.removeprefix("set -eu\n") for c in asked.commands if isinstance(c, Shell)]
        return Service("\n".join(words), str(node.paths.state / DRAIN_FILE), stop, start)

    def _difference(self) -> tuple[str, ...]:
        return tuple(f"{path}: {line}" for path, text in driver_files(self.wish).items() for line in text.splitlines())

    # -- container toolkit and session patch
    # -----------------------------------------------------------------------------

    def _wants_toolkit(self) -> bool:
        has = any(package.name == _TOOLKIT and package.whole for package in self.facts.driver.packages)
        return self.node.driver.container_toolkit and not has

    def _patch_due(self, version: str, *, changed: bool) -> str | None:
        """The phase that brings the encoder's library to what is declared; None where it is."""
        patch, facts = self.node.driver.session_patch, self.facts
        if patch is None:
            return "restore_and_start" if facts.driver.encode_kept and not changed else None
        if not changed and facts.driver.encode_sha256 == patch.outcome and facts.driver.encode_kept == patch.outcome:
            return None
        return patch_words(version, patch)

    def _beside(self, version: str, *, changed: bool) -> tuple[Command, ...]:
        phases = [toolkit_words()] if self._wants_toolkit() else []
        patch = self._patch_due(version, changed=changed)
        phases += [patch] if patch else []
        if not phases:
            return ()
        script = change_script(self.node.driver, self.facts, self.wish, self._service())
        return (run_script(script, *phases),)

    def _beside_notes(self, *, changed: bool) -> tuple[str, ...]:
        notes = ["install the NVIDIA container toolkit"] if self._wants_toolkit() else []
        due = self._patch_due(self.node.driver.version or "", changed=changed)
        if due is not None:
            notes.append(
                "put NVIDIA's own encoder library back"
                if self.node.driver.session_patch is None
                else "change the encoder library as `session_patch` says; NVIDIA's own is kept"
            )
        return tuple(notes)
