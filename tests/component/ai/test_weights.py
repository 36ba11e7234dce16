"""Pulling weights from a hub over real sockets: what is fetched, resumed, checked and refused."""

import asyncio
import functools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from livefleet.ai.catalogue import Placement
from livefleet.ai.errors import DiskFull, HubAway, HubRefused, WeightsBroken, WeightsMissing
from livefleet.ai.hub import parse_listing
from livefleet.ai.weights import Part, Weights
from livefleet.ai.weights_plan import Pulled, PullPlan, Wanted
from livefleet.ai.weights_pull import Patience
from livefleet.spec import ModelEntry, Pipeline, WeightsSettings
from tests.builders.hub import COMMIT, OTHER_COMMIT, FakeHub, a_hub

pytestmark = pytest.mark.component

ID = "owner/tiny"
BIG = bytes(range(256)) * 2000  # 512,000 bytes
LLM = {
    "config.json": b"{}",
    "tokenizer.json": b'{"a": 1}',
    "model.safetensors": BIG,
    "pytorch_model.bin": b"x" * 5000,
    "README.md": b"# read me",
}
HASTY = Patience(tries=3, first_pause_s=0.01, longest_pause_s=0.05)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with a_hub() as hub:
        hub.add(ID, LLM)
        yield hub


class Watcher:
    """Counts what is told."""

    def __init__(self) -> None:
        self.plans: list[PullPlan] = []
        self.advanced_by = 0

    def planned(self, plan: PullPlan) -> None:
        self.plans.append(plan)

    def advanced(self, wanted: Wanted, amount: int) -> None:
        self.advanced_by += amount


def weights_of(
    folder: Path, hub: FakeHub | None, *, token: str | None = None, free: int = 10**12, **settings: Any
) -> Weights:
    where = {"hub": hub.url} if hub is not None else {"offline": True}
    return Weights(
        WeightsSettings.model_validate(where | {"keep_free": 1} | settings),
        state_folder=folder,
        token=token,
        patience=HASTY,
        free=lambda _: free,
    )


def wanted(revision: str | None = None, **fields: Any) -> Wanted:
    return Wanted(**{"repository": ID, "revision": revision, "pipeline": Pipeline.LLM, "dtype": "float32"} | fields)


def pull(weights: Weights, what: Wanted | None = None, watcher: Watcher | None = None) -> Pulled:
    return weights.pull(what or wanted(), stop=threading.Event(), watcher=watcher or Watcher())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pull__of_a_model__brings_what_is_needed_and_no_more(tmp_path: Path, hub: FakeHub) -> None:
    watcher = Watcher()

    pulled = pull(weights_of(tmp_path, hub), watcher=watcher)

    needed = {name: LLM[name] for name in ("config.json", "tokenizer.json", "model.safetensors")}
    assert contents(pulled.folder) == needed
    assert pulled.folder == tmp_path / "models" / ID / "resolve" / COMMIT
    assert (pulled.files, pulled.size, pulled.fetched) == (3, watcher.advanced_by, hub.sent)
    assert watcher.plans[0].to_fetch == pulled.size


def test_pull__again__asks_only_what_main_is(tmp_path: Path, hub: FakeHub) -> None:
    weights = weights_of(tmp_path, hub)
    pull(weights)
    hub.asked.clear()

    again = pull(weights)

    assert [asked.path for asked in hub.asked] == [f"/api/models/{ID}/revision/main"]
    assert again.fetched == 0


def test_pull__of_a_commit_that_is_here__asks_nobody(tmp_path: Path, hub: FakeHub) -> None:
    weights = weights_of(tmp_path, hub)
    pull(weights, wanted(COMMIT))
    hub.asked.clear()

    assert pull(weights, wanted(COMMIT)).fetched == 0
    assert hub.asked == []


