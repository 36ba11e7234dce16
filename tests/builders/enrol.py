"""A fleet that hosts enrol at, and a host that boots for the first time."""

import random
from pathlib import Path

from livefleet.control.enrol.slices import FleetSlices
from livefleet.control.enrol.store import EnrolStore, NotLetIn
from livefleet.control.enrol.tokens import Template, TemplateKind, new_token
from livefleet.enrol import EnrolError, EnrolPlaces, Finding, FirstBootRun, MachineFacts, Screen, SeedSources, Waits
from livefleet.kernel import OutsideWorld
from livefleet.spec import NodePaths
from livefleet.spec.enrol import FirstBoot
from livefleet.spec.enrolment import SeenGpu, Waiting

PIN = "sha256:" + "ab" * 32
WORKERS = Template(TemplateKind.GROUP, "workers")
SECRET = "join-secret-7f3a"

FLEET = """\
# The home fleet.
name: home
secrets:
  join: {{env: JOIN_SECRET}}
defaults: {{profile: cpu}}
groups:
  workers: # they come by themselves
    root: {root}
    role: worker
    duties: [transcoding]
    monitoring: {{admin_listen: "127.0.0.1:{port}"}}
    worker: {{orchestrator: "127.0.0.1:{port}", secret: join}}
  chained:
    root: {root}
    role: orchestrator
    duties: [transcoding]
    orchestrator: {{service_uri: "https://127.0.0.1:8935", worker_secret: join}}
hosts:
  gpu-1:
    address: 10.0.0.1 # behind the door
    groups: [workers]

# Nothing below.
rollout: {{canary: 1}}
"""


def a_fleet_file(folder: Path, root: Path, port: int = 17936) -> Path:
    """fleet.yaml whose workers keep their tree at `root`."""
    path = folder / "fleet.yaml"
    path.write_text(FLEET.format(root=root, port=port))
    return path


class Operator:
    """The operator's side without its sockets: honours Service by the real store and slices."""

    def __init__(self, fleet: Path):
        self.fleet = fleet
        self.slices = FleetSlices(fleet, {"JOIN_SECRET": SECRET})
        self.store = EnrolStore(fleet.with_suffix(".enrolled.sqlite3"), self.slices.declared)
        self.now = 1_000_000.0
        self.asked = []
        self.away = 0  # questions that are not answered
        self.deaf = 0  # answers that are lost

    def token(self, template=WORKERS, *, valid_s=3600.0, uses=1):
        text, token = new_token(template, now=self.now, valid_s=valid_s, uses=uses)
        self.store.add(token)
        return text

    def as_service_of(self, identity):
        return _AsService(self, identity)


class _AsService:
    def __init__(self, operator, identity):
        self._operator = operator
        self._key = identity.public_key.hex()

    def ask(self, ask):
        operator = self._operator
        operator.asked.append(ask)
        if operator.away:
            operator.away -= 1
            raise OutsideWorld("nobody answers")
        try:
            host = operator.store.asked(self._key, ask, "192.0.2.7", operator.now)
        except NotLetIn as error:
            raise EnrolError(error.fault, error.fault.value) from error
        if operator.deaf:
            operator.deaf -= 1
            raise OutsideWorld("the answer was lost")
        if host.state == "waiting":
            return Waiting(code=host.code, again_s=10)
        return operator.slices.answer(host)


class NoVolumes:
    def read(self, label, name, most):
        return None


class AMachine:
    def __init__(self, problem=""):
        self.problem = problem

    def facts(self):
        return MachineFacts((SeenGpu(name="NVIDIA GeForce RTX 3060", uuid="GPU-1"),), 8, 16_000, self.problem)

    def address(self):
        return "192.0.2.7"


class AnAgent:
    def __init__(self):
        self.starts = 0
        self.fails = 0
        self.findings = (Finding("spec", good=True, message="fine"),)
        self.named = None

    def name_machine(self, name):
        self.named = name

    def check(self, node_yaml):
        assert node_yaml.exists()
        return self.findings

    def start(self):
        if self.fails:
            self.fails -= 1
            raise OutsideWorld("`systemctl start livefleet.service` did not work")
        self.starts += 1
        return "livefleet.service runs"


class Nobody:
    """Before the machine."""

    def ask(self, known):
        return None


class Time:
    """Passes when somebody sleeps; `on_sleep` is what happens meanwhile."""

    def __init__(self):
        self.now = 0.0
        self.slept = []
        self.on_sleep = lambda: None

    def sleep(self, seconds):
        assert len(self.slept) < 1000, "it never ends"
        self.slept.append(seconds)
        self.now += seconds
        self.on_sleep()

    def waits(self):
        return Waits(self.sleep, lambda: self.now, random.Random(1))


class AHost:
    """A machine with an image; each `boot` is one run of first boot."""

    def __init__(self, root: Path, operator: Operator, **settings):
        self.root = root
        self.operator = operator
        self.config = FirstBoot(url="https://ops.example.com:8939", trust={"pins": [PIN]}, **settings)
        self.places = EnrolPlaces(NodePaths(root))
        self.machine = AMachine()
        self.agent = AnAgent()
        self.questions = Nobody()
        self.time = Time()
        self.lines = []

    def seed(self, text: str):
        path = self.root / "etc/livefleet/livefleet.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def boot(self, **replaced):
        run = FirstBootRun(
            self.config,
            self.places,
            service_of=self.operator.as_service_of,
            seeds=SeedSources(self.config.seed, self.root, NoVolumes(), {}),
            machine=self.machine,
            agent=self.agent,
            questions=self.questions,
            screen=Screen(self.lines.append, self.config.url),
            release="0.1.0",
            waits=self.time.waits(),
            **replaced,
        )
        return run.run()

    @property
    def said(self) -> str:
        return "\n".join(self.lines)
