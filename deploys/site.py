"""pyinfra's entry as a file: `pyinfra inventory/fleet.py deploys/site.py`."""

from deploys import site  # noqa: PLW0406 -- pyinfra runs this file, nothing imports it

site()