def test_pull__main_has_moved__fetches_what_changed(tmp_path: Path, hub: FakeHub) -> None:
    weights = weights_of(tmp_path, hub)
    pull(weights)
    hub.add(ID, LLM | {"config.json": b'{"new": true}'}, commit=OTHER_COMMIT)
    hub.asked.clear()

    moved = pull(weights)

    assert moved.commit == OTHER_COMMIT
    assert contents(moved.folder)["config.json"] == b'{"new": true}'
    assert hub.files_asked() == [f"/{ID}/resolve/{OTHER_COMMIT}/config.json"]


def test_pull__connection_cut_again_and_again__goes_on_where_it_was(tmp_path: Path, hub: FakeHub) -> None:
    hub.cut_after = 100_000

    pulled = pull(weights_of(tmp_path, hub))

    assert contents(pulled.folder)["model.safetensors"] == BIG
    starts = [asked.range for asked in hub.asked if asked.path == f"/cdn/{ID}/resolve/{COMMIT}/model.safetensors"]
    assert starts[:2] == [None, "bytes=100000-"]
    assert hub.sent == pulled.size  # no byte twice


def test_pull__server_without_ranges__begins_anew_and_ends_right(tmp_path: Path, hub: FakeHub) -> None:
    hub.no_ranges, hub.cut_after, hub.cuts = True, 300_000, 1
    watcher = Watcher()

    pulled = pull(weights_of(tmp_path, hub), watcher=watcher)

    assert contents(pulled.folder)["model.safetensors"] == BIG
    assert watcher.advanced_by == pulled.size
    assert hub.sent == 300_000 + pulled.size


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_pull__wrong_bytes__are_never_placed(tmp_path: Path, hub: FakeHub, name: str) -> None:
    hub.wrong = {name}

    with pytest.raises(WeightsBroken, match=f"{name} is not what was announced: hash"):
        pull(weights_of(tmp_path, hub))

    assert name not in contents(tmp_path / "models" / ID / "resolve")
    assert list((tmp_path / "models/.partial").rglob(f"*{name}*")) == []
    hub.wrong = set()
    assert contents(pull(weights_of(tmp_path, hub)).folder)[name] == LLM[name]


def partial_of(folder: Path, hub: FakeHub, name: str) -> Path:
    """Where a file of the model will grow."""
    listing = parse_listing(json.dumps(hub.listing(ID, "main")), name="hub")
    partial = weights_of(folder, hub).store.partial(ID, next(file for file in listing.files if file.path == name))
    partial.parent.mkdir(parents=True)
    return partial


@pytest.mark.parametrize("size", [1, 300_000, len(BIG), len(BIG) + 1])
def test_pull__a_begin_that_was_spoilt_on_disk__is_found_and_fetched_anew(
    tmp_path: Path, hub: FakeHub, size: int
) -> None:
    partial_of(tmp_path, hub, "model.safetensors").write_bytes(b"\7" * size)

    assert contents(pull(weights_of(tmp_path, hub)).folder)["model.safetensors"] == BIG


def test_pull__busy_hub__is_asked_again(tmp_path: Path, hub: FakeHub) -> None:
    hub.statuses = [503, 429, 200, 500]

    assert pull(weights_of(tmp_path, hub)).files == 3


def test_pull__dead_hub__is_given_up_with_its_words(tmp_path: Path, hub: FakeHub) -> None:
    hub.statuses = [503] * 50

    with pytest.raises(HubAway, match=r"owner/tiny at main: status 503"):
        pull(weights_of(tmp_path, hub))
    assert 3 <= len(hub.asked) <= 4


def test_pull__hub_away_and_main_known__takes_what_is_known(tmp_path: Path, hub: FakeHub) -> None:
    pull(weights_of(tmp_path, hub))
    hub.statuses = [503] * 50

    assert pull(weights_of(tmp_path, hub)).fetched == 0


