"""What a node takes on as requests to drain it come, expire and go."""

import pytest

from livefleet.kernel import Intake, Status
from livefleet.reconcile.resources import DrainResource, DrainTarget, Remaining, intake_with
from livefleet.spec import DrainOrder, DrainOrders, DrainState, save_drain
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit


class Role:
    """A role that goes by what it is told, with work as the test says."""

    def __init__(self):
        self.targets = []
        self.node = Remaining()
        self.devices = {"GPU-1": Remaining(), "GPU-2": Remaining()}
        self.relies = True

    def drain(self, target):
        self.targets.append(target)

    def remaining(self):
        return self.node

    def remaining_on(self):
        return self.devices

    def relies_on_devices(self):
        return self.relies


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def role():
    return Role()


@pytest.fixture
def resource(tmp_path, role, clock):
    return DrainResource(tmp_path, role, clock)


@pytest.fixture
def ask(tmp_path, clock):
    def save(*devices, deadline_s=60.0, on=None):
        order = DrainOrder(since=clock.now(), deadline_s=deadline_s, reason="test")
        save_drain(tmp_path, (on or DrainOrders()).adding(order, devices))

    return save


async def once(resource):
    plan = resource.plan(await resource.observe())
    for action in plan.actions:
        await resource.apply(action)
    return {condition.subject: condition for condition in plan.conditions}


async def test_no_request__serves_and_says_so(resource, role):
    conditions = await once(resource)
    assert role.targets == [DrainTarget()]
    assert (conditions[""].status, conditions[""].gates_ready) == (Status.TRUE, False)
    assert resource.report().state is DrainState.IN_SERVICE


async def test_node__running_streams_go_on_until_the_deadline(resource, role, clock, ask):
    ask()
    role.node = Remaining(sessions=2, segments=1)
    conditions = await once(resource)
    assert role.targets[-1].intake is Intake.RUNNING
    assert (conditions[""].status, conditions[""].reason) == (Status.FALSE, "Draining")
    assert "2 session(s), 1 segment(s) in flight, 60 s to the deadline" in conditions[""].message
    assert not conditions[""].gates_ready
    clock.time += 60
    conditions = await once(resource)
    assert role.targets[-1].intake is Intake.CLOSED
    assert conditions[""].reason == "Draining"  # a segment is in flight still
    role.node = Remaining(sessions=2)
    assert (await once(resource))[""].reason == "Drained"


async def test_node__sessions_end_by_themselves__drained_before_the_deadline(resource, role, ask):
    ask()
    role.node = Remaining(sessions=1)
    await once(resource)
    assert resource.report().state is DrainState.DRAINING
    role.node = Remaining()
    assert resource.report().state is DrainState.DRAINED


async def test_node__role_does_not_go_by_it_yet__is_not_called_drained(resource, role, ask):
    await once(resource)
    ask()
    assert resource.report().state is DrainState.DRAINING
    await once(resource)
    assert resource.report().is_drained()


async def test_request_taken_back__serves_again(resource, role, ask, tmp_path):
    ask()
    await once(resource)
    save_drain(tmp_path, DrainOrders())
    conditions = await once(resource)
    assert role.targets[-1] == DrainTarget()
    assert conditions[""].status is Status.TRUE


async def test_request__is_there_at_the_start__is_followed_at_once(tmp_path, role, clock, ask):
    ask()
    await once(DrainResource(tmp_path, role, clock))
    assert [target.intake for target in role.targets] == [Intake.RUNNING]


async def test_one_device_of_two__node_stays_in_service(resource, role, ask):
    ask("GPU-1")
    role.devices = {"GPU-1": Remaining(segments=1), "GPU-2": Remaining(sessions=1)}
    conditions = await once(resource)
    assert role.targets[-1] == DrainTarget(devices=frozenset({"GPU-1"}))
    assert (conditions[""].status, conditions["GPU-1"].reason) == (Status.TRUE, "Draining")
    role.devices["GPU-1"] = Remaining()
    assert (await once(resource))["GPU-1"].reason == "Drained"


async def test_all_devices__is_a_request_of_the_node(resource, role, clock, ask):
    ask("GPU-1", "GPU-2")
    role.node = Remaining(sessions=1)
    conditions = await once(resource)
    assert {c.reason for c in conditions.values()} == {"Draining"}
    assert resource.report().state is DrainState.DRAINING
    clock.time += 61
    await once(resource)
    assert role.targets[-1].closed_devices == {"GPU-1", "GPU-2"}
    assert resource.report().state is DrainState.DRAINED


async def test_all_devices__others_work_for_the_node__it_stays_in_service(resource, role, ask):
    role.relies = False
    ask("GPU-1", "GPU-2")
    conditions = await once(resource)
    assert conditions[""].status is Status.TRUE


async def test_unknown_device__is_told(resource, ask):
    ask("GPU-9")
    condition = (await once(resource))["GPU-9"]
    assert condition.reason == "UnknownDevice"
    assert "GPU-1, GPU-2" in condition.message


async def test_unreadable_request__counts_as_one_of_the_node(resource, role, tmp_path):
    (tmp_path / "drain.json").write_text("{")
    conditions = await once(resource)
    assert role.targets[-1].intake is Intake.RUNNING
    assert conditions[""].reason == "RequestUnreadable"
    assert "drain.json" in conditions[""].message


@pytest.mark.parametrize(
    ("target", "devices", "relies", "intake"),
    [
        (DrainTarget(), ("a", "b"), True, Intake.OPEN),
        (DrainTarget(devices=frozenset("a")), ("a", "b"), True, Intake.OPEN),
        (DrainTarget(devices=frozenset("ab")), ("a", "b"), True, Intake.RUNNING),
        (DrainTarget(devices=frozenset("ab"), closed_devices=frozenset("a")), ("a", "b"), True, Intake.RUNNING),
        (DrainTarget(devices=frozenset("ab"), closed_devices=frozenset("ab")), ("a", "b"), True, Intake.CLOSED),
        (DrainTarget(devices=frozenset("ab")), ("a", "b"), False, Intake.OPEN),
        (DrainTarget(devices=frozenset("ab")), (), True, Intake.OPEN),
        (DrainTarget(intake=Intake.CLOSED), ("a",), False, Intake.CLOSED),
    ],
)
def test_intake_with__devices(target, devices, relies, intake):
    assert intake_with(target, devices, relies_on_devices=relies) is intake
