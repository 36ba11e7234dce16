"""Lengths of time as options of commands."""

import click

from livefleet.spec.duration import parse_duration

__all__ = ["duration"]


def duration(text: str) -> float:
    """Seconds of `90s`, `10m`, `1h30m`; a type of click's options."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
