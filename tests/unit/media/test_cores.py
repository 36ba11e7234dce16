import os

import pytest

from livefleet.media.cores import busy_seconds, usable_cores

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("limits", "share"),
    [
        ({}, None),
        ({"": "max 100000"}, None),
        ({"system.slice/livefleet.service": "50000 100000"}, 0.5),
        ({"system.slice/livefleet.service": "max 100000", "system.slice": "25000 100000"}, 0.25),
        ({"system.slice": "not a limit"}, None),
    ],
)
def test_usable_cores__quota_anywhere_above__counts(tmp_path, limits, share):
    cgroup, hierarchy = tmp_path / "cgroup", tmp_path / "fs"
    cgroup.write_text("1:cpu:/elsewhere\n0::/system.slice/livefleet.service\n")
    for folder, text in limits.items():
        (hierarchy / folder).mkdir(parents=True, exist_ok=True)
        (hierarchy / folder / "cpu.max").write_text(text)
    expected = len(os.sched_getaffinity(0)) if share is None else share
    assert usable_cores(cgroup, hierarchy) == expected


def test_usable_cores__no_cgroup_v2__is_the_affinity_mask(tmp_path):
    assert usable_cores(tmp_path / "none", tmp_path) == len(os.sched_getaffinity(0))


def test_busy_seconds__counts_all_but_idle_on_our_cores(tmp_path):
    ours = min(os.sched_getaffinity(0))
    stat = tmp_path / "stat"
    stat.write_text(f"""cpu  9 9 9 9 9 9 9 9 9 9
cpu{ours} 100 20 30 9999 9999 4 5 41 7 8
cpu9999 1 1 1 1 1 1 1 1 1 1
intr 5 6 7
""")
    assert busy_seconds(stat) == 200 / os.sysconf("SC_CLK_TCK")
    assert busy_seconds() > 0
