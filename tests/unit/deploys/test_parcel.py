"""How a release comes to a host: what is sent, what the host is told to fetch, and how much room that takes."""

import shlex
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploys import steps
from deploys.drivers import BUILDS
from deploys.outcome import Shell, Upload
from deploys.parcel import Room, pack
from deploys.wheels import read_wheel
from livefleet.spec import ReleaseSettings
from tests.builders.deploys import NOW, a_host, a_node, a_parcel, a_release, a_wheel_fact

pytestmark = pytest.mark.unit

CLICK = a_wheel_fact(Path("/cache/wheels/click-8.5.1-py3-none-any.whl"))
TORCH = a_wheel_fact(Path("/cache/wheels/torch-2.13.0+cu126-cp311-cp311-manylinux_2_28_x86_64.whl"), size=800 << 20)
BUILT = a_wheel_fact(Path("/cache/wheels/odd-1-cp311-cp311-linux_x86_64.whl"))
CU126 = next(build for build in BUILDS if build.label == "cu126")
MIB = 1 << 20


def installing(parcel, **facts):
    """The one command that installs: its uv line and its stdin."""
    outcome = steps.agent(parcel, "/opt/livefleet", a_host(**facts), local=False, keep=3, bundle=lambda _: Path("/b"))
    (command,) = [c for c in outcome.commands if isinstance(c, Shell) and "pip install" in c.text]
    (line,) = [line for line in command.text.splitlines() if "pip install" in line]
    return shlex.split(line), command, [Path(c.dest).name for c in outcome.commands if isinstance(c, Upload)]


def test_carried__everything_is_sent_and_nothing_is_looked_up():
    parcel = a_parcel(wheels=(CLICK, BUILT))
    words, command, uploads = installing(parcel)
    assert uploads == [f"{parcel.digest}.tar", "livefleet-0.1.0-py3-none-any.whl"]
    assert {"--offline", "--no-index", "--require-hashes", "--no-deps"} <= set(words)
    assert command.stdin == (
        f"/opt/livefleet/bundles/{parcel.digest}/wheels/{CLICK.path.name} --hash=sha256:{CLICK.sha256}",
        f"/opt/livefleet/bundles/{parcel.digest}/wheels/{BUILT.path.name} --hash=sha256:{BUILT.sha256}",
        f"/opt/livefleet/incoming/livefleet-0.1.0-py3-none-any.whl --hash=sha256:{parcel.own.sha256}",
    )
    assert command.timeout_s == 1200


def test_index__the_host_fetches_by_hash_and_what_no_index_has_is_sent():
    settings = ReleaseSettings.model_validate({"source": "index", "index_url": "https://pypi.example/simple"})
    parcel = pack(a_release(), CLICK, (CLICK, BUILT, TORCH), settings, CU126)
    words, command, _ = installing(parcel)
    assert shlex.join(words[words.index("--default-index") :]).startswith(
        "--default-index https://pypi.example/simple --index https://download.pytorch.org/whl/cu126"
        " --index-strategy unsafe-best-match --no-deps --require-hashes --only-binary :all: --compile-bytecode"
    )
    assert "--offline" not in words
    assert "--no-index" not in words
    assert command.stdin[0] == f"click==8.5.1 --hash=sha256:{CLICK.sha256}"
    assert command.stdin[1].startswith(f"/opt/livefleet/bundles/{parcel.digest}/wheels/odd-1-")
    assert command.stdin[2] == f"torch==2.13.0+cu126 --hash=sha256:{TORCH.sha256}"
    assert parcel.sent == (BUILT,)
    assert command.timeout_s == 7200
    assert "from https://pypi.example/simple" in parcel.told
    assert "PyTorch 2.13.0+cu126" in parcel.told


@pytest.mark.parametrize(("cache", "offline"), [("/mnt/wheels", True), ("http://cache.example/wheels/", False)])
def test_cache__is_the_only_place_that_is_looked_at(cache: str, offline: bool):
    parcel = a_parcel(wheels=(CLICK,), source="cache", cache=cache)
    words, command, uploads = installing(parcel)
    assert words[words.index("--find-links") + 1] == cache
    assert "--no-index" in words
    assert ("--offline" in words) == offline
    assert command.stdin[0] == f"click==8.5.1 --hash=sha256:{CLICK.sha256}"
    assert len(uploads) == 2  # the installer, and livefleet's own wheel


