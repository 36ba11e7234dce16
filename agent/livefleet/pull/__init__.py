"""Pull mode: a node's own slice of the fleet, fetched from a signed bundle and taken over when it may be."""

from livefleet.pull.acceptance import refusals
from livefleet.pull.bundle import BundleReader, Published, PullError, PullFault
from livefleet.pull.fetchers import fetcher_of
from livefleet.pull.standing import Held, Rejected, Standing, at_start, promoted, rejected, trying
from livefleet.pull.start import newest_settings
from livefleet.pull.store import PullStore

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
