"""What a node starts with: what was applied to it, or what it has pulled since."""

import logging

from livefleet.kernel import BadInput
from livefleet.pull.standing import Standing, at_start, rejected
from livefleet.pull.store import PullStore
from livefleet.spec import NodeSpec, node_digest, require_packages

__all__ = ["newest_settings"]

log = logging.getLogger(__name__)


def newest_settings(applied: NodeSpec, store: PullStore) -> NodeSpec:
    """The pulled settings that are good or on trial, else `applied`. A node starts whatever lies in the store."""
    try:
        standing = store.standing()
    except BadInput as error:
        log.warning("pull.standing_damaged", extra={"error": str(error)})
        store.set_aside()
        standing = Standing()
    before = standing
    held, standing = at_start(standing, node_digest(applied))
    while held is not None:
        try:
            settings = store.load(held.sha256)
            require_packages(settings)
        except BadInput as error:  # damaged, or for another release than the one that was gone back to
            log.warning("pull.slice_unusable", extra={"version": held.version, "error": str(error)})
            lost = held == standing.trying
            standing = rejected(standing, str(error)) if lost else Standing(rejected=standing.rejected)
            held = standing.good
            continue
        if standing != before:
            store.remember(standing)
        return settings
    if standing != before:
        store.remember(standing)
    return applied
