"""Where payments, leases and intents are kept when several nodes share them."""

from enum import StrEnum

from pydantic import Field

from livefleet.spec.model import SpecModel

__all__ = ["StoreLayer", "StoreSettings", "TlsMode"]


class TlsMode(StrEnum):
    """How a connection to the database is protected."""

    VERIFY = "verify"  # encrypted, and the server's certificate is good and of its name
    REQUIRE = "require"  # encrypted, whoever answers
    DISABLE = "disable"  # not at all: the password is still never sent in clear, tickets are


class StoreLayer(SpecModel):
    """A shared database, as far as one layer says."""

    postgres: str | None = None
    """Name (under `secrets`) of the database's URL, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`. The user must be
    allowed to create a schema in it; PostgreSQL 13 or newer, reached directly or through a pooler in session mode."""

    tls: TlsMode = TlsMode.VERIFY
    """`verify`: encrypted, and the server's certificate is checked. `require`: encrypted only. `disable`: for a server
    on this machine or behind a tunnel of your own."""

    ca: str | None = None
    """Name (under `secrets`) of a file with the certificates that the server's is checked by, in PEM. None: the
    system's."""

    connections: int = Field(default=4, ge=2, le=100)
    """Most connections that the node opens. One writes payments, the others read, and keep leases and intents."""


class StoreSettings(StoreLayer):
    """A database that several nodes share. Without it a node keeps payments in a file of its own."""

    postgres: str
    """Name (under `secrets`) of the database's URL."""
