"""What makes a host a node: `pyinfra inventory.fleet deploys.site`. Entries here, one file a step in `steps/`."""

from deploys.entry import drain, remove, rollback, site

__all__ = ["drain", "remove", "rollback", "site"]
