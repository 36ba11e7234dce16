"""What runs on hosts when an operator asks: programs of the standard library alone, sent by stdin, kept nowhere.

They are for whatever Python a host has (3.9 or newer), need no agent there, and mask secrets before anything leaves.
"""

from livefleet.control.host.masking import Masker
from livefleet.control.host.program import HostProgram, diagnostics_program, logs_program

__all__ = ["HostProgram", "Masker", "diagnostics_program", "logs_program"]
