from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.hardware import (
    DAMPING,
    OTHER_XID,
    RECOVERY,
    SIGN_ROWS,
    XID_ROWS,
    EccCounts,
    Ends,
    Fault,
    GpuLook,
    GpuMemory,
    GpuSample,
    GpuState,
    NvmlFault,
    PcieLink,
    RemappedRows,
    XidEvent,
    cleared,
    judge,
)
from livefleet.spec import GpuAction, GpuHealthSettings, GpuSign

pytestmark = pytest.mark.unit

A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
BUS = "00000000:01:00.0"
TABLE = GpuHealthSettings()
QUIET_S = 1801.0


def a_sample(**fields):
    return GpuSample(index=0, uuid=A, pci_bus_id=BUS, utilization=50, **fields)


def xid(code, at=100.0, text=""):
    return XidEvent(A, BUS, code, at, text)


class Gpu:
    """Looks at one GPU in turn, as the resource does."""

    def __init__(self, settings=TABLE):
        self.settings = settings
        self.memory = GpuMemory()
        self.events = []
        self.boot = "boot-1"

    def look(self, now, *reports, sample=None, fault=None, missing=False, **fields):
        self.events += [xid(code, now) if isinstance(code, int) else code for code in reports]
        shown = None if missing else sample or a_sample(**fields)
        seen = GpuLook(now, self.boot, shown, fault, tuple(self.events))
        verdict, self.memory = judge(seen, self.memory, self.settings)
        return verdict

    def reboot(self):
        self.boot, self.events = self.boot + "+", []


def test_nothing_wrong__is_healthy_and_stays():
    gpu = Gpu()
    assert [gpu.look(now).state for now in (100.0, 200.0, 1e6)] == [GpuState.HEALTHY] * 3


def test_tables__every_code_and_sign_once_with_words():
    codes = [code for row in XID_ROWS for code in row.codes]
    assert len(codes) == len(set(codes))
    assert {row.sign for row in SIGN_ROWS} == set(GpuSign)
    assert [row.action for row in RECOVERY] == list(range(8))
    assert all(row.meaning and row.advice and row.reason.isalnum() for row in (*XID_ROWS, *SIGN_ROWS, *RECOVERY))
    assert all(row.source for row in (*XID_ROWS, *SIGN_ROWS))


@pytest.mark.parametrize("row", [*XID_ROWS, OTHER_XID], ids=lambda row: row.reason)
def test_report__leads_to_what_its_row_says_and_is_over_when_it_says(row):
    for code in row.codes or (999,):
        gpu = Gpu()
        first = gpu.look(100.0, code)
        assert first.state is row.state, code
        if row.state is not GpuState.HEALTHY:
            assert (first.reason, row.advice in first.advice) == (row.reason, True)
        late = gpu.look(100.0 + QUIET_S)
        assert (late.state is GpuState.HEALTHY) == (row.ends is Ends.QUIET), code
        gpu.reboot()
        gpu.look(5000.0)
        after = gpu.look(5000.0 + TABLE.hold_s)
        assert (after.state is GpuState.HEALTHY) == (row.ends is not Ends.PERSON), code


@pytest.mark.parametrize("row", [row for row in XID_ROWS if row.repeated], ids=lambda row: row.reason)
def test_report__repeated__leads_to_what_its_row_says(row):
    rule, code = row.repeated, row.codes[0]
    within = Gpu()
    for number in range(rule.count):
        verdict = within.look(100.0 + number, code)
        if number < rule.count - 1:
            assert (verdict.state, verdict.reason) == (row.state, row.reason)
    assert (verdict.state, verdict.reason) == (rule.state, f"{row.reason}Repeated")
    assert rule.advice in verdict.advice
    apart = Gpu()
    for number in range(rule.count):
        verdict = apart.look(100.0 + number * (rule.within_s / max(rule.count - 1, 1) + 1), code)
    assert verdict.reason == row.reason


