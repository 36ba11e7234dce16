"""What the front door shows and asks for, in the form in which it can be renewed while the node serves."""

from pydantic import AwareDatetime

from livefleet.spec.model import SpecModel

__all__ = ["FormerSecret", "TlsFiles"]


class FormerSecret(SpecModel):
    """The secret that workers joined with before `worker_secret`: taken as well until a declared time."""

    secret: str
    """Name (under `secrets`) of it."""

    until: AwareDatetime
    """When it is taken last, with its time zone: `2026-12-01T00:00Z`. Streams of workers that still show it
    end then."""


class TlsFiles(SpecModel):
    """The front door's certificate, in place of one that the node makes for itself.

    Both files are looked at every few seconds: whoever renews them, `apply` or a program on the host, new connections
    get the new certificate and open ones go on.
    """

    certificate: str
    """Name (under `secrets`) of the PEM with the certificate and those between it and its root, as certbot's
    `fullchain.pem`. A `host_file` must be readable by the user `livefleet`."""

    key: str | None = None
    """Name (under `secrets`) of the PEM with its private key. None: it stands in the certificate's file as well."""
