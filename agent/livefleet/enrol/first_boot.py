"""First boot: from a machine that nobody knows to an agent that runs as one of the fleet.

    (new) --key made--> asking --let in--> placing --noted--> testing --> starting --marker--> done
                        ^   | no network, nobody approves yet, wrong card, ...
                        '---'

What has been reached is on disk before the next step begins: the key, the note `enrolled.json`, the marker. A cut at
any point, or a run too many, ends in the same place; the service gives the same key the same answer.
"""

import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from livefleet.enrol.durable import Owner, make_folder, write_durably
from livefleet.enrol.errors import EnrolError, HostFault
from livefleet.enrol.identity import Identity, ensure_identity
from livefleet.enrol.machine import AgentService, Machine, Questions, Service
from livefleet.enrol.placing import Enrolment, EnrolPlaces, place
from livefleet.enrol.screen import Screen
from livefleet.enrol.seeds import SeedSources
from livefleet.kernel import Backoff, OutsideWorld
from livefleet.spec.enrol import FirstBoot, FirstBootMode, Seed
from livefleet.spec.enrolment import EnrolAsk, EnrolFault, Enrolled, Waiting

__all__ = ["FirstBootRun", "Waits"]

log = logging.getLogger(__name__)

_ANSWERS = "answers.json"


@dataclass(frozen=True, slots=True)
class Waits:
    """Time and chance."""

    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    rng: random.Random = random.Random()  # noqa: RUF009 -- jitter


class FirstBootRun:
    """One run on one host, to its end."""

    def __init__(
        self,
        config: FirstBoot,
        places: EnrolPlaces,
        *,
        service_of: Callable[[Identity], Service],
        seeds: SeedSources,
        machine: Machine,
        agent: AgentService,
        questions: Questions,
        screen: Screen,
        release: str,
        owner: Owner | None = None,
        waits: Waits | None = None,
        write: Callable[..., None] = write_durably,
    ) -> None:
        self._config = config
        self._places = places
        self._service_of = service_of
        self._seeds = seeds
        self._machine = machine
        self._agent = agent
        self._questions = questions
        self._screen = screen
        self._release = release
        self._owner = owner
        self._waits = waits or Waits()
        self._write = write

    def run(self) -> Enrolment | None:
        """Until the agent runs and the marker is there; None, and nothing done, for a host that has other settings.

        Raises EnrolError where the operator has rejected the host, OutsideWorld when `retry.for_s` is over or the agent
        cannot be started, BadInput for a damaged key.
        """
        if self._places.is_set_up_otherwise:
            self._screen.set_up_otherwise(str(self._places.paths.node_yaml))
            return None
        make_folder(self._places.folder, owner=self._owner)
        identity = ensure_identity(self._places.identity, owner=self._owner, write=self._write)
        enrolment = self._places.enrolled()
        if enrolment is None:
            enrolment = self._enrol(identity)
        if not self._places.done.exists():
            self._finish(enrolment)
        return enrolment

    def _enrol(self, identity: Identity) -> Enrolment:
        service = self._service_of(identity)
        retry, waits = self._config.retry, self._waits
        backoff = Backoff(first_s=retry.first_s, factor=1.5, cap_s=retry.cap_s, jitter=0.2)
        until = None if retry.for_s is None else waits.monotonic() + retry.for_s
        self._screen.begins(identity.name(self._config.name_prefix), self._machine.address(), self._pool)
        while True:
            try:
                answer = self._ask(identity, service)
                if isinstance(answer, Enrolled):
                    return place(
                        answer, self._places, self._config.url, self._config.trust, owner=self._owner, write=self._write
                    )
            except (EnrolError, OutsideWorld) as error:
                if isinstance(error, EnrolError) and error.fault is EnrolFault.REJECTED:
                    raise
                why = str(error)
                wait_s = backoff.next(waits.rng)
                log.info("first_boot.not_yet", extra={"fault": getattr(error, "fault", "disk"), "error": why})
                self._screen.trouble(why, wait_s)
            else:
                assert isinstance(answer, Waiting)
                why = f"nobody has approved the code {answer.code}"
                backoff.reset()
                wait_s = answer.again_s
                self._screen.waits(answer.code, self._pool)
            left_s = wait_s if until is None else until - waits.monotonic()
            if left_s <= 0:
                raise OutsideWorld(f"not enrolled within {retry.for_s:g} s: {why}")
            waits.sleep(min(wait_s, left_s))

    def _ask(self, identity: Identity, service: Service) -> Waiting | Enrolled:
        facts = self._machine.facts()
        if facts.problem:
            raise EnrolError(HostFault.WRONG_HARDWARE, facts.problem)
        seed = self._seed()
        is_pool = self._config.mode is FirstBootMode.POOL_WORKER
        return service.ask(
            EnrolAsk(
                name=identity.name(self._config.name_prefix),
                token=seed.token,
                mode=self._config.mode,
                profile=self._config.profile,
                payout=seed.payout if is_pool else None,
                nickname=seed.nickname if is_pool else None,
                gpus=facts.gpus,
                cores=facts.cores,
                memory_mib=facts.memory_mib,
                release=self._release,
            )
        )

    def _seed(self) -> Seed:
        """What this host is told by whoever sets it up, as far as it is needed."""
        found = self._seeds.look()
        told = "; ".join(found.problems)
        seed = found.seed
        if seed.token is None and (told or not self._config.claim):
            raise EnrolError(
                EnrolFault.NEEDS_TOKEN, told or "no token yet: put in a stick that `livefleet enrol usb` has written"
            )
        if self._config.mode is FirstBootMode.POOL_WORKER:
            seed = seed.over(self._kept())
            return seed if seed.answers_pool else self._answered(seed)
        return seed

    def _answered(self, seed: Seed) -> Seed:
        asked = self._questions.ask(seed)
        if asked is None or not asked.answers_pool:
            raise EnrolError(
                EnrolFault.NO_ANSWERS,
                "no payout address and nickname yet: put in a stick with a file livefleet.yaml that has `payout:`"
                " and `nickname:`",
            )
        kept = Seed(payout=asked.payout, nickname=asked.nickname)
        text = kept.model_dump_json(exclude_none=True)
        self._write(self._places.folder / _ANSWERS, text.encode(), owner=self._owner)
        return asked

    def _kept(self) -> Seed:
        """What was answered before a power cut."""
        try:
            return Seed.model_validate_json((self._places.folder / _ANSWERS).read_bytes())
        except (OSError, ValueError):
            return Seed()

    def _finish(self, enrolment: Enrolment) -> None:
        self._screen.enrolled(enrolment.name, enrolment.fleet)
        self._agent.name_machine(enrolment.name)
        findings = self._agent.check(self._places.paths.node_yaml)
        self._screen.tested(findings)
        agent = self._agent.start()
        faults = [item.what for item in findings if not item.good]
        marker = {"name": enrolment.name, "fleet": enrolment.fleet, "failed_tests": faults}
        self._write(self._places.done, json.dumps(marker).encode(), mode=0o644)
        address = self._machine.address()
        self._screen.done(enrolment.name, enrolment.fleet, enrolment.code, address, len(faults), agent)

    @property
    def _pool(self) -> str | None:
        if self._config.mode is not FirstBootMode.POOL_WORKER:
            return None
        return self._config.pool or self._config.url.removeprefix("https://")