@pytest.mark.parametrize(
    ("fault", "sign"),
    [
        (Fault.NO_LIBRARY, GpuSign.LIBRARY_MISSING), (Fault.NO_DRIVER, GpuSign.DRIVER_MISSING),
        (Fault.MISMATCH, GpuSign.DRIVER_MISMATCH), (Fault.NO_PERMISSION, GpuSign.NO_PERMISSION),
        (Fault.BLOCKED, GpuSign.BLOCKED), (Fault.HANGING, GpuSign.NOT_ANSWERING), (Fault.OTHER, GpuSign.NVML_ERROR),
        (Fault.LOST, GpuSign.LOST), (Fault.RESET_REQUIRED, GpuSign.RESET_REQUIRED),
    ],
)  # fmt: skip
@pytest.mark.parametrize("whole", [True, False])
def test_no_answer__is_aside_and_comes_back_a_while_after_it_answers(fault, sign, whole):
    row = next(row for row in SIGN_ROWS if row.sign is sign)
    gpu, said = Gpu(), NvmlFault(fault, "the driver's words")
    gpu.look(0.0)
    verdict = gpu.look(100.0, fault=said, missing=True) if whole else gpu.look(100.0, sample=a_sample(fault=said))
    assert (verdict.state, verdict.reason) == (row.state, row.reason)
    assert "the driver's words" in verdict.text
    held = gpu.look(101.0)
    assert (held.state, held.reason, held.back_in_s) == (GpuState.DRAIN, "HeldBack", TABLE.hold_s)
    assert gpu.look(101.0 + TABLE.hold_s).state is GpuState.HEALTHY


@pytest.mark.parametrize("back_s", [90.0, 86_400.0])
def test_no_answer__the_clock_is_set_back_meanwhile__stays_aside_and_is_held_no_longer_than_else(back_s):
    gpu, lost, start = Gpu(), a_sample(fault=NvmlFault(Fault.LOST, "gone")), 1e6
    assert gpu.look(start, sample=lost).reason == "GpuLost"
    assert gpu.look(start - back_s, sample=lost).reason == "GpuLost"
    assert gpu.look(start).reason == "HeldBack"
    assert gpu.look(start - back_s).back_in_s == TABLE.hold_s
    assert gpu.look(start - back_s + TABLE.hold_s).state is GpuState.HEALTHY


def test_every_fault_of_nvml__has_a_sign():
    for kind in Fault:
        assert Gpu().look(1.0, sample=a_sample(fault=NvmlFault(kind, ""))).state.is_aside


def test_not_in_the_list__is_aside_until_it_is_back():
    gpu = Gpu()
    assert (gpu.look(1.0, missing=True).reason, gpu.look(2.0).reason) == ("Missing", "HeldBack")
    assert gpu.look(20.0).state is GpuState.HEALTHY


DETAILS = [
    ({"ecc": EccCounts(volatile_uncorrected=1)}, GpuSign.ECC_UNCORRECTABLE, 5),
    ({"remapped": RemappedRows(0, 3, pending=False, failed=True)}, GpuSign.ROW_REMAP_FAILED, 0),
    ({"remapped": RemappedRows(0, 3, pending=True, failed=False)}, GpuSign.ROW_REMAP_PENDING, 0),
    ({"retirement_pending": True}, GpuSign.RETIREMENT_PENDING, 0),
    ({"retired_pages": 60}, GpuSign.PAGES_RETIRED, 0),
    ({"throttle": 0x20}, GpuSign.THERMAL_SLOWDOWN, 60),
    ({"throttle": 0x40}, GpuSign.HARDWARE_THERMAL_SLOWDOWN, 60),
    ({"throttle": 0x8}, GpuSign.HARDWARE_SLOWDOWN, 60),
    ({"throttle": 0x80}, GpuSign.POWER_BRAKE, 60),
    ({"pcie": PcieLink(4, 4, 4, 16)}, GpuSign.PCIE_DEGRADED, 60),
    ({"pcie": PcieLink(1, 4, 16, 16)}, GpuSign.PCIE_DEGRADED, 60),
]


@pytest.mark.parametrize(("fields", "sign", "after_s"), DETAILS)
def test_detail__counts_once_it_has_stood_long_enough__and_is_over_when_it_is_gone(fields, sign, after_s):
    row = next(row for row in SIGN_ROWS if row.sign is sign)
    assert row.after_s == after_s
    gpu = Gpu()
    first = gpu.look(100.0, **fields)
    assert first.state is (row.state if not after_s else GpuState.HEALTHY)
    verdict = gpu.look(100.0 + after_s, **fields)
    assert (verdict.state, verdict.reason) == (row.state, row.reason)
    if row.later is not None:
        assert gpu.look(100.0 + row.later.after_s, **fields).state is row.later.state
    gpu.look(500.0)
    assert gpu.look(500.0 + row.gap_s + TABLE.hold_s + 1).state is GpuState.HEALTHY


