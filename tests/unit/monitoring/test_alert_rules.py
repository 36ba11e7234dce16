import re
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import livefleet
from livefleet.cli.main import main as command_line
from livefleet.monitoring.alert import Severity
from livefleet.monitoring.promql import Selector, grouping_labels, selectors, span
from livefleet.monitoring.rules import advice_on, alert_rules, rules_text
from livefleet.monitoring.runbook import runbook_text
from livefleet.spec.alerts import ALERTS, AlertSettings
from tests.builders.alert_proofs import PROOFS
from tests.builders.prometheus import unknown_in

pytestmark = pytest.mark.unit

PACKAGE = Path(livefleet.__file__).parent
RULES = alert_rules(AlertSettings())
BY_NAME = {rule.name: rule for rule in RULES}
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


@pytest.fixture(scope="module")
def words():
    """Every text in the agent's sources but those of monitoring: what its conditions are called, and why they are."""
    sources = (path for path in PACKAGE.rglob("*.py") if "monitoring" not in path.relative_to(PACKAGE).parts)
    return {word for path in sources for word in re.findall(r'"([A-Za-z][\w ]+)"', path.read_text())}


@every_rule
def test_rule__metrics_and_labels__are_exported_by_nodes(rule):
    assert unknown_in(rule.expr) == []


@pytest.mark.parametrize(
    ("expr", "fault"),
    [
        ("livefleet_gpu_temperatur_celsius > 1", "no node exports livefleet_gpu_temperatur_celsius"),
        ("livepeer_eth_balance < 1", "no node exports livepeer_eth_balance"),
        ('livefleet_condition_status{condtion="X"} == 0', "livefleet_condition_status has no label condtion"),
        ("sum by (gpu_uuid) (livefleet_gpu_power_milliwatts)", "no metric here has the label gpu_uuid"),
    ],
)
def test_rule__asks_for_what_nobody_exports__is_found_out(expr, fault):
    assert unknown_in(expr) == [fault]


@every_rule
def test_rule__conditions_and_reasons__are_words_of_the_agent(rule, words):
    asked = [matcher for selector in selectors(rule.expr) for matcher in selector.matchers]
    named = {word for label, _, value in asked if label in {"condition", "reason"} for word in value.split("|")}
    assert named <= words
    assert set(rule.conditions) <= words


@every_rule
def test_rule__text__is_whole_and_its_commands_exist(rule):
    assert re.fullmatch(r"[A-Z][A-Za-z]+", rule.name)
    assert rule.summary
    assert rule.means.endswith(".")
    assert not rule.advice.endswith(".")
    assert not rule.clears.endswith(".")
    assert rule.look
    for look in rule.look:
        if look.command.startswith("livefleet "):
            parse(look.command.split()[1:])
        elif look.command.startswith(("livefleet_", "livepeer_")):
            assert unknown_in(look.command) == []


def parse(words):
    """Raises where the command line has no such command or option."""
    command, path = command_line, []
    while isinstance(command, click.Group):
        path.append(words[0])
        command = command.get_command(click.Context(command), words[0])
        assert command is not None, " ".join(path)
        words = words[1:]
    command.make_parser(click.Context(command)).parse_args(list(words))


def test_commands__that_do_not_exist__are_found_out():
    with pytest.raises(click.UsageError):
        parse(["status", "--no-such-option"])
    with pytest.raises(AssertionError, match="repair"):
        parse(["repair", "HOST"])


def test_rules__names__are_used_once_and_held_by_those_that_exist():
    assert tuple(rule.name for rule in RULES) == ALERTS
    assert len(BY_NAME) == len(RULES)
    for rule in RULES:
        assert {*rule.held_by} <= BY_NAME.keys() - {rule.name}, rule.name


def test_rules__each__has_its_proof():
    assert PROOFS.keys() == BY_NAME.keys()


def test_runbook__page__is_what_the_rules_say():
    page = (PACKAGE / "monitoring" / "RUNBOOK.md").read_text()
    assert page == runbook_text(), "write it anew: python -m livefleet.monitoring.runbook > RUNBOOK.md"
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == [rule.name for rule in RULES]
    for rule in RULES:
        assert f"(#{rule.anchor})" in page
        assert f"**Do:** {rule.advice}.\n" in page


def test_advice__by_condition__is_the_alerts_own():
    assert advice_on("GpuPresent") == BY_NAME["GpuFault"].advice
    assert advice_on("NoSuchCondition") is None


