"""pyinfra's entry as a file: `pyinfra inventory/fleet.py deploys/site.py`. Its lists become the groups."""

from inventory import fleet as _fleet  # noqa: PLW0406 -- pyinfra runs this file, nothing imports it

globals().update(_fleet())