@pytest.mark.parametrize("fields", [{"throttle": 0x1 | 0x2 | 0x4 | 0x10 | 0x100 | 0x600}, {"retired_pages": 59}, {}])
def test_ordinary_throttling__means_nothing(fields):
    gpu = Gpu()
    assert {gpu.look(float(now), **fields).state for now in range(0, 4000, 60)} == {GpuState.HEALTHY}


def test_heat__that_flickers__counts_as_one_stretch():
    gpu = Gpu()
    states = [gpu.look(float(now), throttle=0x20 if now % 10 == 0 else 0).state for now in range(0, 70, 5)]
    assert states[-1] is GpuState.WATCH
    assert states[:12] == [GpuState.HEALTHY] * 12


def test_narrow_link__idle__tells_nothing_either_way():
    gpu = Gpu()
    narrow = PcieLink(1, 4, 16, 16)
    idle = replace(a_sample(pcie=narrow), utilization=0)
    assert {gpu.look(float(now), sample=idle).state for now in range(0, 300, 30)} == {GpuState.HEALTHY}
    for now in range(300, 400, 30):
        busy = gpu.look(float(now), pcie=narrow)
    assert busy.reason == "PcieDegraded"
    assert gpu.look(1000.0, sample=idle).reason == "PcieDegraded"
    assert gpu.look(1001.0, pcie=PcieLink(4, 4, 16, 16)).state is GpuState.HEALTHY


@pytest.mark.parametrize("row", RECOVERY, ids=lambda row: row.reason)
def test_drivers_advice__is_followed(row):
    verdict = Gpu().look(100.0, recovery_action=row.action)
    assert verdict.state is row.state
    if row.action:
        assert (verdict.reason, verdict.advice) == (row.reason, row.advice)


def test_drivers_advice__comes_before_the_table():
    gpu = Gpu()
    assert gpu.look(100.0, 109, recovery_action=0).state is GpuState.RESET  # the advice is from before the report
    assert gpu.look(106.0, recovery_action=0).state is GpuState.DRAIN  # held for a while
    assert gpu.look(130.0, recovery_action=0).state is GpuState.WATCH
    assert gpu.look(131.0, recovery_action=2).state is GpuState.REBOOT


def test_drivers_advice__does_not_soften_what_needs_a_person():
    gpu = Gpu()
    gpu.look(100.0, 64, recovery_action=0)
    assert gpu.look(200.0, recovery_action=0).state is GpuState.REPLACE


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)", GpuState.RESET),
        ("GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)", GpuState.REBOOT),
        ("GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)", GpuState.WATCH),
        ("", GpuState.WATCH),
        ("to 0x99", GpuState.WATCH),
    ],
)
def test_154__names_the_advice_where_nvml_does_not_tell(text, state):
    assert Gpu().look(100.0, xid(154, 100.0, text)).state is state


def test_contained_error__is_watched__and_reset_is_asked_for_without_the_report():
    gpu = Gpu()
    contained = {"ecc": EccCounts(volatile_uncorrected=1)}
    gpu.look(100.0, 94, **contained)
    assert gpu.look(200.0, **contained).state is GpuState.WATCH
    other = Gpu()
    other.look(100.0, **contained)
    assert other.look(200.0, **contained).reason == "EccUncorrectable"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ecc": EccCounts(volatile_uncorrected=3)}, {"ecc": EccCounts(volatile_uncorrected=0)}),
        ({"pcie": PcieLink(replays=9)}, {"pcie": PcieLink(replays=0)}),
        ({"recovery_action": 1}, {"recovery_action": 0}),
        ({"energy_mj": 900}, {"energy_mj": 5}),
        ({"fault": NvmlFault(Fault.LOST, "")}, {}),
        ({"fault": NvmlFault(Fault.RESET_REQUIRED, "")}, {}),
    ],
)
def test_reset__is_seen_by_what_it_sets_back(before, after):
    gpu = Gpu()
    gpu.look(99.0)
    gpu.look(100.0, 48, sample=a_sample(**before))
    assert gpu.look(110.0, sample=a_sample(**before)).state.is_dead
    assert gpu.look(200.0, **after).reason == "HeldBack"
    assert gpu.look(220.0, **after).state is GpuState.HEALTHY
    assert gpu.look(230.0, xid(48, 229.0), **after).state is GpuState.RESET


