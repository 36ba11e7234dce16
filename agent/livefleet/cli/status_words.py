"""A node's report in an operator's words. Pure."""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from livefleet.control import NodeReport
from livefleet.control.node_parts import (
    LoadPart,
    ModelAccountPart,
    PaymentsPart,
    PricesPart,
    ServerPart,
    Tickets,
    WorkerPart,
)
from livefleet.monitoring.conditions import condition_advice

__all__ = ["amount", "lines", "since"]

_ETH: Final = 10**18
_GWEI: Final = 10**9
_ETH_FROM: Final = 10**14

_DUTIES: Final = {"RewardCalled": "reward", "TicketsRedeemed": "winners"}


def lines(report: NodeReport, now: float) -> list[tuple[str, str]]:
    """(what it is about, what there is to say) for each thing that the node does, `now` in unix seconds."""
    told: list[tuple[str, str]] = []
    if (server := report.server) is not None:
        told.append(("sessions", _sessions(server, report.load)))
        told += [("worker", f"{w.peer}: {w.sessions} of {w.capacity} sessions") for w in server.workers]
    if report.load is not None:
        told.append(("load", _load(report.load)))
    if server is not None:
        told.append(("work", _work(server)))
    told += [("work", _jobs(worker)) for worker in (report.worker, report.ai_worker) if worker is not None]
    told += [
        ("model", f"{m.model_id}: {'warm' if m.warm else 'cold'}, {m.capacity_in_use} of {m.capacity} in use")
        for m in report.models
    ]
    if (accounts := report.model_accounts) is not None:
        told += [("model", f"{account.model_id}: {_account(account)}") for account in accounts.models]
    if (payments := report.payments) is not None and payments.on_chain:
        told.append(("earned", _earned(payments)))
        if payments.refused:
            told.append(("payments", "refused " + _counted(payments.refused)))
        told.append(("price", _price(payments, report.prices, now)))
    if (redeemer := report.redeemer) is not None:
        told.append(("redeems", f"{redeemer.queued} taken, {redeemer.refused} not; {_winners(redeemer.tickets)}"))
    if (keeper := report.keykeeper) is not None:
        told += [("key", f"{key.name} {key.address}, at {key.at}, for {keeper.orchestrator}") for key in keeper.keys]
    if (chain := report.chain) is not None:
        told.append(("chain", f"round {chain.round}, L1 block {chain.l1_block}, seen {since(now - chain.seen_at)} ago"))
    told += [(_DUTIES[c.name], c.message) for c in report.conditions if c.status == "true" and c.name in _DUTIES]
    for c in report.conditions:
        if c.status == "true":
            continue
        fault = "fault" if c.status == "false" else "unclear"
        told.append((fault, f"{c.name}{f' {c.subject}' if c.subject else ''}: {c.message}"))
        if c.status == "false" and (advice := c.advice or condition_advice(c.name)):
            told.append(("do", advice))
    return told


def amount(wei: int) -> str:
    """Wei in the unit that reads best: `0.0123 ETH`, `4000 gwei`, `12 wei`."""
    if abs(wei) >= _ETH_FROM:
        return f"{float(Fraction(wei, _ETH)):.6g} ETH"
    if abs(wei) >= _GWEI // 100:
        return f"{float(Fraction(wei, _GWEI)):.6g} gwei"
    return f"{wei} wei"


def since(seconds: float) -> str:
    """A time span to the unit that matters: `3 s`, `5 min`, `2 h`, `4 d`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _account(account: ModelAccountPart) -> str:
    text = f"{account.device_s:,.0f} device seconds"
    if account.charged_wei is None:
        return text
    earned = amount(math.floor(Fraction(account.charged_wei)))
    each = "" if account.wei_per_device_s is None else f", {amount(account.wei_per_device_s)} a second"
    return f"earned {earned} with {account.jobs} job(s) in {text}{each}"


def _sessions(server: ServerPart, load: LoadPart | None) -> str:
    text = f"{server.sessions} of at most {server.max_sessions}"
    if server.workers:
        on_workers = sum(worker.sessions for worker in server.workers)
        text += f", {server.local_sessions} here and {on_workers} on {len(server.workers)} worker(s)"
    roomy = any(worker.sessions < worker.capacity for worker in server.workers) or (load is not None and load.has_room)
    if server.sessions >= server.max_sessions:
        return f"{text}; no more are taken"
    return text if roomy or (load is None and not server.workers) else f"{text}; no more fit the load"


def _load(load: LoadPart) -> str:
    cores = f"sessions use {load.cores_used_by_sessions:.1f} of {load.cores_for_sessions:.1f} cores that they may"
    others = f"other programs {load.cores_used_by_others:.1f} of {load.cores:g}"
    devices = [f"{d.device} {d.places_used:.1f} of {d.places * load.limit:.1f} places" for d in load.devices]
    troubles = [f"{load.segments_retried} segment(s) retried"] if load.segments_retried else []
    return "; ".join([f"{cores}, {others}", *devices, *troubles])


def _work(server: ServerPart) -> str:
    parts = [f"{server.segments_ok} segments done", f"{server.segments_failed} failed"]
    if server.last_segment_s is not None:
        parts.append(f"the last took {server.last_segment_s:.2f} s")
    if server.images_ok or server.images_failed:
        parts += [f"{server.images_ok} images made", f"{server.images_failed} image request(s) failed"]
    parts.append(f"{server.requests_refused} request(s) refused")
    if server.front_door_restarts:
        parts.append(f"front door opened again {server.front_door_restarts} time(s)")
    return ", ".join(parts)


def _jobs(worker: WorkerPart) -> str:
    where = f"for {worker.orchestrator}" if worker.joined else f"not joined to {worker.orchestrator}"
    return f"{where}: {worker.jobs} job(s) under way, {worker.done} delivered, {worker.failed} not delivered"


def _earned(payments: PaymentsPart) -> str:
    received = payments.tickets.received
    credited = f"credited {amount(received.expected_value_wei)} in {received.count} ticket(s)"
    left = f"{amount(payments.credit_wei)} of it not used yet" if payments.credit_wei > 0 else ""
    paid = f"paid out {amount(payments.paid_wei)}"
    return "; ".join(part for part in (credited, left, _winners(payments.tickets), paid) if part)


def _winners(tickets: Tickets) -> str:
    won = f"{tickets.won.count} won" if tickets.won.count else ""
    states = [
        f"{found.count} {name} ({amount(found.face_value_wei)})"
        for name, found in (("redeemed", tickets.redeemed), ("waiting", tickets.pending), ("LOST", tickets.lost))
        if found.count
    ]
    return ": ".join(part for part in (won, ", ".join(states)) if part) or "no winner yet"


def _price(payments: PaymentsPart, prices: PricesPart | None, now: float) -> str:
    parts = [f"{payments.price_wei_per_pixel} wei a pixel"]
    if prices is not None:
        if prices.usd_per_eth is not None and prices.rate_updated_at is not None:
            parts.append(f"1 ETH = {prices.usd_per_eth} USD as of {since(now - prices.rate_updated_at)} ago")
        parts.append(f"gas reckoned at {amount(prices.gas_price_wei)}")
    return ", ".join(parts)


def _counted(counts: dict[str, int]) -> str:
    ordered: Iterable[tuple[str, int]] = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in ordered)
