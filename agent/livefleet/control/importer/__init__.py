"""What operators have of go-livepeer, as a fleet file; and hosts of a fleet as go-livepeer would be started."""

from livefleet.control.importer.companions import MAX_BYTES, decode, read_source
from livefleet.control.importer.detect import SourceKind
from livefleet.control.importer.exporting import Command, HostFlags, flags_of, gateway_prices_text
from livefleet.control.importer.findings import Finding, Outcome, Report, Spot
from livefleet.control.importer.fleet import Wishes
from livefleet.control.importer.formats import FORMATS
from livefleet.control.importer.importing import Given, Imported, import_nodes

__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "Command",
    "Finding",
    "Given",
    "HostFlags",
    "Imported",
    "Outcome",
    "Report",
    "SourceKind",
    "Spot",
    "Wishes",
    "decode",
    "flags_of",
    "gateway_prices_text",
    "import_nodes",
    "read_source",
]
