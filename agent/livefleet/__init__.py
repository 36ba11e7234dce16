"""Declarative fleets of Livepeer nodes: one spec, one agent."""

__all__ = ["__version__"]

__version__ = "0.1.0"
