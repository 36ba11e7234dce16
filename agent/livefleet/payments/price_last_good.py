"""The last rate that was believed, kept in a small file, so that a restart while feeds are away still knows prices."""

import json
import logging
from fractions import Fraction
from pathlib import Path

from livefleet.kernel.durable_file import write_durably
from livefleet.payments.price_rate import Rate

__all__ = ["load_rate", "save_rate"]

log = logging.getLogger(__name__)


def load_rate(path: Path) -> Rate | None:
    """The rate in the file; None where there is no file or it holds none, which is logged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rate = Rate(Fraction(data["wei_per_usd"]), float(data["updated_at"]), str(data["source"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        log.warning(
            "price.last_rate_unreadable", extra={"file": str(path), "error": f"{type(error).__name__}: {error}"}
        )
        return None
    return rate if rate.wei_per_usd > 0 else None


def save_rate(path: Path, rate: Rate) -> None:
    """Put the rate in the file: the whole of it or, where the process dies, the one before. Blocks; raises OSError."""
    data = {"wei_per_usd": str(rate.wei_per_usd), "updated_at": rate.updated_at, "source": rate.source}
    write_durably(path, json.dumps(data).encode(), mode=None)
