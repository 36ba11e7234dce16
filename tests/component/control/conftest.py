from tests.lab.fixtures import lab_base, lab_hosts

__all__ = ["lab_base", "lab_hosts"]
