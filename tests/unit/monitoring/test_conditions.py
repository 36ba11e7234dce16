import re
from collections import defaultdict

import click
import pytest

from livefleet.cli.main import main as command_line
from livefleet.monitoring.conditions import CONDITIONS, Gates, condition_advice, condition_row
from livefleet.monitoring.rules import advice_on
from tests.builders.reported import HANDED_ON, reports

pytestmark = pytest.mark.unit

TABLE = {row.name: row for row in CONDITIONS}


@pytest.fixture(scope="module")
def made():
    return reports()


@pytest.fixture(scope="module")
def reported(made):
    found = defaultdict(set)
    for report in made:
        for name in report.names:
            found[name].add(report.gates)
    return found


def test_table__has_each_condition_that_is_reported__and_none_more(reported):
    assert TABLE.keys() == reported.keys()
    assert list(TABLE) == sorted(TABLE)
    assert len(CONDITIONS) == len(TABLE)


def test_table__gates_readiness__as_the_sources_say(reported):
    said = {name: next(iter(gates)) if len(gates) == 1 else Gates.AT_TIMES for name, gates in reported.items()}
    assert {name: row.gates for name, row in TABLE.items()} == said


def test_names_that_are_handed_on__are_all_still_there(made):
    places = {report.place.partition(":")[0] for report in made}
    assert {file for file, _ in HANDED_ON} <= places


def test_rows__have_one_advice__the_alert_s_where_there_is_one():
    """Two texts would differ one day."""
    alerts = {row.name: advice_on(row.name) for row in CONDITIONS}
    assert [row.name for row in CONDITIONS if bool(row.advice) is (alerts[row.name] is not None)] == []
    assert {row.name: condition_advice(row.name) for row in CONDITIONS} == {
        row.name: row.advice or alerts[row.name] for row in CONDITIONS
    }
    assert all(row.means and row.told_by for row in CONDITIONS)


def test_rows__commands_in_their_advice__exist():
    for row in CONDITIONS:
        for words in re.findall(r"`livefleet ([^`]+)`", row.advice):
            command = command_line
            for word in words.split():
                if word.startswith("--"):
                    assert word in {option for each in command.params for option in each.opts}, (row.name, word)
                elif isinstance(command, click.Group):
                    command = command.get_command(click.Context(command), word)
                    assert command is not None, (row.name, words)


def test_row__unknown_condition__is_none():
    assert condition_row("NoSuchCondition") is None
    assert condition_advice("NoSuchCondition") is None
