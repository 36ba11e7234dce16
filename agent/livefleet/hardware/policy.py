"""Judging one GPU: what NVML shows, what the driver reports, and what is remembered, against the tables. Pure.

              fault               fault over, and over a while longer (hold)
healthy/watch -----> drain, reset, reboot ---------------------------------> healthy/watch
                         |  comes back and fails too often
                         '----------> quarantine, replace --- a person takes it back ---> healthy/watch
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from livefleet.hardware.models import GpuSample, NvmlFault, XidEvent
from livefleet.hardware.policy_memory import Counters, GpuMemory, Latch, Report, Span, counters_of, merged
from livefleet.hardware.policy_rows import DAMPING, Ends, Facet, GpuState, RecoveryRow, Repeated, XidRow
from livefleet.hardware.policy_signs import Shown, shown, sign_row
from livefleet.hardware.policy_xid import FOLLOW_CODE, recovery_row, xid_row
from livefleet.spec import GpuHealthSettings, GpuSign

__all__ = ["GpuLook", "GpuVerdict", "Sign", "cleared", "judge"]

_QUIET_S: Final = 1800.0
_KEPT_S: Final = 30 * 86_400.0
_ADVICE_AFTER_S: Final = 5.0  # the driver's advice is read anew within so long of a report
_CONTAINED: Final = 94
_COMES_AND_GOES: Final = "comes-and-goes"
_CLEAR: Final = "then take it back: `livefleet agent gpu clear UUID` on the host"


@dataclass(frozen=True, slots=True)
class GpuLook:
    """One look at a GPU that is, or was, there."""

    now: float  # unix seconds
    boot: str  # the run of the kernel
    sample: GpuSample | None = None  # None: NVML does not list it
    fault: NvmlFault | None = None  # NVML as a whole gives no answer
    events: tuple[XidEvent, ...] = ()  # all reports about it that this run of the agent has
    settled_at: float = 0.0  # unix seconds of a load of its driver that somebody else has seen
    card: str = ""  # why it is the wrong card


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that is wrong with it."""

    key: str  # `xid-79`, or the name of a sign
    facet: Facet
    state: GpuState
    reason: str
    text: str  # what it means, and what was seen
    advice: str
    since: float
    is_of_node: bool = False
    ends: Ends = Ends.GONE


@dataclass(frozen=True, slots=True)
class GpuVerdict:
    """How the GPU is."""

    state: GpuState
    reason: str = "Healthy"  # CamelCase
    text: str = "nothing is wrong"
    advice: str = ""
    since: float = 0.0  # unix seconds of what is worst
    signs: tuple[Sign, ...] = ()  # all that is wrong, the worst first
    back_in_s: float | None = None  # while only the hold keeps it without work
    times_back: int = 0  # how often it came back lately


def judge(look: GpuLook, memory: GpuMemory, settings: GpuHealthSettings) -> tuple[GpuVerdict, GpuMemory]:
    """The verdict, and what to remember for the next look."""
    seen = shown(look.sample, look.fault, look.card)
    memory = _remembering(look, _begun_by(look.now, memory), seen)
    signs = _signs(look, memory, settings)
    memory = _latching(look, memory, signs, settings)
    if memory.latch is not None:
        signs = _with_latch(memory.latch, signs, settings)
    signs = tuple(sorted(signs, key=lambda sign: (-sign.state.rank, sign.since, sign.key)))
    worst = signs[0] if signs else None
    if worst is not None and worst.state.is_aside:
        comes_and_goes = memory.comes_and_goes or any(s.state.is_aside and not s.is_of_node for s in signs)
        since = look.now if memory.aside_since is None else memory.aside_since
        memory = replace(memory, aside_since=since, over_since=None, comes_and_goes=comes_and_goes)
        return _verdict(worst, signs, memory), memory
    if memory.aside_since is None:
        return _verdict(worst, signs, memory), memory
    return _held(look, memory, settings, worst, signs)


def cleared(memory: GpuMemory, now: float) -> GpuMemory:
    """What is remembered once a person has taken the GPU back: what still shows will be judged anew."""
    return replace(memory, cleared_at=now, latch=None, reports=(), returns=(), spans={})


def _begun_by(now: float, memory: GpuMemory) -> GpuMemory:
    """Where the clock was set back, what it has put into the future begins now: a sign is not missed meanwhile."""
    spans = {s: replace(span, first=min(span.first, now), last=min(span.last, now)) for s, span in memory.spans.items()}
    over_since = None if memory.over_since is None else min(memory.over_since, now)
    return replace(memory, spans=spans, over_since=over_since)


