"""pyinfra's entry as a file: `pyinfra -y inventory/fleet.py deploys/rollback.py`: what ran before runs again."""

from deploys import rollback  # noqa: PLW0406 -- pyinfra runs this file, nothing imports it

rollback()
