import pytest

from livefleet.hardware import Aside, DevicesAside
from livefleet.kernel import Intake
from livefleet.reconcile.resources import DrainTarget, Remaining, intake_with
from livefleet.roles.set_aside import WithoutSickDevices, without_sick

pytestmark = pytest.mark.unit

A, B = "GPU-a", "GPU-b"


class Told:
    """A role that remembers what it was told."""

    def __init__(self):
        self.targets = []

    def drain(self, target):
        self.targets.append(target)

    def remaining(self):
        return Remaining(1, 2)

    def remaining_on(self):
        return {A: Remaining(1, 2)}

    def relies_on_devices(self):
        return True


def test_without_sick__the_dead_are_closed__the_others_only_emptied():
    target = without_sick(DrainTarget(), {A: Aside("hot"), B: Aside("lost", is_dead=True)})
    assert target == DrainTarget(Intake.OPEN, frozenset({A, B}), frozenset({B}))


def test_sick_device__is_emptied_beside_what_operators_ask__and_theirs_stays():
    role, aside = Told(), DevicesAside()
    both = WithoutSickDevices(role, aside)
    both.drain(DrainTarget(devices=frozenset({B})))
    aside.set_aside(A, "hot")
    aside.set_aside(A, "hot")
    aside.set_aside(B, "hot")
    aside.take_back(A)
    aside.take_back(B)
    assert [sorted(target.devices) for target in role.targets] == [[B], [A, B], [A, B], [B], [B]]
    both.drain(DrainTarget(intake=Intake.CLOSED))
    assert role.targets[-1] == DrainTarget(intake=Intake.CLOSED)
    assert (both.remaining(), both.remaining_on(), both.relies_on_devices()) == (
        Remaining(1, 2), {A: Remaining(1, 2)}, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("aside", "intake"),
    [
        ({}, Intake.OPEN),
        ({A: Aside("lost", is_dead=True)}, Intake.OPEN),
        ({A: Aside("hot"), B: Aside("lost", is_dead=True)}, Intake.RUNNING),
        ({A: Aside("lost", is_dead=True), B: Aside("lost", is_dead=True)}, Intake.CLOSED),
    ],
)
def test_node__takes_what_its_devices_can_do(aside, intake):
    assert intake_with(without_sick(DrainTarget(), aside), [A, B], relies_on_devices=True) is intake


def test_listener__that_left__hears_no_more():
    aside, heard = DevicesAside(), []
    leave = aside.on_change(lambda: heard.append(sorted(aside.devices)))
    aside.set_aside(A, "hot")
    leave()
    aside.take_back(A)
    assert (heard, A in aside) == ([[A]], False)