def test_rules__conditions_with_an_alert_of_their_own__are_left_out_of_the_general_one():
    (selector,) = selectors(BY_NAME["ConditionFalse"].expr)
    ((label, operator, value),) = selector.matchers
    assert (label, operator) == ("condition", "!~")
    spoken_for = {name for rule in RULES for name in rule.conditions}
    assert spoken_for <= set(value.split("|"))
    assert "Reconciled" not in value


def test_rules__switched_off__are_left_out_and_unknown_ones_refused():
    fewer = alert_rules(AlertSettings(off=("NoWork", "ClockUnkept")))
    assert BY_NAME.keys() - {rule.name for rule in fewer} == {"NoWork", "ClockUnkept"}
    with pytest.raises(ValidationError, match="no alert `NoWrok`; did you mean `NoWork`"):
        AlertSettings(off=("NoWrok",))


def test_rules__thresholds__are_those_of_the_settings():
    settings = AlertSettings.model_validate({"gas_runway": "10d", "no_work": "90m", "fail_rate": 0.2})
    rules = {rule.name: rule for rule in alert_rules(settings)}
    assert rules["GasLow"].expr == "livefleet_gas_runway_seconds < 864000"
    assert "[90m]" in rules["NoWork"].expr
    assert "> 0.2 and" in rules["SegmentsFail"].expr


def test_rules_text__is_stable_and_says_what_hosts_are_to_run():
    declared = {"b": "2" * 12, "a": "1" * 12, "pulls": ""}
    text = rules_text(AlertSettings(), declared)
    assert text == rules_text(AlertSettings(), dict(reversed(declared.items())))
    assert text.index("node: a") < text.index("node: b")
    assert text.count("digest: '") == 2
    assert "livefleet-declared" not in rules_text(AlertSettings(), {})


def test_rules_text__runbook_url__links_the_section():
    text = rules_text(AlertSettings(runbook_url="https://docs.example.com/runbook"), {})
    assert "runbook_url: https://docs.example.com/runbook#nodedown" in text


def test_severities__heartbeat__is_the_watchdogs_alone():
    assert [rule.name for rule in RULES if rule.severity is Severity.HEARTBEAT] == ["Watchdog"]


def test_selectors__functions_keywords_strings_and_ranges__are_no_metrics():
    expr = (
        'sum by (a, b) (rate(x_total{l="by (c) y{", m!~"p|q"}[5m])) / on (a) group_left (c) max(z offset 5m) > 1e3 '
        "and avg_over_time(w[1h] offset 1m) unless time() - v:rec > bool 0"
    )
    assert selectors(expr) == [
        Selector("x_total", (("l", "=", "by (c) y{"), ("m", "!~", "p|q"))),
        Selector("z", ()),
        Selector("w", ()),
        Selector("v:rec", ()),
    ]
    assert grouping_labels(expr) == {"a", "b", "c"}


names = st.from_regex(r"[a-z_][a-z0-9_:]{0,12}", fullmatch=True).map(lambda name: f"m_{name}")
values = st.text(st.characters(codec="utf-8", exclude_characters='"\\', exclude_categories=("Cs", "Cc")), max_size=12)
matchers = st.lists(
    st.tuples(names.map(lambda n: n.replace(":", "_")), st.sampled_from(["=", "!=", "=~", "!~"]), values)
)
wrapped = st.sampled_from(
    ["{}", "rate({}[5m])", "sum by (a, b) ({})", "({}) > bool 5", "max without () ({} offset 1h)"]
)


@given(st.lists(st.tuples(names, matchers, wrapped), min_size=1, max_size=4))
def test_selectors__whatever_was_written__is_read_back(written):
    parts = [
        wrap.format(name + ("{" + ", ".join(f'{a}{o}"{v}"' for a, o, v in found) + "}" if found else ""))
        for name, found, wrap in written
    ]
    expected = [Selector(name, tuple(found)) for name, found, _ in written]
    assert selectors(" / on (c) ".join(parts)) == expected


@pytest.mark.parametrize("expr", ["x{", 'x{a="b}', "x{a~b}"])
def test_selectors__unreadable_matchers__are_an_error(expr):
    with pytest.raises(ValueError, match=r"brace is not closed|cannot read the matchers"):
        selectors(expr)


@pytest.mark.parametrize(
    ("seconds", "text"), [(60, "1m"), (90, "90s"), (86400, "1d"), (0.25, "250ms"), (5400, "90m"), (7 * 86400, "7d")]
)
def test_span__in_the_largest_unit_that_fits(seconds, text):
    assert span(seconds) == text
