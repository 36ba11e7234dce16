"""Bundles as they are written, read by a host over HTTP and from a folder, and by one who is lied to."""

import functools
import http.server
import json
import shutil
import threading
from datetime import UTC, datetime, timedelta

import pytest

from livefleet.control.bundle import Bundle
from livefleet.kernel import BadInput
from livefleet.pull import BundleReader, PullError, PullFault
from livefleet.pull.bundle import LARGEST_SLICE
from livefleet.pull.fetchers import HttpFetcher, fetcher_of

DAY = timedelta(days=1)


class Site:
    """A bundle, and the folder that a real web server hands out."""

    def __init__(self, folder):
        self.public = folder / "public"
        self.bundle = Bundle(self.public, folder / "keys")
        self.trust = self.bundle.create().read_bytes()
        self.url = ""

    def publish(self, valid=DAY, **slices):
        return self.bundle.publish({host: text.encode() for host, text in slices.items()}, valid)

    def reader(self, folder, host="w1", url=None):
        url = url or self.url
        return BundleReader(url, self.trust, folder, host, fetcher_of(url, threading.Event()))


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    handler = functools.partial(_Quiet, directory=str(made.public))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def fault_of(reader):
    with pytest.raises(PullError) as caught:
        reader.look()
    return caught.value.fault


def test_published__each_host_finds_its_own_slice(site, tmp_path):
    done = site.publish(w1="one", w2="two")
    assert (done.version, done.new) == (1, ("w1", "w2"))
    for host, text in (("w1", b"one"), ("w2", b"two")):
        reader = site.reader(tmp_path / host, host)
        found = reader.look()
        assert (found.version, found.length) == (1, 3)
        assert reader.fetch() == text
        assert found.expires <= datetime.now(UTC) + DAY


def test_published_again__only_what_differs_is_named_and_the_reader_sees_the_new_one(site, tmp_path):
    site.publish(w1="one", w2="two")
    reader = site.reader(tmp_path / "w1")
    first = reader.look()
    done = site.publish(w1="one more", w3="three")
    assert (done.changed, done.new, done.gone, done.unchanged) == (("w1",), ("w3",), ("w2",), ())
    second = reader.look()
    assert second.version == 2
    assert second.sha256 != first.sha256
    assert reader.fetch() == b"one more"


def test_from_a_folder__the_same(site, tmp_path):
    site.publish(w1="one")
    reader = site.reader(tmp_path / "w1", url=f"file://{site.public}")
    reader.look()
    assert reader.fetch() == b"one"


def test_many_publications__old_lists_and_slices_go(site):
    for number in range(6):
        site.publish(w1=f"slice {number}")
    names = {file.name for file in (site.public / "metadata").iterdir()}
    assert "6.targets.json" in names
    assert "5.targets.json" in names  # of a host that is reading
    assert "4.targets.json" not in names
    assert len(list((site.public / "targets/hosts/w1").iterdir())) == 2


def test_a_host_that_is_not_in_it__is_told(site, tmp_path):
    site.publish(w1="one")
    assert fault_of(site.reader(tmp_path / "w9", "w9")) is PullFault.NOT_LISTED


def test_nobody_there__is_unreachable(site, tmp_path):
    assert fault_of(site.reader(tmp_path / "w1", url="http://127.0.0.1:9")) is PullFault.UNREACHABLE


def test_an_older_bundle_put_back__is_refused(site, tmp_path):
    site.publish(w1="one")
    shutil.copytree(site.public, tmp_path / "old")
    site.publish(w1="two")
    reader = site.reader(tmp_path / "w1")
    reader.look()
    shutil.rmtree(site.public)
    shutil.copytree(tmp_path / "old", site.public)
    assert fault_of(reader) is PullFault.OLDER


def test_a_bundle_of_somebody_else__is_refused(site, tmp_path):
    site.publish(w1="one")
    other = Site(tmp_path / "other")
    other.publish(w1="one of his")
    shutil.rmtree(site.public)
    shutil.copytree(other.public, site.public)
    assert fault_of(site.reader(tmp_path / "w1")) is PullFault.WRONG_SIGNATURE


def test_expired__is_told_from_wrong(site, tmp_path):
    Bundle(site.public, tmp_path / "keys", now=lambda: datetime.now(UTC) - 3 * DAY).publish({"w1": b"one"}, DAY)
    assert fault_of(site.reader(tmp_path / "w1")) is PullFault.EXPIRED


@pytest.mark.parametrize("name", ["targets.json", "snapshot.json", "timestamp.json"])
def test_one_changed_byte_in_a_list__is_refused(site, tmp_path, name):
    site.publish(w1="one")
    path = next(file for file in (site.public / "metadata").iterdir() if file.name in (name, f"1.{name}"))
    document = json.loads(path.read_bytes())
    document["signed"]["version"] = document["signed"]["version"] + 1
    path.write_text(json.dumps(document))
    assert fault_of(site.reader(tmp_path / "w1")) is PullFault.WRONG_SIGNATURE


def test_another_slice_under_the_same_name__is_refused(site, tmp_path):
    site.publish(w1="one")
    (slice_,) = (site.public / "targets/hosts/w1").iterdir()
    slice_.write_text("two")
    reader = site.reader(tmp_path / "w1")
    reader.look()
    with pytest.raises(PullError) as caught:
        reader.fetch()
    assert caught.value.fault is PullFault.WRONG_SIGNATURE


def test_a_slice_without_measure__is_not_fetched(site, tmp_path):
    site.publish(w1="x" * (LARGEST_SLICE + 1))
    reader = site.reader(tmp_path / "w1")
    reader.look()
    with pytest.raises(PullError, match="1048576 are taken"):
        reader.fetch()


def test_the_key_replaced__hosts_follow_by_themselves_and_the_old_key_counts_no_more(site, tmp_path):
    site.publish(w1="one")
    reader = site.reader(tmp_path / "w1")
    reader.look()
    stolen = site.bundle.rotate()
    site.publish(w1="two")
    assert reader.look().version == 2
    shutil.copy(stolen, tmp_path / "keys/publish.pem")
    with pytest.raises(BadInput, match="no host would believe it"):
        site.publish(w1="three")


def test_a_publication_cut_off_before_its_last_file__counts_for_nothing(site, tmp_path):
    site.publish(w1="one")
    before = (site.public / "metadata/timestamp.json").read_bytes()
    site.publish(w1="two")
    (site.public / "metadata/timestamp.json").write_bytes(before)
    reader = site.reader(tmp_path / "w1")
    assert reader.look().version == 1
    assert reader.fetch() == b"one"
    assert site.publish(w1="three").version == 2
    assert reader.look().version == 2


def test_keys_are_made_once_and_are_nobody_elses(site, tmp_path):
    assert {(tmp_path / "keys" / name).stat().st_mode & 0o777 for name in ("root.pem", "publish.pem")} == {0o600}
    with pytest.raises(BadInput, match="never overwritten"):
        site.bundle.create()


def test_a_peer_that_trickles__does_not_hold_the_thread(tmp_path):
    class Slow(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                try:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                except OSError:
                    return
                if stopped.wait(0.05):
                    return

    stopped = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site = Site(tmp_path)
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        reader = BundleReader(url, site.trust, tmp_path / "w1", "w1", HttpFetcher(threading.Event(), file_s=0.3))
        assert fault_of(reader) is PullFault.UNREACHABLE
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
