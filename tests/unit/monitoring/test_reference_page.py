import re

import pytest

from livefleet.hardware import RECOVERY, SIGN_ROWS, XID_ROWS
from livefleet.monitoring.conditions import CONDITIONS, condition_advice
from livefleet.monitoring.rules import alert_rules
from livefleet.monitoring.runbook import runbook_text
from livefleet.spec.alerts import AlertSettings
from tests.builders.metrics import metric_meanings, the_table
from tests.reference_page import PAGE, reference_text

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def lines():
    return PAGE.read_text().splitlines()


def test_page__is_what_the_code_says():
    assert PAGE.read_text() == reference_text(), "write it anew: python -m tests.reference_page"


def test_page__has_each_condition_row_metric_and_alert__with_its_advice(lines):
    rows = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines if line.startswith("| ")]
    by_name = {row[0].strip("`"): row for row in rows}
    for condition in CONDITIONS:
        assert condition_advice(condition.name) in by_name[condition.name]
    assert by_name["InService"][-1] == "none"
    assert by_name["Reconciled"][-1].startswith("[ConditionFalse]")
    for sign in SIGN_ROWS:
        assert by_name[sign.sign.value][-1] == sign.advice
    for report in XID_ROWS:
        assert by_name[", ".join(map(str, report.codes))][-1].startswith(report.advice)
    for action in RECOVERY:
        assert [action.meaning, action.reason] == by_name[str(action.action)][1:3]
    assert the_table().keys() == metric_meanings().keys() <= by_name.keys()
    alerts = {row[0].partition("]")[0].removeprefix("["): row for row in rows}
    for rule in alert_rules(AlertSettings()):
        assert alerts[rule.name][-1] == rule.advice


def test_page__links__lead_to_headings_that_are_there(lines):
    def anchors(text):
        return {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        }

    text = "\n".join(lines)
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= anchors(text)
    linked = set(re.findall(r"RUNBOOK\.md#([\w-]+)\)", text))
    assert linked
    assert linked <= anchors(runbook_text())
    for file in set(re.findall(r"\]\(([\w./]+\.md)", text)):
        assert (PAGE.parent / file).is_file(), file
