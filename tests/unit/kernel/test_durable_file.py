import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from livefleet.kernel.durable_file import Owner, make_folder, sync_folder, write_durably, write_new

pytestmark = pytest.mark.unit

# Ends the process by SIGKILL when it is about to call argv[2] for the argv[3]th time.
KILLED = """
import os, signal, sys
from pathlib import Path
from livefleet.kernel import durable_file

place, left = {"fsync": os, "link": os, "replace": Path}[sys.argv[2]], int(sys.argv[3])
real = getattr(place, sys.argv[2])

def fatal(*args):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)

setattr(place, sys.argv[2], fatal)
getattr(durable_file, sys.argv[4])(Path(sys.argv[1]), b"new" * 1000)
"""


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("write", [write_durably, write_new])
def test_write__nothing_is_there__content_and_nothing_beside_it(tmp_path, write):
    write(tmp_path / "file", b"new")

    assert (tmp_path / "file").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("write", [write_durably, write_new])
@pytest.mark.parametrize(
    ("taken", "mode", "found"), [(0, 0o600, 0o600), (0o077, 0o644, 0o644), (0o027, None, 0o640), (0, None, 0o666)]
)
def test_write__mode__is_what_was_asked_from_the_first_byte_on(tmp_path, umask, monkeypatch, write, taken, mode, found):
    umask(taken)
    empty, real = [], os.fdopen

    def fdopen(handle, how):
        (file,) = tmp_path.iterdir()
        empty.append((file.read_bytes(), mode_of(file) & ~found))
        return real(handle, how)

    monkeypatch.setattr(os, "fdopen", fdopen)

    write(tmp_path / "file", b"new", mode=mode)

    assert empty == [(b"", 0)]
    assert mode_of(tmp_path / "file") == found


def test_write__owner__has_it_before_its_content_is_there(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(os, "fchown", lambda handle, uid, gid: given.append((os.fstat(handle).st_size, uid, gid)))

    write_durably(tmp_path / "file", b"new", owner=Owner(12, 34))

    assert given == [(0, 12, 34)]


@pytest.mark.parametrize(("write", "naming"), [(write_durably, "replace"), (write_new, "link")])
def test_write__on_disk__before_it_has_its_name_and_the_folder_after(tmp_path, monkeypatch, write, naming):
    done = []
    fsync, owner = os.fsync, {"replace": Path, "link": os}[naming]
    name = getattr(owner, naming)

    def synced(handle):
        seen = os.fstat(handle)
        done.append("folder" if seen.st_ino == tmp_path.stat().st_ino else f"{seen.st_size} bytes")
        fsync(handle)

    def named(*args):
        done.append(naming)
        name(*args)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(owner, naming, named)

    write(tmp_path / "file", b"new")

    assert done == ["3 bytes", naming, "folder"]


@pytest.mark.parametrize(
    ("write", "call", "times", "found"),
    [
        ("write_durably", "fsync", 1, b"old"),
        ("write_durably", "replace", 1, b"old"),
        ("write_durably", "fsync", 2, b"new" * 1000),
        ("write_new", "fsync", 1, None),
        ("write_new", "link", 1, None),
        ("write_new", "fsync", 2, b"new" * 1000),
    ],
)
def test_write__killed__leaves_old_or_new_and_the_next_one_succeeds(tmp_path, write, call, times, found):
    path = tmp_path / "file"
    if write == "write_durably":
        path.write_bytes(b"old")

    ended = subprocess.run([sys.executable, "-c", KILLED, str(path), call, str(times), write], timeout=60)

    assert ended.returncode == -9
    assert (path.read_bytes() if path.exists() else None) == found
    write_durably(path, b"newer")
    assert path.read_bytes() == b"newer"


@pytest.mark.parametrize("write", [write_durably, write_new])
def test_write__disk_is_full__names_the_file_and_leaves_nothing(tmp_path, monkeypatch, write):
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match=r"No space left on device: .*/file'") as told:
        write(tmp_path / "file", b"new")

    assert (told.value.errno, told.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []


def test_write__disk_is_full__what_was_there_stays(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left"):
        write_durably(tmp_path / "file", b"new")

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


@pytest.mark.parametrize("write", [write_durably, write_new])
def test_write__no_folder__names_the_file(tmp_path, write):
    with pytest.raises(FileNotFoundError) as told:
        write(tmp_path / "none/file", b"new")

    assert told.value.filename == str(tmp_path / "none/file")


def test_write_durably__a_link_is_there__is_replaced_and_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"old")
    (tmp_path / "file").symlink_to("elsewhere")

    write_durably(tmp_path / "file", b"new")

    assert (tmp_path / "elsewhere").read_bytes() == b"old"
    assert not (tmp_path / "file").is_symlink()


def test_write_durably__many_at_once__readers_see_one_of_them_whole(tmp_path):
    path = tmp_path / "file"
    contents = {bytes([letter]) * 100_000 for letter in b"abcd"}
    write_durably(path, min(contents))
    threads = [
        threading.Thread(target=lambda content=content: [write_durably(path, content) for _ in range(5)])
        for content in contents
    ]
    for thread in threads:
        thread.start()

    seen = {path.read_bytes() for _ in range(100)}
    for thread in threads:
        thread.join(60)

    assert seen <= contents
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("has_links", [True, False], ids=["links", "no links, as FAT"])
def test_write_new__something_is_there__stays_as_it_is(tmp_path, monkeypatch, has_links):
    if not has_links:
        monkeypatch.setattr(os, "link", without_links)
    path = tmp_path / "file"
    write_new(path, b"first", mode=0o640)

    with pytest.raises(FileExistsError) as told:
        write_new(path, b"second")

    assert told.value.filename == str(path)
    assert (path.read_bytes(), mode_of(path)) == (b"first", 0o640)
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def without_links(source, target):
    raise OSError(errno.EPERM, "Operation not permitted", str(source), None, str(target))


def test_make_folder__some_are_missing__those_are_closed_and_each_is_on_disk(tmp_path, umask, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_ino), fsync(handle)))

    make_folder(tmp_path / "a/b")
    make_folder(tmp_path / "a/b")

    assert (mode_of(tmp_path / "a"), mode_of(tmp_path / "a/b")) == (0o700, 0o700)
    assert synced == [tmp_path.stat().st_ino, (tmp_path / "a").stat().st_ino]


def test_make_folder__a_file_is_in_the_way__names_the_folder(tmp_path):
    (tmp_path / "a").touch()

    with pytest.raises(NotADirectoryError) as told:
        make_folder(tmp_path / "a/b")

    assert told.value.filename == str(tmp_path / "a/b")


def test_sync_folder__there_is_none__names_it(tmp_path):
    with pytest.raises(FileNotFoundError) as told:
        sync_folder(tmp_path / "none")

    assert told.value.filename == str(tmp_path / "none")