def test_reset__nobody_saw_one__it_stays_aside():
    gpu = Gpu()
    gpu.look(100.0, 48)
    assert gpu.look(1e6).state is GpuState.RESET


def test_driver_loaded_anew__as_the_sampler_saw__ends_what_a_reset_ends():
    memory = GpuMemory()
    event = (xid(48),)
    verdict, memory = judge(GpuLook(100.0, "b", a_sample(), events=event), memory, TABLE)
    assert verdict.state is GpuState.RESET
    verdict, memory = judge(GpuLook(200.0, "b", a_sample(), events=event, settled_at=150.0), memory, TABLE)
    assert verdict.reason == "HeldBack"


def test_flapping__each_return_takes_longer__then_it_is_quarantined_until_a_person_takes_it_back():
    gpu, now, holds = Gpu(), 0.0, []
    lost = a_sample(fault=NvmlFault(Fault.LOST, "lost"))
    while (verdict := gpu.look(now, sample=lost)).state is not GpuState.QUARANTINE:
        started = now = now + 1
        while gpu.look(now).state.is_aside:
            now += 1
        holds.append(now - started)
        now += 1
        assert len(holds) < 10
    assert holds == [15.0, 30.0, 60.0, 120.0]
    assert (verdict.reason, "gpu clear" in verdict.advice) == ("ComesAndGoes", True)
    assert gpu.look(now + 10 * DAMPING.window_s).state is GpuState.QUARANTINE
    gpu.reboot()
    assert gpu.look(now + 11 * DAMPING.window_s).state is GpuState.QUARANTINE
    later = now + 12 * DAMPING.window_s
    gpu.memory = cleared(gpu.memory, later)
    gpu.look(later)
    assert gpu.look(later + TABLE.hold_s).state is GpuState.HEALTHY


def test_flapping__of_the_driver_as_a_whole__quarantines_nobody():
    gpu, now = Gpu(), 0.0
    for _ in range(20):
        assert gpu.look(now, fault=NvmlFault(Fault.HANGING, ""), missing=True).state is GpuState.DRAIN
        gpu.look(now + 1)
        assert gpu.look(now + 1 + TABLE.hold_s).state is GpuState.HEALTHY
        now += 60


def test_cleared__what_still_shows_is_judged_anew():
    gpu = Gpu()
    failed = {"remapped": RemappedRows(0, 3, pending=False, failed=True)}
    assert gpu.look(100.0, 64, **failed).state is GpuState.REPLACE
    gpu.memory = cleared(gpu.memory, 200.0)
    again = gpu.look(201.0, **failed)
    assert (again.state, again.signs[0].key, len(again.signs)) == (GpuState.REPLACE, "row-remap-failed", 1)


@pytest.mark.parametrize("action", list(GpuAction))
def test_override__of_a_report_and_of_a_sign__holds_from_the_first_on(action):
    settings = GpuHealthSettings(xid={13: action}, signs={GpuSign.LOST: action})
    gpu = Gpu(settings)
    for now in range(100, 110):
        verdict = gpu.look(float(now), 13)
    assert verdict.state is GpuState.of(action)
    other = Gpu(settings)
    assert other.look(1.0, sample=a_sample(fault=NvmlFault(Fault.LOST, ""))).state is GpuState.of(action)
    needs_person = action in (GpuAction.QUARANTINE, GpuAction.REPLACE)
    other.look(2.0)
    assert other.look(100.0).state.is_aside == needs_person
    gpu.look(109.0 + QUIET_S)
    lasts = needs_person or action in (GpuAction.RESET, GpuAction.REBOOT)
    assert gpu.look(109.0 + QUIET_S + TABLE.hold_s).state.is_aside == lasts


