"""What central monitoring is made of, as data: scrape settings, discovery, alert rules, dashboards. Pure.

Deploys put it on hosts with the role `monitor`; tests hold it against the metrics that nodes export.
"""

from typing import TYPE_CHECKING

from livefleet.kernel.late import late_names
from livefleet.monitoring.discovery import target_list
from livefleet.monitoring.programs import UNITS, Program, Rendered, Source, drop_in_path, programs_of, unfit

if TYPE_CHECKING:
    from livefleet.monitoring.declared import fleet_programs, program_secrets
else:  # with rules and dashboards, which no node needs
    __getattr__ = late_names(
        __name__,
        {
            "fleet_programs": "livefleet.monitoring.declared",
            "program_secrets": "livefleet.monitoring.declared",
        },
    )

__all__ = [
    "UNITS",
    "Program",
    "Rendered",
    "Source",
    "drop_in_path",
    "fleet_programs",
    "program_secrets",
    "programs_of",
    "target_list",
    "unfit",
]
