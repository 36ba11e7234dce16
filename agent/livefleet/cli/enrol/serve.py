"""`livefleet enrol serve`: answer hosts that ask, until it is stopped."""

import asyncio
import os
from pathlib import Path

import click

from livefleet.cli.enrol.options import FLEET, KEYS, open_store
from livefleet.cli.output import console
from livefleet.control.enrol.certificate import ensure_certificate
from livefleet.control.enrol.service import EnrolService
from livefleet.control.enrol.serving import ListenAt, serve
from livefleet.control.enrol.slices import FleetSlices
from livefleet.kernel import BadInput
from livefleet.kernel.log import configure
from livefleet.spec import load_fleet

__all__ = ["command"]


@click.command("serve")
@FLEET
@KEYS
@click.option("--listen", metavar="HOST:PORT", default="0.0.0.0:8939", show_default=True, help="Where to listen.")
@click.option("--name", "names", multiple=True, help="Name or address in a new certificate; repeatable.")
def command(fleet: Path, keys: Path, *, listen: str, names: tuple[str, ...]) -> None:
    """Let hosts in that ask, by token or by `livefleet enrol approve`, and take their reports. JSON lines on stderr.

    The fleet file, its profiles and its secrets are read when a host is let in, so that they may change meanwhile; they
    and the store beside the fleet file are all that the service needs. It may stop and start at any time: hosts ask
    again, and reports come again. What is told is settings and secrets of the hosts that are let in, never a key.
    """
    at = _listen(listen)
    load_fleet(fleet)  # what is wrong with it is told before anybody asks
    slices = FleetSlices(fleet, os.environ)
    store = open_store(fleet)
    store.tokens()  # whether it can be used is told before anybody is answered
    certificate = ensure_certificate(keys, names or (at.host,))
    configure()
    err = console(stderr=True)

    def ready(bound: ListenAt) -> None:
        err.print(f"listening at https://{bound}; images trust: {certificate.pin}", markup=False)

    asyncio.run(serve(EnrolService(store, slices), at, certificate, ready))


def _listen(text: str) -> ListenAt:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise BadInput(f"--listen {text}: write HOST:PORT, such as 0.0.0.0:8939 or [::]:8939")
    return ListenAt(host.strip("[]"), int(port))