@pytest.mark.parametrize("token", [None, "wrong"])
def test_pull__gated_model__says_what_to_do(tmp_path: Path, hub: FakeHub, token: str | None) -> None:
    hub.token = "right"

    with pytest.raises(HubRefused) as caught:
        pull(weights_of(tmp_path, hub, token=token))

    assert "status 401, Access to this model is restricted" in str(caught.value)
    assert ("agree to its licence" if token else "duties.ai.weights.token") in str(caught.value)
    assert "wrong" not in str(caught.value)


def test_pull__with_token__sends_it_to_the_hub_and_nobody_else(tmp_path: Path, hub: FakeHub) -> None:
    hub.token = "right"

    pull(weights_of(tmp_path, hub, token="right"))

    told = {asked.path.startswith("/cdn/"): asked.authorization for asked in hub.asked}
    assert told == {False: "Bearer right", True: None}


@pytest.mark.parametrize("what", [wanted("v9"), wanted(repository="owner/nothing"), wanted("3" * 40)])
def test_pull__unknown_revision_or_repository__is_missing(tmp_path: Path, hub: FakeHub, what: Wanted) -> None:
    with pytest.raises(WeightsMissing, match="status 404"):
        pull(weights_of(tmp_path, hub), what)


def test_pull__revision_with_a_slash__is_one_segment(tmp_path: Path, hub: FakeHub) -> None:
    hub.add(ID, LLM, ref="refs/pr/1")

    assert pull(weights_of(tmp_path, hub), wanted("refs/pr/1")).commit == COMMIT
    assert pull(weights_of(tmp_path, None), wanted("refs/pr/1")).fetched == 0


def test_pull__too_little_room__is_refused_with_figures_before_any_file(tmp_path: Path, hub: FakeHub) -> None:
    with pytest.raises(DiskFull) as caught:
        pull(weights_of(tmp_path, hub, free=560_000, keep_free=100_000))

    assert "owner/tiny needs 0.5 MB more" in str(caught.value)
    assert "has 0.6 MB free, of which 0.1 MB stay free; free 0.1 MB" in str(caught.value)
    assert hub.files_asked() == []


def test_pull__file_with_a_path_out_of_the_folder__is_refused(tmp_path: Path, hub: FakeHub) -> None:
    hub.add(ID, LLM | {"../../evil.json": b"{}"})

    with pytest.raises(WeightsBroken, match="leads out of the repository"):
        pull(weights_of(tmp_path, hub))
    assert not list(tmp_path.rglob("evil.json"))


def test_pull__of_a_pipeline__brings_its_parts_in_the_wanted_precision(tmp_path: Path, hub: FakeHub) -> None:
    hub.add("owner/sd", {
        "model_index.json": json.dumps({"_class_name": "X", "unet": ["diffusers", "Y"], "none": [None, None]}).encode(),
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": b"32" * 900,
        "unet/diffusion_pytorch_model.fp16.safetensors": b"16" * 900,
        "vae_1_0/diffusion_pytorch_model.safetensors": b"no" * 900,
        "sd.safetensors": b"whole" * 900,
    })  # fmt: skip
    what = wanted(repository="owner/sd", pipeline=Pipeline.TEXT_TO_IMAGE, dtype="float16")

    pulled = pull(weights_of(tmp_path, hub), what)

    assert sorted(contents(pulled.folder)) == [
        "model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.fp16.safetensors"
    ]  # fmt: skip


@pytest.mark.parametrize("index", [b"[" * 100_000, b"[]", b"x", b" " * (1 << 20) + b"{}"])
def test_pull__of_a_pipeline_whose_index_is_none__is_refused(tmp_path: Path, hub: FakeHub, index: bytes) -> None:
    hub.add("owner/sd", {"model_index.json": index, "unet/config.json": b"{}"})

    with pytest.raises(WeightsBroken, match=r"owner/sd: model_index\.json"):
        pull(weights_of(tmp_path, hub), wanted(repository="owner/sd", pipeline=Pipeline.TEXT_TO_IMAGE))


