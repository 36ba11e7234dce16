import pytest

from livefleet.wire.server.stream_store import MAX_FOLDERS, RING_SIZE, StreamStore
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit


@pytest.fixture
def clock():
    return HandClock(0.0)


@pytest.fixture
def store(clock):
    return StreamStore("https://o:8935", clock)


def test_put__url_leads_back(store):
    url = store.put("cafe", "240 p/x", "0.ts", b"data")
    assert url == "https://o:8935/stream/cafe/240%20p%2Fx/0.ts"
    assert store.get("cafe/240 p/x/0.ts").data == b"data"
    assert store.put("cafe", "", "1.tempfile", b"s") == "https://o:8935/stream/cafe/1.tempfile"
    assert store.get("cafe/1.tempfile").media_type is None


def test_unread__counts_what_is_kept_and_nobody_asked_for(store, clock):
    for number in range(RING_SIZE + 2):
        store.put("a", "p", f"{number}.ts", b"")
    assert store.unread == RING_SIZE
    store.get("a/p/5.ts")
    store.get("a/p/5.ts")
    store.discard("a", "p", "6.ts")
    assert store.unread == RING_SIZE - 2
    store.put("b", "", "0.png", b"", keep_s=1)
    store.drop("a")
    assert store.unread == 1
    clock.time = 2
    store.get("b/0.png")
    assert store.unread == 0


@pytest.mark.parametrize(
    ("name", "media_type"), [("0.ts", "video/mp2t"), ("0.mp4", "video/mp4"), ("0.png", "image/png"), ("0.x", None)]
)
def test_media_type__follows_the_extension(store, name, media_type):
    store.put("s", "p", name, b"")
    assert store.get(f"s/p/{name}").media_type == media_type


def test_ring__thirteenth_file__drops_the_oldest(store):
    for number in range(RING_SIZE + 1):
        store.put("s", "p", f"{number}.ts", b"%d" % number)
    assert store.get("s/p/0.ts") is None
    assert store.get("s/p/1.ts") is not None


def test_ring__same_name__replaces(store):
    for number in range(RING_SIZE):
        store.put("s", "p", f"{number}.ts", b"old")
    store.put("s", "p", "3.ts", b"new")
    assert store.get("s/p/3.ts").data == b"new"
    assert store.get("s/p/0.ts") is not None


def test_drop__session_is_gone(store):
    store.put("s", "p", "0.ts", b"")
    store.drop("s")
    assert store.get("s/p/0.ts") is None


def test_keep__until_its_time(store, clock):
    store.put("s", "", "0.png", b"", keep_s=600)
    clock.time = 599
    assert store.get("s/0.png") is not None
    clock.time = 600
    assert store.get("s/0.png") is None


@pytest.mark.parametrize("path", ["", "s", "s/", "/", "s/p", "../etc/passwd"])
def test_get__odd_paths__are_nothing(store, path):
    store.put("s", "p", "0.ts", b"")
    assert store.get(path) is None


def test_put__folders_without_end__the_one_written_longest_ago_goes(store):
    for number in range(MAX_FOLDERS):
        store.put("s", f"rendition {number}", "0.ts", b"")
    store.put("s", "rendition 0", "1.ts", b"")
    store.put("s", "another", "0.ts", b"")
    assert store.get("s/rendition 1/0.ts") is None
    assert store.unread == MAX_FOLDERS + 1
    assert store.get("s/rendition 0/0.ts") is not None
