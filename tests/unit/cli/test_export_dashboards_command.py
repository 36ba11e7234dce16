import json

import pytest
from click.testing import CliRunner

from livefleet.cli.main import main
from livefleet.kernel.late import late
from livefleet.monitoring.dashboards import dashboards, drawing

pytestmark = pytest.mark.unit


def export(*words):
    return CliRunner().invoke(main, ["export", "dashboards", *map(str, words)])


def test_export__writes_each_dashboard__and_again_changes_nothing(tmp_path):
    folder = tmp_path / "a" / "b"
    done = export(folder)
    assert done.exit_code == 0, done.output
    assert {path.name: path.read_text() for path in folder.iterdir()} == dict(dashboards())
    assert "unchanged" not in done.output
    (folder / "livefleet-gpu.json").write_text("{}")
    again = json.loads(export(folder, "--json").output)
    assert [each["name"] for each in again["files"] if each["changed"]] == ["livefleet-gpu.json"]
    assert export(folder).output.count("(unchanged)") == len(dashboards())


def test_export__runbook_url__is_in_the_panels(tmp_path):
    assert export(tmp_path, "--runbook-url", "https://docs.example.com/r.md").exit_code == 0
    assert "https://docs.example.com/r.md#gpufault" in (tmp_path / "livefleet-gpu.json").read_text()


@pytest.mark.parametrize("url", ["docs.example.com", "javascript:alert(1)"])
def test_export__runbook_url_that_is_none__is_refused_and_nothing_written(tmp_path, url):
    done = export(tmp_path / "x", "--runbook-url", url)
    assert done.exit_code == 2
    assert "no web address" in done.output
    assert not (tmp_path / "x").exists()


def test_export__without_grafana_s_library__says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "build", late("no_such_library.builders"))
    done = export(tmp_path / "x")
    assert done.exit_code == 2
    assert "pip install 'livefleet[control]'" in done.output
    assert not (tmp_path / "x").exists()


def test_export__folder_is_a_file__is_said(tmp_path):
    (tmp_path / "x").write_text("")
    done = export(tmp_path / "x")
    assert done.exit_code == 2
    assert "name another folder" in done.output
