"""Level-based reconciling."""

from livefleet.reconcile.model import Action, Again, Plan, Resource

__all__ = ["Action", "Again", "Plan", "Resource"]
