"""pyinfra's inventory, made from the fleet spec: `pyinfra inventory.fleet deploys.site`."""

from inventory.groups import fleet, groups_of, scratch_folder, spec_path
from inventory.target import Target, host_data, target_of

__all__ = ["Target", "fleet", "groups_of", "host_data", "scratch_folder", "spec_path", "target_of"]
