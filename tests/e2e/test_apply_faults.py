"""Things that break while a real host is applied to: it runs what is old or what is new, and the next apply repairs it.

The stronger half for every run; the rest has the marker `fault`.
"""

import json
import os
import time

import pytest

from tests.builders.apply_faults import BIN, FaultyHost, Seen

POWER = "systemctl --force --force reboot; sleep 60"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def faulty(lab_hosts, tmp_path_factory):
    made = FaultyHost(lab_hosts("one"), tmp_path_factory.mktemp("faults"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def old(faulty) -> Seen:
    """The host as first applied, although another program held apt's lock for a while."""
    held = "mkdir -p /run/held && flock /var/lib/dpkg/lock-frontend sh -c 'touch /run/held/now; sleep 6'"
    faulty.host.run(f"setsid sh -c {held!r} >/dev/null 2>&1 </dev/null & while ! [ -e /run/held/now ]; do :; done")
    began = time.monotonic()
    result = faulty.apply()
    assert result["outcome"] == "changed", result
    assert time.monotonic() - began > 3
    return as_whole(faulty.seen())


def as_whole(seen: Seen) -> Seen:
    """One state through and through: what runs is what would start."""
    assert seen.ready, seen
    assert not seen.pending, seen
    assert (seen.process, seen.told) == (seen.current, seen.written), seen
    return seen


def test_disk_is_full__what_ran_runs_on_and_nothing_of_the_new_one_stays(faulty, old):
    faulty.declare("DEBUG", "second")
    faulty.host.run("mount -t tmpfs -o size=1m,mode=700 tmpfs /opt/livefleet/cache")
    result = faulty.apply()
    faulty.host.run("umount /opt/livefleet/cache")
    assert (result["outcome"], result["failed_step"]) == ("failed", "agent")
    assert as_whole(faulty.seen()) == old
    assert faulty.host.run("ls /opt/livefleet/releases").stdout.split() == [old.current]


def test_release_does_not_start__host_goes_back_by_itself_and_says_so(faulty, old):
    faulty.declare("DEBUG", "third", broken=True)
    result = faulty.apply()
    assert (result["outcome"], result["failed_step"]) == ("failed", "service")
    assert f"went back to {old.current}" in result["reason"], result
    assert as_whole(faulty.seen()) == old
    deeds = [(deed["before"], deed["outcome"]) for deed in faulty.journal()]
    assert deeds == [("", "serving"), (old.current, "went back")]


def test_power_is_lost_when_the_switch_is_decided__host_boots_into_the_new_one(faulty, old):
    faulty.declare("DEBUG", "fourth")
    boot = faulty.host.boot_id()
    faulty.trap("mv", "/opt/livefleet/switching", f'/bin/mv "$@"; {POWER}')
    result = faulty.apply()
    assert result["outcome"] == "failed", result
    faulty.host.wait_ready()
    assert faulty.host.boot_id() != boot
    seen = as_whole(faulty.until_ready())
    assert (seen.current != old.current, seen.level) == (True, "DEBUG")
    faulty.untrap()
    assert faulty.host.run("systemctl show -P TimeoutStopUSec livefleet").stdout.strip() == "21s"  # the new unit's
    assert faulty.apply()["outcome"] == "changed"  # it is not known what was started, so it is started again
    assert faulty.apply()["outcome"] == "unchanged"
    assert as_whole(faulty.seen()) == seen


def test_rollback__by_hand_and_by_pyinfra__what_ran_before_runs_again(faulty, old):
    done = faulty.lab.run(faulty.command("rollback", "one"), timeout_s=120, cwd=faulty.checkout)
    assert '"outcome": "changed"' in done.stdout
    assert as_whole(faulty.seen()) == old
    by_file = [str(BIN / "pyinfra"), "-y", "inventory/fleet.py", "deploys/rollback.py"]
    environment = os.environ | {"LIVEFLEET_SPEC": str(faulty.spec)}
    again = faulty.lab.run(by_file, timeout_s=120, cwd=faulty.checkout, env=environment)
    assert f"{old.current} is what it went back to already" in again.stdout + again.stderr
    told = faulty.lab.run([str(BIN / "livefleet"), "journal", "--fleet", str(faulty.spec), "--json"], timeout_s=60)
    deeds = [(deed["host"], deed["action"], deed["outcome"]) for deed in json.loads(told.stdout)["deeds"]]
    assert deeds[-1] == ("one", "rollback", "serving")
    assert ("one", "apply", "went back") in deeds


CUT = "kill -9 0"
MOMENTS = {
    "installing": ("sync", "-f /opt/livefleet/releases", CUT),
    "power lost while installing": ("sync", "-f /opt/livefleet/releases", POWER),
    "staging": ("sync", "-f /opt/livefleet/staged", CUT),
    "power lost while staging": ("sync", "-f /opt/livefleet/staged", POWER),
    "just decided": ("mv", "/opt/livefleet/switching", f'/bin/mv "$@"; {CUT}'),
    "in the switch": ("ln", "/opt/livefleet/current.new", CUT),
    "power lost in the switch": ("ln", "/opt/livefleet/current.new", POWER),
    "before the restart": ("systemctl", "restart livefleet.service", CUT),
    "power lost in the restart": ("systemctl", "restart livefleet.service", POWER),
}


@pytest.mark.fault
@pytest.mark.parametrize("moment", MOMENTS)
def test_cut_off__at_any_step__old_or_new_and_the_next_apply_repairs_it(faulty, old, moment):
    faulty.declare("INFO", "first")
    faulty.apply()
    assert as_whole(faulty.until_ready()) == old
    faulty.declare("DEBUG", moment)
    faulty.trap(*MOMENTS[moment])
    assert faulty.apply()["outcome"] == "failed"
    faulty.host.wait_ready(120)
    runs = faulty.until_ready()
    assert runs.ready
    assert (runs.process == old.process) == (runs.told == old.told), runs  # old release, old settings; or both new
    faulty.host.run("systemctl kill --signal KILL livefleet")
    faulty.host.run("sleep 4")  # its unit starts it again
    would_start = as_whole(faulty.until_ready())
    assert (would_start.current == old.current) == (would_start.level == "INFO")
    faulty.untrap()
    repaired = faulty.apply()
    assert repaired["outcome"] in ("changed", "unchanged"), repaired
    assert as_whole(faulty.seen()).level == "DEBUG"
    assert faulty.apply()["outcome"] == "unchanged"


@pytest.mark.fault
def test_network_is_lost_without_a_word__apply_ends_and_the_next_one_repairs_it(faulty, old):
    faulty.declare("INFO", "first")
    faulty.apply()
    faulty.declare("DEBUG", "no network")
    faulty.trap("sync", "-f /opt/livefleet/releases", "touch /run/installing; sleep 5")
    run = faulty.begin()
    faulty.until("[ -e /run/installing ]")
    faulty.lab.run(["ip", "link", "set", "veth0", "down"])
    began = time.monotonic()
    try:
        assert run.wait(200) == 1
    finally:
        faulty.lab.run(["ip", "link", "set", "veth0", "up"])
    assert time.monotonic() - began < 150
    assert as_whole(faulty.until_ready()) == old
    faulty.untrap()
    assert faulty.apply()["outcome"] == "changed"
    assert as_whole(faulty.seen()).level == "DEBUG"


@pytest.mark.fault
def test_wheel_is_broken__old_runs_on_and_the_next_apply_sends_it_again(faulty, old):
    faulty.declare("INFO", "first")
    faulty.apply()
    faulty.declare("DEBUG", "broken wheel")
    faulty.host.run("cd /opt/livefleet/bundles/*/wheels && truncate -s 1000 click-*.whl && rm -rf /opt/livefleet/cache")
    result = faulty.apply()
    assert (result["outcome"], result["failed_step"]) == ("failed", "agent"), result
    assert as_whole(faulty.seen()) == old
    assert faulty.apply()["outcome"] == "changed"
    assert as_whole(faulty.seen()).level == "DEBUG"
