"""The machine's limit of inotify instances: every systemd takes a handful, and 128 is soon used up."""

from pathlib import Path

__all__ = ["ensure_room", "restore"]

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH = 1024
A_HOST = 6  # instances taken by one running host: systemd, logind, dbus, journald
FOR_OTHERS = 64


def ensure_room(hosts: int, store: Path) -> None:
    """Raise the limit if this many hosts would not fit, remembering in `store` what it was."""
    before = int(LIMIT.read_text())
    if before < min(ENOUGH, hosts * A_HOST + FOR_OTHERS):
        (store / "inotify-before").write_text(str(before))
        LIMIT.write_text(str(ENOUGH))


def restore(store: Path) -> None:
    """Put back what `ensure_room` changed."""
    remembered = store / "inotify-before"
    if remembered.exists():
        LIMIT.write_text(remembered.read_text())
        remembered.unlink()
