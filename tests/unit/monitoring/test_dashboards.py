import json
import re
import subprocess
import sys

import pytest

from livefleet.monitoring.dashboards import Kind, Panel, Unit, boards, dashboards
from livefleet.monitoring.dashboards.board import panel
from livefleet.monitoring.promql import selectors
from livefleet.monitoring.rules import alert_rules
from livefleet.spec.alerts import AlertSettings
from tests.builders.metrics import the_table
from tests.builders.monitored import FLEET, a_monitored_fleet
from tests.builders.prometheus import unknown_in

pytestmark = pytest.mark.unit

BOARDS = boards()
PANELS = [(board, each) for board in BOARDS for each in board.panels]
RULES = {rule.name for rule in alert_rules(AlertSettings())}
NOT_SHOWN: dict[str, str] = {}
"""Our metrics that no panel asks for, and why."""

every_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name.removeprefix("livefleet-"))


def asked_by(shown: Panel) -> set[str]:
    names = {selector.metric for query in shown.queries for selector in selectors(query.expr)}
    return names | {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def faults_of(shown: Panel) -> list[str]:
    return [fault for query in shown.queries for fault in unknown_in(query.expr)]


@every_board
def test_panels__metrics_and_labels__are_exported_by_nodes(board):
    assert {shown.title: faults for shown in board.panels if (faults := faults_of(shown))} == {}


@pytest.mark.parametrize(
    ("expr", "fault"),
    [
        ("livefleet_gpu_temperature{HERE,GPU}", "no node exports livefleet_gpu_temperature"),
        ("sum by (host) (livefleet_sessions{HERE})", "no metric here has the label host"),
        ("livefleet_sessions{HERE,GPU}", "livefleet_sessions has no label gpu"),
    ],
)
def test_panel__with_a_typo__is_found_out(expr, fault):
    assert faults_of(panel("x", expr, Unit.NUMBER, "{{node}}", "x")) == [fault]


@every_board
def test_panels__are_of_the_chosen_nodes_and_say_what_they_show(board):
    chosen = {variable.value for variable in board.variables}
    for shown in board.panels:
        assert shown.description.endswith("."), shown.title
        assert {*shown.alerts} <= RULES
        for query in shown.queries:
            assert set(re.findall(r"\$(?!__)(\w+)", query.expr)) <= chosen, shown.title
            for selector in selectors(query.expr):
                assert {"fleet", "node"} <= selector.labels, shown.title


@every_board
def test_panels__legends__name_labels_that_are_left_in_the_series(board):
    for shown in board.panels:
        for query in shown.queries:
            named = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
            grouped = re.findall(r" by \(([^)]*)\)", query.expr)
            if grouped:
                assert all(named <= set(labels.split(", ")) for labels in grouped), shown.title
            elif named:
                assert unknown_in(f"sum by ({', '.join(sorted(named))}) ({query.expr})") == [], shown.title


def test_metrics__all_of_ours__are_on_a_dashboard():
    asked = set().union(*(asked_by(shown) for _, shown in PANELS))
    ours = {name for name in the_table() if name.startswith("livefleet_")}
    assert ours - asked == NOT_SHOWN.keys()


def test_titles__within_a_row__are_not_used_twice():
    for board in BOARDS:
        for row in board.rows:
            titles = [each.title for each in row.panels]
            assert len(titles) == len(set(titles)), (board.name, row.title)
    assert len({board.name for board in BOARDS}) == len(BOARDS) == 6


def test_dashboards__drawn_in_another_process__are_the_same_text__by_a_library_that_is_not_imported_before():
    """Hashes of strings differ there."""
    script = (
        "import sys, livefleet.monitoring.declared\n"
        "from livefleet.monitoring.dashboards import dashboards\n"
        "assert 'grafana_foundation_sdk' not in sys.modules\n"
        "sys.stdout.write(''.join(dashboards().values()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    ).stdout
    assert "".join(dashboards().values()) == other


def test_dashboards__json__has_what_grafana_needs():
    for name, text in dashboards("https://docs.example.com/RUNBOOK.md").items():
        drawn = json.loads(text)
        assert name == f"{drawn['uid']}.json"
        assert [v["name"] for v in drawn["templating"]["list"]][:3] == ["datasource", "fleet", "node"]
        ids = [each["id"] for each in drawn["panels"]]
        assert len(ids) == len(set(ids))
        for each in drawn["panels"]:
            assert each["gridPos"]["x"] + each["gridPos"]["w"] <= 24
            if each["type"] != "row":
                assert each["datasource"]["uid"] == "${datasource}"
                assert [t["refId"] for t in each["targets"]] == ["A", "B", "C", "D"][: len(each["targets"])]
        covered = [
            (x, y)
            for each in drawn["panels"]
            for g in [each["gridPos"]]
            for x in range(g["x"], g["x"] + g["w"])
            for y in range(g["y"], g["y"] + g["h"])
        ]
        assert len(covered) == len(set(covered)), f"{name}: panels lie on each other"


def test_dashboards__runbook_url__is_linked_by_panels_with_alerts():
    linked = dashboards("https://docs.example.com/RUNBOOK.md")["livefleet-gpu.json"]
    assert '"https://docs.example.com/RUNBOOK.md#gpufault"' in linked
    assert "RUNBOOK.md#" not in dashboards()["livefleet-gpu.json"]
    assert "GpuFault" in dashboards()["livefleet-gpu.json"]


def test_tables__are_asked_at_one_moment__lines_over_time():
    drawn = json.loads(dashboards()["livefleet-fleet.json"])
    kinds = {each["type"]: each["targets"][0] for each in drawn["panels"] if each["type"] != "row"}
    assert kinds["table"]["instant"]
    assert kinds["table"]["format"] == "table"
    assert kinds["timeseries"]["range"]
    assert {"stat", "state-timeline"} <= kinds.keys()
    assert {each.kind for _, each in PANELS} == set(Kind)


def test_monitor_s_grafana__gets_them_with_the_fleet_s_runbook(tmp_path):
    from livefleet.monitoring import fleet_programs

    url = "https://docs.example.com/RUNBOOK.md"
    settings = f'scrape_every_s: 5, grafana: true, alerts: {{runbook_url: "{url}"}}'
    fleet = a_monitored_fleet(tmp_path, FLEET.replace("scrape_every_s: 5", settings))
    (grafana,) = [program for program in fleet_programs(fleet, "mon") if program.name == "grafana"]
    placed = {path: text for path, text in grafana.files.items() if path.startswith("dashboards/")}
    assert placed == {f"dashboards/{name}": text for name, text in dashboards(url).items()}
