"""What a model earned and took of the devices, by the node's own word."""

import math
from fractions import Fraction
from typing import Any

from livefleet.cli.status_words import amount

__all__ = ["account_of", "earning_cells"]


def account_of(status: dict[str, Any], pipeline: str, model_id: str) -> dict[str, Any] | None:
    """The model's account as /status tells it; None where it has none yet, or the agent keeps none."""
    accounts = status.get("model_accounts")
    models = accounts.get("models") if isinstance(accounts, dict) else None
    return next(
        (
            model
            for model in (models if isinstance(models, list) else [])
            if isinstance(model, dict) and (model.get("pipeline"), model.get("model_id")) == (pipeline, model_id)
        ),
        None,
    )


def earning_cells(account: dict[str, Any] | None) -> tuple[str, str, str]:
    """Income, device seconds, and income a device second, for a table. A worker's orchestrator knows the income."""
    if account is None:
        return "-", "-", "-"
    charged, each = account.get("charged_wei"), account.get("wei_per_device_s")
    seconds = f"{account.get('device_s', 0):,.0f}"
    return (
        "-" if charged is None else amount(math.floor(Fraction(charged))),
        seconds,
        "-" if each is None else amount(each),
    )
