"""Where tokens and answers are brought from: each place, their order, and what cannot be read."""

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.enrol import SeedSources
from livefleet.enrol.smbios import oem_strings, strings_of
from livefleet.kernel import BadInput
from livefleet.spec.enrol import Seed, SeedPlaces
from tests.builders.enrol import NoVolumes

ONE, TWO, THREE, FOUR = (f"lf1-{letter * 32}" for letter in "abcd")


class Sticks:
    def __init__(self, **files):
        self.files = files

    def read(self, label, name, most):
        content = self.files.get(label.lower())
        if isinstance(content, Exception):
            raise content
        return None if content is None or name != "livefleet.yaml" else content[:most]


def sources(root, *, sticks=None, environ=None, **places):
    return SeedSources(SeedPlaces(**places), root, sticks or NoVolumes(), environ or {})


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def oem(*texts):
    return struct.pack("<BBH", 11, 5, 0) + bytes([len(texts)]) + b"".join(t.encode() + b"\0" for t in texts) + b"\0"


def test_look__nothing_anywhere__is_an_empty_seed(tmp_path):
    found = sources(tmp_path).look()
    assert (found.seed, found.sources, found.problems) == (Seed(), (), ())


def test_look__every_place_has_one__credential_wins_then_the_next(tmp_path):
    unit = put(tmp_path / "creds/livefleet.token", f"{ONE}\n".encode())
    system = put(tmp_path / "run/credentials/@system/livefleet.token", TWO.encode())
    smbios = put(tmp_path / "sys/firmware/dmi/entries/11-0/raw", oem("x=y", f"livefleet.token={THREE}"))
    boot = put(tmp_path / "boot/livefleet.yaml", f"token: {FOUR}\nnickname: from-boot\n".encode())
    sticks = Sticks(livefleet=f"token: {ONE}\n".encode())
    looked = sources(tmp_path, sticks=sticks, environ={"CREDENTIALS_DIRECTORY": str(unit.parent)})
    seen = []
    for path in (unit, system, smbios):
        seen.append(looked.look().seed.token)
        path.unlink()
    seen.append(looked.look().seed.token)
    sticks.files = {}
    seen.append(looked.look().seed.token)
    boot.unlink()
    assert seen == [ONE, TWO, THREE, ONE, FOUR]
    assert looked.look().seed == Seed()


def test_look__token_by_credential_and_nickname_on_a_stick__are_put_together(tmp_path):
    put(tmp_path / "run/credentials/@system/livefleet.token", ONE.encode())
    found = sources(tmp_path, sticks=Sticks(cidata=b"nickname: miner\n")).look()
    assert found.seed == Seed(token=ONE, nickname="miner")
    assert found.sources == ("the system's credential", "the volume cidata")


def test_look__in_a_container__its_managers_credential_is_taken(tmp_path):
    put(tmp_path / "run/host/credentials/livefleet.token", ONE.encode())
    assert sources(tmp_path).look().seed.token == ONE


def test_look__smbios_as_systemd_names_it__is_taken(tmp_path):
    put(tmp_path / "sys/firmware/dmi/entries/11-0/raw", oem(f"io.systemd.credential:livefleet.token={ONE}"))
    assert sources(tmp_path).look().seed.token == ONE


def test_look__credentials_are_not_wanted__are_not_looked_at(tmp_path):
    put(tmp_path / "run/credentials/@system/livefleet.token", ONE.encode())
    assert sources(tmp_path, credential=False).look().seed == Seed()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"token: [\n", "LIVEFLEET/livefleet.yaml:2:1: not YAML"),
        (b"\xff\xfe", "LIVEFLEET/livefleet.yaml: is not UTF-8 text"),
        (b"#" * 20_000, "LIVEFLEET/livefleet.yaml: has more than 16384 bytes"),
        (b"", "LIVEFLEET/livefleet.yaml:1:1: the file is empty"),
        (b"name: x\n", "LIVEFLEET/livefleet.yaml:1:1: unknown key `name`"),
        (BadInput("the volume LIVEFLEET cannot be mounted: no such device"), "the volume LIVEFLEET cannot be mounted"),
    ],
)
def test_look__a_stick_that_is_wrong__is_told_and_the_other_places_count(tmp_path, content, told):
    put(tmp_path / "boot/livefleet.yaml", f"token: {ONE}\n".encode())
    found = sources(tmp_path, sticks=Sticks(livefleet=content)).look()
    assert found.seed.token == ONE
    assert len(found.problems) == 1
    assert told in found.problems[0]


def test_look__a_pipe_of_the_files_name__does_not_hold_it(tmp_path):
    (tmp_path / "boot").mkdir()
    os.mkfifo(tmp_path / "boot/livefleet.yaml")
    assert sources(tmp_path).look().seed == Seed()


def test_look__a_folder_of_the_files_name__is_told(tmp_path):
    (tmp_path / "boot/livefleet.yaml").mkdir(parents=True)
    assert "/boot/livefleet.yaml: cannot be read" in sources(tmp_path).look().problems[0]


@given(st.binary(max_size=300))
def test_smbios__whatever_the_table_says__is_a_list_of_texts(raw):
    assert all(isinstance(text, str) and text for text in strings_of(raw))


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40), max_size=8))
def test_smbios__strings__come_back_as_they_were_put(texts):
    assert strings_of(oem(*texts)) == texts


def test_smbios__no_table__has_none(tmp_path):
    assert list(oem_strings(tmp_path)) == []
