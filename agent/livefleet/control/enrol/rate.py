"""How much one address may ask: a bucket of requests that fills again, and a bounded number of buckets."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

__all__ = ["RateLimit"]

_MOST_ADDRESSES: Final = 4096


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimit:
    """`burst` requests at once and `per_s` from then on, by address.

    As it is, six hundred hosts may stand behind one address and report each minute.
    """

    def __init__(self, *, burst: float = 200.0, per_s: float = 20.0, most: int = _MOST_ADDRESSES) -> None:
        self._burst = burst
        self._per_s = per_s
        self._most = most
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        """Whether one more may be answered; it counts. `now`: seconds of a clock that does not jump."""
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = _Bucket(self._burst, now)
            while len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(address)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._per_s)
        bucket.at = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True