def test_override__taken_back__the_table_counts_again():
    gpu = Gpu(GpuHealthSettings(xid={79: GpuAction.OBSERVE}))
    assert gpu.look(100.0, 79).state is GpuState.WATCH
    gpu.settings = TABLE
    assert gpu.look(101.0).state is GpuState.REBOOT


def test_kernel_log_read_anew_by_the_next_run__counts_no_report_twice():
    gpu = Gpu()
    for at in (100.0, 101.0):
        gpu.look(at, 37)
    kept = tuple(replace(report, is_recalled=True) for report in gpu.memory.reports)
    gpu.memory = replace(gpu.memory, reports=kept)
    gpu.events = [xid(37, 100.3), xid(37, 101.3)]
    assert gpu.look(102.0).reason == "DriverFirmware"
    assert len(gpu.memory.reports) == 2
    assert gpu.look(103.0, 37).reason == "DriverFirmwareRepeated"


SIGNS = st.fixed_dictionaries(
    {},
    optional={
        "throttle": st.integers(0, 0xFFF),
        "retired_pages": st.integers(0, 100),
        "retirement_pending": st.booleans(),
        "recovery_action": st.integers(0, 9),
        "remapped": st.builds(RemappedRows, st.just(0), st.integers(0, 9), pending=st.booleans(), failed=st.booleans()),
        "ecc": st.builds(EccCounts, volatile_uncorrected=st.integers(0, 9)),
        "pcie": st.builds(PcieLink, st.integers(1, 4), st.just(4), st.integers(1, 16), st.just(16)),
        "fault": st.builds(NvmlFault, st.sampled_from(Fault), st.just("")),
    },
)
CODES = st.sampled_from([code for row in XID_ROWS for code in row.codes if code not in (94, 154)] + [999])
REPORTS = st.lists(st.tuples(CODES, st.integers(0, 400)), max_size=8)


@settings(max_examples=60)
@given(fields=SIGNS, reports=REPORTS, more=REPORTS, stretch=st.integers(0, 400))
def test_judge__more_reports__never_a_milder_verdict(fields, reports, more, stretch):
    """A contained error (94) is the exception that the table declares; a 154 is advice, which may be good news."""

    def state(*lists):
        gpu = Gpu()
        events = [xid(code, float(at)) for code, at in [one for each in lists for one in each]]
        gpu.look(0.0, sample=a_sample(**fields))
        return gpu.look(float(stretch), *[e for e in events if e.at <= stretch], sample=a_sample(**fields)).state

    assert state(reports, more).rank >= state(reports).rank


@settings(max_examples=60)
@given(fields=SIGNS, reports=REPORTS, stretch=st.integers(0, 400), data=st.data())
def test_judge__worse_sample__never_a_milder_verdict(fields, reports, stretch, data):
    worse = dict(fields)
    worse["throttle"] = fields.get("throttle", 0) | data.draw(st.integers(0, 0xFFF))
    worse["retired_pages"] = fields.get("retired_pages", 0) + data.draw(st.integers(0, 100))
    worse["retirement_pending"] = fields.get("retirement_pending", False) or data.draw(st.booleans())
    if "ecc" in fields:
        more = fields["ecc"].volatile_uncorrected + data.draw(st.integers(0, 9))
        worse["ecc"] = EccCounts(volatile_uncorrected=more)

    def state(sample):
        gpu = Gpu()
        gpu.look(0.0, *[xid(code, float(at)) for code, at in reports if at <= stretch], sample=a_sample(**sample))
        return gpu.look(float(stretch), sample=a_sample(**sample)).state

    assert state(worse).rank >= state(fields).rank


@settings(max_examples=40)
@given(looks=st.lists(st.tuples(SIGNS, st.booleans(), REPORTS), min_size=1, max_size=12))
def test_judge__any_history__an_aside_verdict_says_why_and_what_to_do(looks):
    gpu, now = Gpu(), 0.0
    for fields, missing, reports in looks:
        now += 20
        verdict = gpu.look(now, *[xid(code, now - at / 20) for code, at in reports], missing=missing, **fields)
        assert verdict.state is max((s.state for s in verdict.signs), key=lambda s: s.rank, default=verdict.state) or (
            verdict.reason == "HeldBack"
        )
        assert not verdict.state.is_aside or (verdict.text and verdict.advice and verdict.reason)
        assert (gpu.memory.aside_since is not None) == verdict.state.is_aside