def test_local__wheels_are_taken_where_they_are_and_checked_all_the_same():
    parcel = a_parcel(wheels=(CLICK,), source="index")
    outcome = steps.agent(parcel, "/opt/livefleet", a_host(), local=True, keep=3, bundle=lambda _: Path("/b"))
    (command,) = [c for c in outcome.commands if isinstance(c, Shell) and "pip install" in c.text]
    assert "--no-index" in command.text
    assert "--require-hashes" in command.text
    assert command.stdin[0] == f"{CLICK.path} --hash=sha256:{CLICK.sha256}"


def test_bundle__other_bytes_under_the_same_name__is_another():
    other = replace(CLICK, sha256="0" * 64)
    assert a_parcel(wheels=(CLICK,)).digest != a_parcel(wheels=(other,)).digest
    assert a_parcel(wheels=(CLICK,)).digest == a_parcel(wheels=(CLICK,)).digest


# -- room


def a_packed(tmp_path: Path, **settings):
    installer = tmp_path / "uv"
    installer.write_bytes(b"x" * MIB)
    return a_parcel(release=replace(a_release(), installer=installer), wheels=(TORCH, CLICK), **settings)


def test_room__carried__is_the_archive_and_then_what_is_in_it(tmp_path: Path):
    parcel = a_packed(tmp_path)
    upload = parcel.own.size + (800 + 1 + 1) * MIB
    assert parcel.room((), local=False, by_sudo=True) == Room(2 * upload, upload)
    bulky = a_parcel(release=parcel.release, wheels=(replace(TORCH, unpacked=5000 * MIB), CLICK))
    assert bulky.room((), local=False, by_sudo=False) == Room(upload + (5000 + 3 + 3 + 3) * MIB, 0)


def test_room__wheels_are_there_or_fetched__nothing_is_sent_but_ones_own(tmp_path: Path):
    parcel = a_packed(tmp_path)
    there = parcel.room((parcel.digest,), local=False, by_sudo=True)
    assert there == Room(parcel.own.size + (3 * 3 + 3) * MIB, parcel.own.size)
    fetched = a_packed(tmp_path, source="index").room((), local=False, by_sudo=False)
    assert fetched.releases < parcel.room((), local=False, by_sudo=False).releases


def test_room__own_machine__takes_what_is_installed():
    assert a_parcel(wheels=(CLICK,)).room((), local=True, by_sudo=False) == Room(6 * MIB, 0)


@pytest.mark.parametrize(
    ("disk", "temporary", "apart", "words"),
    [
        (300, 9000, False, "300 MiB are free where releases go, and 1056 MiB are needed"),
        (700, 9000, True, "700 MiB are free where releases go, and 856 MiB are needed"),
        (9000, 150, True, "150 MiB are free in /tmp, and 200 MiB are sent there"),
        (9000, 150, False, ""),  # the same disk
        (900, 9000, True, ""),
    ],
)
def test_preflight__room__is_refused_with_both_numbers(disk: int, temporary: int, apart: bool, words: str):
    facts = a_host(disk_free_kib=disk << 10, temporary_free_kib=temporary << 10, temporary_apart=apart)
    room = Room(600 * MIB, 200 * MIB)
    refusal = steps.preflight(a_node(), facts, now=NOW, sudo=True, room=room).refusal or ""
    assert (words in refusal) if words else not refusal


@settings(max_examples=20)
@given(sizes=st.lists(st.integers(0, 100_000), max_size=20))
def test_wheel__room__is_whole_blocks_of_every_file(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]):
    path = tmp_path_factory.mktemp("wheel") / "a_b-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, size in enumerate(sizes):
            archive.writestr(f"a/{number}.{'py' if number % 2 else 'so'}", b"\0" * size)
    wheel = read_wheel(path)
    assert (wheel.name, wheel.version) == ("a-b", "1.0")
    assert wheel.unpacked % 4096 == 0
    assert sum(sizes) <= wheel.unpacked <= sum(sizes) + 4096 * (len(sizes) + 1)
    assert wheel.bytecode >= sum(size for number, size in enumerate(sizes) if number % 2)