def _remembering(look: GpuLook, memory: GpuMemory, seen: Shown) -> GpuMemory:
    now = look.now
    counters = Counters(is_away=True) if look.fault is not None else counters_of(look.sample)
    settled_at = max(memory.settled_at, look.settled_at)
    if memory.boot == look.boot and memory.counters.fell_to(counters):
        settled_at = now
    spans = {sign: span for sign, span in memory.spans.items() if _goes_on(sign, span, seen, now)}
    for sign, text in seen.signs.items():
        known = spans.get(sign)
        spans[sign] = Span(now if known is None else known.first, now, text)
    return replace(
        memory,
        boot=look.boot,
        reports=merged(memory.reports, look.events, boot=look.boot, after=max(memory.cleared_at, now - _KEPT_S)),
        spans=spans,
        counters=memory.counters.then(counters) if memory.boot == look.boot else counters,
        settled_at=settled_at,
        returns=tuple(at for at in memory.returns if at > now - DAMPING.window_s),
    )


def _goes_on(sign: GpuSign, span: Span, seen: Shown, now: float) -> bool:
    return sign in seen.signs or sign in seen.untold or now - span.last <= sign_row(sign).gap_s


def _signs(look: GpuLook, memory: GpuMemory, settings: GpuHealthSettings) -> tuple[Sign, ...]:
    codes = dict.fromkeys(report.code for report in memory.reports)
    reported = [sign for code in codes if (sign := _xid(code, look, memory, settings)) is not None]
    is_contained = any(sign.key == f"xid-{_CONTAINED}" for sign in reported)
    told = [
        sign
        for name, span in memory.spans.items()
        if (sign := _told(name, span, look, settings, is_contained=is_contained)) is not None
    ]
    return (*reported, *told)


def _told(name: GpuSign, span: Span, look: GpuLook, settings: GpuHealthSettings, *, is_contained: bool) -> Sign | None:
    row, stood_s = sign_row(name), look.now - span.first
    if stood_s < row.after_s:
        return None
    state, reason, meaning, advice = row.state, row.reason, row.meaning, row.advice
    if name is GpuSign.RECOVERY_ACTION and look.sample is not None and look.sample.recovery_action:
        wish = recovery_row(look.sample.recovery_action)
        state, reason, meaning, advice = wish.state, wish.reason, wish.meaning, wish.advice
    elif name is GpuSign.ECC_UNCORRECTABLE and is_contained:
        state = GpuState.WATCH
    if row.later is not None and stood_s >= row.later.after_s:
        state = row.later.state
    ends = Ends.GONE
    if name in settings.signs:
        state = GpuState.of(settings.signs[name])
        ends = Ends.PERSON if state in (GpuState.QUARANTINE, GpuState.REPLACE) else Ends.GONE
    if state is GpuState.HEALTHY:
        return None
    text = meaning if span.text in ("", meaning) else f"{meaning}: {span.text}"
    return Sign(name.value, row.facet, state, reason, text, advice, span.first, row.is_of_node, ends)


def _xid(code: int, look: GpuLook, memory: GpuMemory, settings: GpuHealthSettings) -> Sign | None:
    row = xid_row(code)
    action = settings.xid.get(code)
    ends = row.ends if action is None else _ends(GpuState.of(action), row.ends)
    reports = [one for one in memory.reports if one.code == code]
    standing = [one for one in reports if _stands(one, ends, look, memory)]
    if not standing:
        return None
    last = standing[-1]
    state, reason, advice = row.state, row.reason, row.advice
    if action is not None:
        state = GpuState.of(action)
    else:
        if (wish := _wish(row, last, look)) is not None:
            state, advice = wish
        if (worse := _repeated(row.repeated, reports, look.now)) is not None and worse.state.rank >= state.rank:
            state, advice, reason = worse.state, worse.advice, f"{row.reason}Repeated"
    if state is GpuState.HEALTHY:
        return None
    times = f", {len(standing)} times" if len(standing) > 1 else ""
    words = f": {last.text}" if last.text else ""
    text = f"Xid {code}{times}: {row.meaning}{words}"
    return Sign(f"xid-{code}", row.facet, state, reason, text, advice, standing[0].at, ends=_ends(state, ends))


def _stands(report: Report, ends: Ends, look: GpuLook, memory: GpuMemory) -> bool:
    match ends:
        case Ends.QUIET | Ends.GONE:
            return look.now - report.at < _QUIET_S
        case Ends.RESET:
            return report.boot == look.boot and report.at > memory.settled_at
        case Ends.REBOOT:
            return report.boot == look.boot
        case Ends.PERSON:
            return True


def _ends(state: GpuState, otherwise: Ends) -> Ends:
    """When a report is over that has come to `state`, which the table may not have meant it to."""
    match state:
        case GpuState.QUARANTINE | GpuState.REPLACE:
            return Ends.PERSON
        case GpuState.REBOOT:
            return Ends.REBOOT if otherwise is Ends.QUIET else otherwise
        case GpuState.RESET:
            return Ends.RESET if otherwise is Ends.QUIET else otherwise
        case _:
            return otherwise


