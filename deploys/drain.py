"""pyinfra's entry as a file: `pyinfra -y inventory/fleet.py deploys/drain.py`.

`--data deadline=5m`, `--data reason=TEXT`, `--data device=ID`, `--data wait=true`; `--data off=true` takes it back.
"""

from deploys import drain  # noqa: PLW0406 -- pyinfra runs this file, nothing imports it

drain()
