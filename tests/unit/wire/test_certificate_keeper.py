"""What is shown and said of the front door's certificate, by the files and the clock."""

import stat

import pytest
from cryptography import x509

from livefleet.kernel import ConditionBoard, Status
from livefleet.wire import CertificateFiles, CertificateUnusable
from livefleet.wire.server.certificate import CONDITION, CertificateKeeper
from livefleet.wire.tls import ensure_certificate
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit

DAY = 86400
NOW = 1_800_000_000.0


class Kept:
    """A keeper over files in a folder, with a clock by hand."""

    def __init__(self, folder, *, renews=False):
        self.folder = folder
        self.clock = HandClock(NOW)
        self.files = self.made("first")
        self.board = ConditionBoard(self.clock)
        self.pem = folder / "shown.pem"
        self.keeper = CertificateKeeper(
            self.files,
            self.pem,
            clock=self.clock,
            board=self.board,
            renew=(lambda: ensure_certificate(folder / "first", "host", self.clock)) if renews else None,
            look_s=3600,
        )

    def made(self, name):
        return ensure_certificate(self.folder / name, "host", self.clock)

    def shown(self):
        return x509.load_pem_x509_certificate(self.pem.read_bytes()).serial_number

    @property
    def told(self):
        return next(c for c in self.board.all() if c.name == CONDITION)


def serial(files):
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).serial_number


async def test_enter__shows_one_private_file_with_both_and_says_until_when(tmp_path):
    kept = Kept(tmp_path)
    async with kept.keeper:
        assert stat.S_IMODE(kept.pem.stat().st_mode) == 0o600
        assert b"PRIVATE KEY" in kept.pem.read_bytes()
        assert kept.shown() == serial(kept.files)
        assert (kept.told.status, kept.told.reason, kept.told.gates_ready) == (Status.TRUE, "Valid", False)
        assert kept.keeper.days_left == pytest.approx(365.2, abs=0.1)


@pytest.mark.parametrize(("days", "reason"), [(300, "Valid"), (352, "EndsSoon"), (366, "Expired"), (-1, "NotYetValid")])
async def test_look__by_the_days_that_are_left__is_told(tmp_path, days, reason):
    kept = Kept(tmp_path)
    async with kept.keeper:
        kept.clock.time += days * DAY
        kept.keeper.look()
        assert kept.told.reason == reason
        assert kept.keeper.days_left == pytest.approx(365.2 - days, abs=0.1)


async def test_look__own_certificate_near_its_end__is_made_anew_and_shown(tmp_path):
    kept = Kept(tmp_path, renews=True)
    async with kept.keeper:
        before = kept.shown()
        kept.clock.time += 340 * DAY
        kept.keeper.look()
        assert kept.shown() != before
        assert kept.told.reason == "Valid"


async def test_look__key_and_certificate_in_one_file__are_taken(tmp_path):
    kept = Kept(tmp_path)
    other = kept.made("other")
    both = tmp_path / "both.pem"
    both.write_bytes(other.certificate.read_bytes() + other.key.read_bytes())
    async with kept.keeper:
        kept.keeper.go_by(CertificateFiles(both, both))
        assert kept.shown() == serial(other)


@pytest.mark.parametrize("wrong", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
async def test_look__broken_file__is_not_shown_and_the_door_keeps_what_it_has(tmp_path, wrong):
    kept = Kept(tmp_path)
    async with kept.keeper:
        before = kept.pem.read_bytes()
        kept.files.certificate.write_bytes(wrong)
        kept.keeper.look()
        assert kept.told.reason == "NotTaken"
        assert str(kept.files.certificate) in kept.told.message
        assert kept.pem.read_bytes() == before


async def test_look__file_is_gone__is_told_with_its_name(tmp_path):
    kept = Kept(tmp_path)
    async with kept.keeper:
        kept.files.key.unlink()
        kept.keeper.look()
        assert kept.told.reason == "NotTaken"
        assert f"cannot read {kept.files.key}" in kept.told.message


async def test_go_by__files_that_do_not_fit__raises_and_changes_nothing(tmp_path):
    kept = Kept(tmp_path)
    other = kept.made("other")
    async with kept.keeper:
        before = kept.shown()
        with pytest.raises(CertificateUnusable, match="is not the one of the certificate"):
            kept.keeper.go_by(CertificateFiles(other.certificate, kept.files.key))
        kept.keeper.look()
        assert kept.shown() == before