def _wish(row: XidRow, last: Report, look: GpuLook) -> tuple[GpuState, str] | None:
    """What the driver itself wants done after a report that asks for a reset; None: it does not tell."""
    if last.code != FOLLOW_CODE and (row.ends is not Ends.RESET or row.state is not GpuState.RESET):
        return None
    told = None if look.sample is None or look.sample.fault is not None else look.sample.recovery_action
    if told is not None:
        wish = None if look.now - last.at < _ADVICE_AFTER_S else recovery_row(told)
    else:
        wish = _named(last.text) if last.code == FOLLOW_CODE else None
    return None if wish is None else (max(wish.state, GpuState.WATCH, key=lambda state: state.rank), wish.advice)


def _named(text: str) -> RecoveryRow | None:
    """The advice that the kernel log's line of a 154 names: `... changed from 0x0 (None) to 0x1 (GPU Reset ...)`."""
    found = re.search(r"\bto 0x([0-9a-fA-F]{1,4})\b", text)
    return None if found is None else recovery_row(int(found[1], 16))


def _repeated(rule: Repeated | None, reports: list[Report], now: float) -> Repeated | None:
    if rule is None:
        return None
    return rule if sum(1 for one in reports if now - one.at <= rule.within_s) >= rule.count else None


def _latching(look: GpuLook, memory: GpuMemory, signs: Iterable[Sign], settings: GpuHealthSettings) -> GpuMemory:
    """Keep what only a person takes back, also when reports are too old to be kept."""
    if memory.latch is not None:
        return memory
    lasting = [sign for sign in signs if sign.ends is Ends.PERSON and sign.state.is_aside]
    if lasting:
        worst = max(lasting, key=lambda sign: sign.state.rank)
        return replace(memory, latch=Latch(worst.key, worst.since))
    fails_again = memory.aside_since is None and any(sign.state.is_aside and not sign.is_of_node for sign in signs)
    if fails_again and len(memory.returns) >= settings.returns_before_quarantine:
        return replace(memory, latch=Latch(_COMES_AND_GOES, look.now))
    return memory


def _with_latch(latch: Latch, signs: tuple[Sign, ...], settings: GpuHealthSettings) -> tuple[Sign, ...]:
    if any(sign.key == latch.key and sign.ends is Ends.PERSON for sign in signs):
        return signs
    if latch.key == _COMES_AND_GOES:
        hours = DAMPING.window_s / 3600
        text = f"it came back {settings.returns_before_quarantine} times or more within {hours:g} h, and failed again"
        kept = Sign(
            latch.key, Facet.STEADY, GpuState.QUARANTINE, "ComesAndGoes", text,
            f"find out why, {_CLEAR}", latch.since, ends=Ends.PERSON,
        )  # fmt: skip
    else:
        text = f"it was quarantined for {latch.key}"
        kept = Sign(
            latch.key, Facet.STEADY, GpuState.QUARANTINE, "Quarantined", text, f"put it right, {_CLEAR}",
            latch.since, ends=Ends.PERSON,
        )  # fmt: skip
    return (*signs, kept)


def _held(
    look: GpuLook, memory: GpuMemory, settings: GpuHealthSettings, worst: Sign | None, signs: tuple[Sign, ...]
) -> tuple[GpuVerdict, GpuMemory]:
    """Nothing keeps it aside any more, and it comes back a while later."""
    over_since = look.now if memory.over_since is None else memory.over_since
    returns = len(memory.returns) if memory.comes_and_goes else 0
    left_s = over_since + DAMPING.hold_s(settings.hold_s, returns) - look.now
    if left_s > 0:
        memory = replace(memory, over_since=over_since)
        text = f"nothing is wrong any more; it gets work again in {left_s:.0f} s"
        since = look.now if memory.aside_since is None else memory.aside_since
        held = GpuVerdict(GpuState.DRAIN, "HeldBack", text, "wait", since, signs, left_s, len(memory.returns))
        return held, memory
    back = (*memory.returns, look.now) if memory.comes_and_goes else memory.returns
    memory = replace(memory, aside_since=None, over_since=None, comes_and_goes=False, returns=back)
    return _verdict(worst, signs, memory), memory


def _verdict(worst: Sign | None, signs: tuple[Sign, ...], memory: GpuMemory) -> GpuVerdict:
    if worst is None:
        return GpuVerdict(GpuState.HEALTHY, times_back=len(memory.returns))
    advice = worst.advice
    if worst.ends is Ends.PERSON and _CLEAR not in advice:
        advice = f"{advice}; {_CLEAR}"
    return GpuVerdict(worst.state, worst.reason, worst.text, advice, worst.since, signs, times_back=len(memory.returns))