def test_pull__two_at_once__download_once(tmp_path: Path, hub: FakeHub) -> None:
    weights = weights_of(tmp_path, hub)
    found: list[Pulled] = []
    threads = [threading.Thread(target=lambda: found.append(pull(weights))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 3
    assert hub.sent == found[0].size


@pytest.fixture
def site(tmp_path: Path, hub: FakeHub) -> Iterator[tuple[str, Path]]:
    """A first host that has pulled, and any web server over its folder: the standard library's knows no ranges."""
    pull(weights_of(tmp_path / "first", hub))
    folder = tmp_path / "first/models"
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize("by", ["web", "folder"])
def test_site_cache__has_it__the_hub_only_says_what_main_is(
    tmp_path: Path, hub: FakeHub, site: tuple[str, Path], by: str
) -> None:
    hub.asked.clear()
    cache = site[0] if by == "web" else str(site[1])

    pulled = pull(weights_of(tmp_path / "second", hub, site_cache=cache))

    assert contents(pulled.folder)["model.safetensors"] == BIG
    assert [asked.path for asked in hub.asked] == [f"/api/models/{ID}/revision/main"]


@pytest.mark.parametrize("by", ["web", "folder"])
def test_site_cache__without_a_hub__serves_the_whole_site(tmp_path: Path, site: tuple[str, Path], by: str) -> None:
    cache = site[0] if by == "web" else str(site[1])

    pulled = pull(weights_of(tmp_path / "second", None, site_cache=cache))

    assert contents(pulled.folder)["model.safetensors"] == BIG


def test_site_cache__spoilt__is_found_by_hash_and_the_hub_asked(
    tmp_path: Path, hub: FakeHub, site: tuple[str, Path]
) -> None:
    spoilt = site[1] / ID / "resolve" / COMMIT / "model.safetensors"
    spoilt.write_bytes(b"\0" * len(BIG))

    pulled = pull(weights_of(tmp_path / "second", hub, site_cache=site[0]))

    assert contents(pulled.folder)["model.safetensors"] == BIG


def test_site_cache__dead__the_hub_is_asked(tmp_path: Path, hub: FakeHub) -> None:
    assert pull(weights_of(tmp_path, hub, site_cache="http://127.0.0.1:1")).files == 3


def test_offline__with_nothing_here__says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"owner/tiny at main is not here, and the hub is not asked"):
        pull(weights_of(tmp_path, None))


def an_entry(**fields: Any) -> ModelEntry:
    return ModelEntry(**{"pipeline": Pipeline.LLM, "model_id": ID} | fields)


async def test_fetch__then_local__is_a_folder_that_needs_no_network(tmp_path: Path, hub: FakeHub) -> None:
    weights, entry = weights_of(tmp_path, hub), an_entry()
    assert weights.local(entry, "float32") is None

    source = await weights.fetch(entry, "float32")
    hub.asked.clear()

    assert source == weights.local(entry, "float32") == await weights.fetch(entry, "float32")
    assert (source.is_folder, hub.asked) == (True, [])


async def test_fetch__cancelled__stops_and_keeps_what_came(tmp_path: Path, hub: FakeHub) -> None:
    hub.stall_after = 200_000
    task = asyncio.create_task(weights_of(tmp_path, hub).fetch(an_entry(), "float32"))
    await asyncio.to_thread(hub.stalled.wait, 20)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hub.stall_after = None
    hub.release.set()

    again = await weights_of(tmp_path, hub).fetch(an_entry(), "float32")
    assert contents(Path(again.location))["model.safetensors"] == BIG


async def test_fetch__of_further_parts(tmp_path: Path, hub: FakeHub) -> None:
    hub.add("owner/net", {"config.json": b"{}", "diffusion_pytorch_model.safetensors": b"net" * 500})
    (tmp_path / "checker").mkdir()
    entry = an_entry(pipeline=Pipeline.IMAGE_TO_IMAGE, controlnet="owner/net", safety_checker="checker")
    weights = weights_of(tmp_path, hub)

    assert weights.parts(entry) == (Part.MODEL, Part.CONTROLNET, Part.SAFETY_CHECKER)
    net = await weights.fetch(entry, "float32", Part.CONTROLNET)
    assert sorted(contents(Path(net.location))) == ["config.json", "diffusion_pytorch_model.safetensors"]
    assert weights.local(entry, "float32", Part.SAFETY_CHECKER).location == str(tmp_path / "checker")
    assert weights.parts(an_entry(url="http://x")) == ()


async def test_source_of__lightning__is_sdxl_without_its_network_and_the_other_beside_it(
    tmp_path: Path, hub: FakeHub
) -> None:
    hub.add("stabilityai/stable-diffusion-xl-base-1.0", {
        "model_index.json": b'{"unet": ["diffusers", "U"], "vae": ["diffusers", "V"]}',
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": b"base" * 900,
        "vae/diffusion_pytorch_model.safetensors": b"vae" * 900,
    })  # fmt: skip
    steps = {f"sdxl_lightning_{n}step_unet.safetensors": b"%d" % n * 900 for n in (2, 4, 8)}
    hub.add("ByteDance/SDXL-Lightning", steps)
    entry = an_entry(pipeline=Pipeline.TEXT_TO_IMAGE, model_id="ByteDance/SDXL-Lightning-4step")
    weights = weights_of(tmp_path, hub)
    placement = Placement(entry, "cpu", "float32")

    source = await weights.source_of(placement)

    assert sorted(contents(Path(source.location))) == [
        "model_index.json", "sdxl_lightning_4step_unet.safetensors", "unet/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]  # fmt: skip
    assert await weights.source_of(placement) == source
    assert weights.parts(entry) == (Part.MODEL, Part.NETWORK)


_CHILD = """
import sys, threading
from pathlib import Path
from livefleet.ai.weights import Weights
from livefleet.ai.weights_plan import Unwatched, Wanted
from livefleet.spec import Pipeline, WeightsSettings
weights = Weights(WeightsSettings(hub=sys.argv[2], keep_free=1), state_folder=Path(sys.argv[1]))
weights.pull(Wanted("owner/tiny", None, Pipeline.LLM, "float32"), stop=threading.Event(), watcher=Unwatched())
"""


def test_pull__killed_in_the_midst__goes_on_and_fetches_no_byte_twice(tmp_path: Path, hub: FakeHub) -> None:
    hub.stall_after = 200_000
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path), hub.url])
    try:
        assert hub.stalled.wait(30)
        partials = tmp_path / "models/.partial"
        deadline = time.monotonic() + 10
        while not any(path.stat().st_size >= 200_000 for path in partials.rglob("*") if path.is_file()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert (
        "model.safetensors" not in contents(tmp_path / "models" / ID) if (tmp_path / "models" / ID).exists() else True
    )
    hub.stall_after = None
    hub.release.set()
    hub.asked.clear()

    pulled = pull(weights_of(tmp_path, hub))

    assert contents(pulled.folder)["model.safetensors"] == BIG
    assert "bytes=200000-" in [asked.range for asked in hub.asked]


def test_pull__disk_becomes_full__says_so_and_goes_on_once_there_is_room(tmp_path: Path, hub: FakeHub) -> None:
    """The kernel's /dev/full stands for the disk."""
    partial = partial_of(tmp_path, hub, "model.safetensors")
    partial.symlink_to("/dev/full")

    with pytest.raises(DiskFull, match=r"became full in the midst of owner/tiny/model\.safetensors"):
        pull(weights_of(tmp_path, hub))
    partial.unlink()

    assert contents(pull(weights_of(tmp_path, hub)).folder)["model.safetensors"] == BIG
