"""go-livepeer's `-config` file as a source of its own."""

from pathlib import PurePosixPath

from livefleet.control.importer.process import Process
from livefleet.control.importer.settings import config_words
from livefleet.control.importer.sources.base import Reading, Source, host_name

__all__ = ["read_config"]


def read_config(source: Source) -> Reading:
    """One process, with nothing but this file."""
    process = Process(
        name=host_name(PurePosixPath(source.shown).stem or "node"),
        machine=source.machine,
        spot=source.start(),
        kind="config",
        config=dict(config_words(source.text, source.shown)),
        config_file=source.shown,
        folder=source.folder,
    )
    return Reading((process,))
