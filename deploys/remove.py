"""pyinfra's entry as a file: `pyinfra inventory/fleet.py deploys/remove.py`.

`--data purge=true` takes keys and tickets too.
"""

from deploys import remove  # noqa: PLW0406 -- pyinfra runs this file, nothing imports it

remove()
