"""Who did what, as lines on the disk."""

import pytest

from livefleet.control.journal import Deed, append_deed, note_on_host, operator_name, read_deeds, state_folder
from livefleet.kernel import BadInput, OutsideWorld
from livefleet.spec import load_fleet

pytestmark = pytest.mark.unit


def a_deed(**fields) -> Deed:
    return Deed(**{"at": 1.5, "who": "me@here", "action": "apply", "outcome": "serving", **fields})


def test_journal__appended__is_read_in_order_and_private(tmp_path):
    path = tmp_path / "state/journal.jsonl"
    assert read_deeds(path) == ()
    append_deed(path, a_deed(host="one"))
    append_deed(path, a_deed(host="two", text="line\nbreak"))
    assert [deed.host for deed in read_deeds(path)] == ["one", "two"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text().splitlines()) == 2


def test_journal__cut_off_line_and_newer_field__hide_nothing(tmp_path):
    path = tmp_path / "journal.jsonl"
    append_deed(path, a_deed(host="one"))
    with path.open("a") as file:
        file.write('{"at": 2, "who": "me", "action": "apply", "outcome": "serving", "new": 1}\n{"at": 3, "wh')
    assert [deed.at for deed in read_deeds(path)] == [1.5, 2.0]


def test_journal__cannot_be_written__is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        append_deed(tmp_path / "file/journal.jsonl", a_deed())


def test_operator__is_named_or_this_user():
    assert operator_name({"LIVEFLEET_OPERATOR": "alice"}) == "alice"
    assert "@" in operator_name({})


def test_state_folder__two_fleet_files_of_one_name__are_apart(tmp_path):
    folders = []
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        file = tmp_path / place / "fleet.yaml"
        file.write_text("name: f\nnetwork: {name: offchain}\nhosts: {m: {address: 10.0.0.1, role: monitor}}\n")
        folders.append(state_folder(load_fleet(file), {"XDG_STATE_HOME": str(tmp_path)}))
    assert folders[0] != folders[1]
    assert all(folder.parent == tmp_path / "livefleet" for folder in folders)


def test_host_journal__noted_from_here__is_one_more_line_as_it_was_written(tmp_path):
    file = tmp_path / "fleet.yaml"
    host = f'{{address: "@local", root: {tmp_path}, role: monitor}}'
    file.write_text(f"name: f\nnetwork: {{name: offchain}}\nhosts: {{m: {host}}}\n")
    fleet = load_fleet(file)
    path = fleet.node("m").paths.state / "journal.jsonl"
    with pytest.raises(OutsideWorld):
        note_on_host(fleet, "m", a_deed())
    path.parent.mkdir(parents=True)
    text = 'it\'s "that" $(id) `id` \\n %s'
    note_on_host(fleet, "m", a_deed(host="m"))
    note_on_host(fleet, "m", a_deed(text=text))
    assert read_deeds(path) == (a_deed(), a_deed(text=text))
    assert path.stat().st_mode & 0o777 == 0o600
