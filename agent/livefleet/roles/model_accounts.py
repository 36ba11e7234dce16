"""What each model earns and takes of the devices, opened, and told in /status and /metrics."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from livefleet.health import Reading
from livefleet.payments import MODEL_ACCOUNTS_FILE, WORKERS, ModelAccount, ModelAccounts
from livefleet.roles.base import RoleContext

__all__ = ["model_account_readings", "model_accounts_part", "open_model_accounts"]


def open_model_accounts(context: RoleContext) -> ModelAccounts:
    """The node's book; the caller enters it."""

    def watts(device: str) -> float | None:
        snapshot = context.sampler.latest
        gpu = None if snapshot is None else snapshot.gpu(device)
        return None if gpu is None or gpu.power_mw is None else gpu.power_mw / 1000

    return ModelAccounts(context.spec.paths.state / MODEL_ACCOUNTS_FILE, clock=context.clock, power_of=watts)


def model_accounts_part(accounts: ModelAccounts) -> dict[str, Any]:
    """Every model since the book was begun. `charged_wei` is exact: text where it is no whole number."""
    return {
        "since": accounts.since,
        "fault": accounts.fault,
        "models": [_model_part(account) for account in accounts.snapshot()],
    }


def model_account_readings(accounts: Sequence[ModelAccount]) -> list[Reading]:
    """The same for /metrics."""
    return [reading for account in accounts for reading in _readings(account)]


def _model_part(account: ModelAccount) -> dict[str, Any]:
    income = account.income
    return {
        "pipeline": account.pipeline,
        "model_id": account.model_id,
        "jobs": None if income is None else income.jobs,
        "units": None if income is None else income.units,
        "charged_wei": None if income is None else _exact(income.charged),
        "device_s": round(account.device_s, 3),
        "wei_per_device_s": account.wei_per_device_s,
        "workers_p50_s": None if account.workers_s is None else round(account.workers_s[0], 3),
        "workers_p95_s": None if account.workers_s is None else round(account.workers_s[1], 3),
        "devices": [
            {
                "device": device,
                "seconds": round(use.seconds, 3),
                "joules": None if use.joules is None else round(use.joules, 1),
                "measured_s": round(use.measured_s, 3),
            }
            for device, use in account.devices.items()
        ],
    }


def _readings(account: ModelAccount) -> list[Reading]:
    labels = {"pipeline": account.pipeline, "model_name": account.model_id}

    def counter(name: str, text: str, value: float, **more: str) -> Reading:
        return (f"livefleet_model_{name}_total", "counter", text, labels | more, value)

    found = []
    if (income := account.income) is not None:
        found += [
            counter("charged_wei", "What gateways were charged for it.", float(income.charged)),
            counter("charged_jobs", "Jobs that they were charged for.", income.jobs),
            counter("charged_units", "Units that they were charged for.", income.units),
        ]
    for quantile, seconds in zip(("0.5", "0.95"), account.workers_s or (), strict=False):
        text = "Time of the last 256 answers, by quantile."
        of_workers = labels | {"device": WORKERS, "quantile": quantile}
        found.append(("livefleet_model_job_seconds", "gauge", text, of_workers, seconds))
    for device, use in account.devices.items():
        found.append(counter("device_seconds", "How long a device worked for it.", use.seconds, device=device))
        if use.joules is not None:
            found.append(counter("energy_joules", "What the device drew meanwhile.", use.joules, device=device))
    return found


def _exact(amount: Fraction) -> int | str:
    return int(amount) if amount.denominator == 1 else str(amount)
