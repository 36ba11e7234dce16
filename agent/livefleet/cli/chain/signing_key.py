"""The key of `livefleet chain sign`: a keystore here, or a signing service."""

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livefleet.cli.passphrase import PassphraseSource, passphrase_options
from livefleet.kernel import Address, BadInput

if TYPE_CHECKING:
    from livefleet.chain import Signer

__all__ = ["SigningKey", "signing_key_options"]

_PATH = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What the options say; nothing is opened yet."""

    keystore: Path | None
    remote: str | None
    tls_ca: Path | None
    client_certificate: Path | None
    client_key: Path | None
    token_file: Path | None
    passphrase: PassphraseSource

    def check(self, wanted: Address) -> None:
        """Look at what can be looked at without a passphrase. Raises BadInput where it is another address's key."""
        if (self.keystore is None) == (self.remote is None):
            raise BadInput("say which key signs: --keystore FILE, or --remote URL of a signing service")
        if self.keystore is None:
            return
        from livefleet.chain import read_key_file

        said = read_key_file(self.keystore).address
        if said is not None and said != wanted:
            raise BadInput(f"{self.keystore}: is the key of {said}, the proposal is for {wanted}; nothing is signed")

    @asynccontextmanager
    async def opened(self, wanted: Address) -> "AsyncIterator[Signer]":
        """The key. Raises BadInput (passphrase, files, another address), Transient and Terminal of a service."""
        from livefleet.chain import RemoteSigner, RemoteSignerSettings, read_key_file

        if self.keystore is not None:
            file = read_key_file(self.keystore)
            signer = file.open(self.passphrase.read(str(self.keystore)) if file.is_keystore else None)
            if signer.address != wanted:
                text = f"{self.keystore}: is the key of {signer.address}, the proposal is for {wanted}"
                raise BadInput(f"{text}; nothing is signed")
            yield signer
            return
        assert self.remote is not None
        settings = RemoteSignerSettings(
            url=self.remote,
            address=wanted,
            tls_ca=self.tls_ca,
            client_certificate=self.client_certificate,
            client_key=self.client_key,
            token=None if self.token_file is None else _token(self.token_file),
        )
        async with RemoteSigner(settings) as remote:
            yield remote


def signing_key_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--keystore`, `--remote` and what goes with them; hands the command `key`."""

    @functools.wraps(function)
    def wrapped(
        *args: Any,
        keystore: Path | None,
        remote: str | None,
        remote_ca: Path | None,
        remote_certificate: Path | None,
        remote_key: Path | None,
        remote_token_file: Path | None,
        password_file: Path | None,
        password_env: str | None,
        password_command: str | None,
        **kwargs: Any,
    ) -> Any:
        passphrase = PassphraseSource(password_file, password_env, password_command)
        key = SigningKey(keystore, remote, remote_ca, remote_certificate, remote_key, remote_token_file, passphrase)
        return function(*args, key=key, **kwargs)

    decorated: Callable[..., Any] = passphrase_options(wrapped)
    for option in (
        click.option("--remote-token-file", type=_PATH, help="With --remote: file with a bearer token."),
        click.option("--remote-key", type=_PATH, help="With --remote: PEM of that certificate's private key."),
        click.option("--remote-certificate", type=_PATH, help="With --remote: PEM of this machine's certificate."),
        click.option("--remote-ca", type=_PATH, help="With --remote: PEM of the authorities of the service."),
        click.option("--remote", metavar="URL", help="A signing service that speaks Web3Signer's eth1 API."),
        click.option("--keystore", type=_PATH, help="Key file; its passphrase is asked for unless given as below."),
    ):
        decorated = option(decorated)
    return decorated


def _token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise BadInput(f"{path}: cannot read the token: {error.strerror}") from error
