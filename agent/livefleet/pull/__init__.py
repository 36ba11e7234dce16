"""Pull mode: a node's own slice of the fleet, fetched from a signed bundle and taken over when it may be."""

from typing import TYPE_CHECKING

from livefleet.kernel.late import late_names
from livefleet.pull.acceptance import refusals
from livefleet.pull.published import Published, PullError, PullFault
from livefleet.pull.standing import Held, Rejected, Standing, at_start, promoted, rejected, trying
from livefleet.pull.start import newest_settings
from livefleet.pull.store import PullStore

if TYPE_CHECKING:
    from livefleet.pull.bundle import BundleReader
    from livefleet.pull.fetchers import fetcher_of
else:  # what reads bundles needs tuf, which only nodes in pull mode have
    __getattr__ = late_names(
        __name__, {"BundleReader": "livefleet.pull.bundle", "fetcher_of": "livefleet.pull.fetchers"}
    )

__all__ = [
    "BundleReader",
    "Held",
    "Published",
    "PullError",
    "PullFault",
    "PullStore",
    "Rejected",
    "Standing",
    "at_start",
    "fetcher_of",
    "newest_settings",
    "promoted",
    "refusals",
    "rejected",
    "trying",
]
