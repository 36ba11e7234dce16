"""Conditions, metrics and the admin endpoints."""

__all__: list[str] = []
