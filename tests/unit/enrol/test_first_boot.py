"""First boot, from nothing to done: its states, what it waits for, and a cut at each point."""

import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from livefleet.enrol import EnrolError, Finding, write_durably
from livefleet.kernel import OutsideWorld
from livefleet.spec import load_node, node_digest, to_yaml
from livefleet.spec.enrol import FirstBootMode, Seed
from livefleet.spec.enrolment import EnrolAsk, EnrolFault
from tests.builders.enrol import SECRET, WORKERS, AHost, Operator, a_fleet_file

PAYOUT = "0x52908400098527886E0F7030069857D2E4169EE7"


@pytest.fixture
def operator(tmp_path):
    return Operator(a_fleet_file(tmp_path, tmp_path / "host"))


@pytest.fixture
def host(tmp_path, operator):
    return AHost(tmp_path / "host", operator)


def test_first_boot__with_a_token__is_enrolled_tested_started_and_marked(host, operator):
    host.seed(f"token: {operator.token()}\n")
    enrolment = host.boot()
    node = load_node(host.places.paths.node_yaml)
    assert enrolment.name == node.name == operator.store.hosts()[0].name
    assert enrolment.digest == node_digest(node)
    assert node.paths.resolve(node.secrets["join"]).read_text() == SECRET
    assert host.agent.starts == 1
    assert host.agent.named == node.name
    assert host.places.done.exists()
    for path in (host.places.paths.node_yaml, host.places.identity, node.paths.resolve("secrets/join")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_first_boot__enrolled__node_yaml_is_byte_for_byte_what_apply_would_write(host, operator):
    host.seed(f"token: {operator.token()}\n")
    name = host.boot().name
    record = operator.store.hosts()[0]
    fleet = operator.slices._fleet(record.name, WORKERS)
    assert host.places.paths.node_yaml.read_text() == to_yaml(fleet.node(name))


def test_first_boot__run_again__changes_and_asks_nothing(host, operator):
    host.seed(f"token: {operator.token()}\n")
    host.boot()
    before = {path: path.stat().st_mtime_ns for path in host.root.rglob("*") if path.is_file()}
    host.boot()
    assert {path: path.stat().st_mtime_ns for path in host.root.rglob("*") if path.is_file()} == before
    assert len(operator.asked) == 1
    assert host.agent.starts == 1


class Cut(Exception):
    """The power is gone."""


class Disk:
    """Durable writes, of which one is cut off: before it begins, or right after it counts."""

    def __init__(self, at, *, after):
        self.left = at
        self.after = after

    def __call__(self, path, content, **settings):
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Cut
        write_durably(path, content, **settings)
        if self.left == 0:
            raise Cut


@pytest.mark.parametrize("after", [False, True], ids=["before a write", "after a write"])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
def test_first_boot__power_cut__the_next_boot_ends_in_the_same_place(host, operator, at, after):
    host.seed(f"token: {operator.token()}\n")
    with pytest.raises(Cut):
        host.boot(write=Disk(at, after=after))
    if host.places.paths.node_yaml.exists():
        load_node(host.places.paths.node_yaml)
    key = host.places.identity.read_bytes() if host.places.identity.exists() else None
    host.boot()
    assert key in (None, host.places.identity.read_bytes())
    assert load_node(host.places.paths.node_yaml).name == operator.store.hosts()[0].name
    assert host.places.done.exists()
    assert len(operator.store.hosts()) == 1
    assert operator.store.tokens()[0].used == 1


def test_first_boot__all_its_writes__are_among_those_that_are_cut(host, operator):
    host.seed(f"token: {operator.token()}\n")
    host.boot(write=Disk(7, after=True))  # a seventh write would raise


def test_first_boot__answer_lost__the_next_question_brings_it(host, operator):
    host.seed(f"token: {operator.token()}\n")
    operator.deaf = 2
    host.boot()
    assert len(operator.asked) == 3
    assert operator.store.tokens()[0].used == 1


def test_first_boot__nobody_answers__goes_on_with_growing_waits(host, operator):
    host.seed(f"token: {operator.token()}\n")
    operator.away = 12
    host.boot()
    assert len(host.time.slept) == 12
    assert host.time.slept[0] < 3
    assert 48 <= host.time.slept[-1] <= 72
    assert host.said.count("nobody answers") == 1  # said once, not twelve times


def test_first_boot__time_is_over__gives_up_with_the_last_reason(host, operator):
    host.config = host.config.model_copy(update={"retry": host.config.retry.model_copy(update={"for_s": 100.0})})
    host.seed(f"token: {operator.token()}\n")
    operator.away = 1000
    with pytest.raises(OutsideWorld, match=r"not enrolled within 100 s: nobody answers"):
        host.boot()
    assert host.time.now == pytest.approx(100.0)


def test_first_boot__no_token__shows_its_code_and_waits_for_approval(host, operator):
    def approve():
        waiting = operator.store.hosts()[0]
        assert waiting.code in host.said
        if len(host.time.slept) == 3:
            operator.store.approve(waiting.code, WORKERS, operator.now)

    host.time.on_sleep = approve
    host.boot()
    assert host.time.slept == [10, 10, 10]
    assert host.said.count("waiting until") == 1
    assert host.places.done.exists()


def test_first_boot__no_token_and_no_claiming__asks_nobody_until_a_stick_comes(host, operator):
    host.config = host.config.model_copy(update={"claim": False})
    host.time.on_sleep = lambda: host.seed(f"token: {operator.token()}\n")
    host.boot()
    assert "no token yet" in host.said
    assert len(operator.asked) == 1


def test_first_boot__rejected__ends_and_says_so(host, operator):
    host.time.on_sleep = lambda: operator.store.reject(operator.store.hosts()[0].code)
    with pytest.raises(EnrolError) as caught:
        host.boot()
    assert caught.value.fault is EnrolFault.REJECTED
    assert not host.places.paths.node_yaml.exists()


def test_first_boot__token_is_used_by_another__takes_the_next_one_from_the_stick(host, operator):
    token = operator.token()
    thief = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    operator.store.asked(thief, EnrolAsk(name="host-x", token=token), "192.0.2.66", operator.now)
    host.seed(f"token: {token}\n")
    host.time.on_sleep = lambda: host.seed(f"token: {operator.token()}\n")
    host.boot()
    assert EnrolFault.TOKEN_USED.value in host.said


def test_first_boot__wrong_card__does_not_ask_until_the_right_one_shows(host, operator):
    host.seed(f"token: {operator.token()}\n")
    host.machine.problem = "the host has no NVIDIA card, and RTX 3060 is declared"

    def repair():
        assert not operator.asked
        host.machine.problem = ""

    host.time.on_sleep = repair
    host.boot()
    assert "RTX 3060 is declared" in host.said


def test_first_boot__a_test_fails__is_said_and_the_agent_starts_all_the_same(host, operator):
    host.seed(f"token: {operator.token()}\n")
    host.agent.findings = (Finding("GpuDriver", good=False, message="reboot"),)
    host.boot()
    assert "FAIL  GpuDriver: reboot" in host.said
    assert "1 tests failed" in host.said
    assert host.agent.starts == 1


def test_first_boot__agent_does_not_start__has_no_marker_and_the_next_run_starts_it(host, operator):
    host.seed(f"token: {operator.token()}\n")
    host.agent.fails = 1
    with pytest.raises(OutsideWorld):
        host.boot()
    assert not host.places.done.exists()
    host.boot()
    assert host.places.done.exists()
    assert len(operator.asked) == 1


def test_first_boot__pool_worker__needs_its_two_answers_and_keeps_them_over_a_cut(host, operator):
    host.config = host.config.model_copy(update={"mode": FirstBootMode.POOL_WORKER, "pool": "Titan"})
    host.seed(f"token: {operator.token()}\n")
    asked = []

    class Person:
        def ask(self, known):
            asked.append(known)
            return known.over(Seed(payout=PAYOUT, nickname="miner"))

    host.questions = Person()
    with pytest.raises(Cut):
        host.boot(write=Disk(3, after=False))
    host.boot()
    assert len(asked) == 1
    record = operator.store.hosts()[0]
    assert (record.ask.payout, record.ask.nickname) == (PAYOUT, "miner")
    assert record.name.startswith("miner-")
    assert "joins the pool Titan" in host.said


def test_first_boot__pool_worker_with_nobody_to_ask__waits_for_a_stick(host, operator):
    host.config = host.config.model_copy(update={"mode": FirstBootMode.POOL_WORKER})
    seed = f"token: {operator.token()}\n"
    host.seed(seed)
    host.time.on_sleep = lambda: host.seed(f"{seed}payout: '{PAYOUT}'\nnickname: miner\n")
    host.boot()
    assert "no payout address and nickname yet" in host.said


def test_first_boot__everything_that_it_says__has_no_secret(host, operator):
    token = operator.token()
    host.seed(f"token: {token}\n")
    host.boot()
    assert token not in host.said
    assert token.removeprefix("lf1-") not in host.said
    assert SECRET not in host.said
    kept = b"".join(path.read_bytes() for path in host.places.folder.rglob("*") if path.is_file())
    assert token.encode() not in kept


def test_first_boot__settings_for_another_tree__are_not_taken(tmp_path, operator):
    other = AHost(tmp_path / "elsewhere", operator)
    other.seed(f"token: {operator.token()}\n")
    other.config = other.config.model_copy(update={"retry": other.config.retry.model_copy(update={"for_s": 1.0})})
    with pytest.raises(OutsideWorld, match=r"the settings are for a tree at"):
        other.boot()
    assert not other.places.paths.node_yaml.exists()


def test_first_boot__host_was_set_up_by_apply__is_left_as_it_is(host, operator):
    host.seed(f"token: {operator.token()}\n")
    host.places.paths.node_yaml.write_text("applied")
    assert host.boot() is None
    assert host.places.paths.node_yaml.read_text() == "applied"
    assert "is left as it is" in host.said
    assert not operator.asked


def test_first_boot__host_that_pulls__gets_the_root_that_its_bundle_is_traced_to(tmp_path):
    path = a_fleet_file(tmp_path, tmp_path / "host")
    (tmp_path / "root.json").write_bytes(b"{the root}")
    pull = "    pull: {url: 'https://bundles.example.com/home', trust: root.json}\n    role: worker\n"
    path.write_text(path.read_text().replace("    role: worker\n", pull, 1))
    operator = Operator(path)
    host = AHost(tmp_path / "host", operator)
    host.seed(f"token: {operator.token()}\n")
    host.boot()
    node = load_node(host.places.paths.node_yaml)
    assert node.pull is not None
    assert node.paths.resolve(node.pull.trust).read_bytes() == b"{the root}"
