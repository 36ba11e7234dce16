"""Looking again and again: on a terminal in one place, elsewhere one picture below the other."""

import time
from collections.abc import Callable

import click
from rich.console import Console, RenderableType
from rich.live import Live

__all__ = ["EVERY", "TIMES", "watch"]

EVERY = click.option(
    "--every", type=click.FloatRange(min=0.2), default=5.0, show_default=True, help="Seconds between looks."
)
TIMES = click.option("--times", type=click.IntRange(1), help="Stop after so many looks.  [default: until ctrl-c]")


def watch(out: Console, look: Callable[[], RenderableType], *, every_s: float, times: int | None) -> None:
    """Show what `look` gives, until ctrl-c or so many times. A look that takes longer puts off the next."""
    shown = 0
    with Live(console=out, auto_refresh=False, screen=False, transient=False) as live:
        try:
            while times is None or shown < times:
                began = time.monotonic()
                picture = look()
                shown += 1
                if out.is_terminal:
                    live.update(picture, refresh=True)
                else:
                    out.print(picture)
                if times is None or shown < times:
                    time.sleep(max(0.0, every_s - (time.monotonic() - began)))
        except KeyboardInterrupt:
            return
