"""Level-based reconciling."""

from livefleet.reconcile.loop import ReconcileLoop
from livefleet.reconcile.model import Action, Again, Plan, Resource

__all__ = ["Action", "Again", "Plan", "ReconcileLoop", "Resource"]
