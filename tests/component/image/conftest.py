"""A lab that serves what images are made of, and stand-ins for the driver."""

from tests.lab.fixtures import lab_base, lab_hosts

__all__ = ["lab_base", "lab_hosts"]
