"""Every alert over made-up series: promtool evaluates the real rules, minute by minute."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from livefleet.monitoring.rules import alert_rules, groups_text, rules_text
from livefleet.spec.alerts import AlertSettings
from tests.builders.alert_proofs import PROOFS, promtool_tests

pytestmark = [
    pytest.mark.component,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed"),
]

SETTINGS = AlertSettings()
RULES = alert_rules(SETTINGS)


def run_promtool(folder, rules, tests):
    (folder / "rules.yml").write_text(rules)
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    with (folder / "tests.yml").open("w") as file:
        YAML().dump(document, file)
    return subprocess.run(
        ["promtool", "test", "rules", "tests.yml"], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_every_alert__over_its_series__fires_to_the_minute_and_clears(tmp_path):
    done = run_promtool(tmp_path, rules_text(SETTINGS, {}), promtool_tests(RULES, PROOFS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_proofs__rules_that_never_fire_or_fire_too_early__are_found_out(tmp_path):
    """No proof passes over a rule that says nothing, nor over one that is in a hurry."""
    proven = tuple(rule for rule in RULES if rule.name not in {"Watchdog", "NoWork"})  # that one takes hours of samples
    silent = tuple(replace(rule, expr="vector(1) == 0") for rule in RULES)
    hasty = tuple(replace(rule, for_s=0) for rule in RULES)
    for rules in (silent, hasty):
        concerned = [rule for rule, changed in zip(RULES, rules, strict=True) if rule != changed and rule in proven]
        done = run_promtool(tmp_path, groups_text(rules, SETTINGS), promtool_tests(concerned, PROOFS))
        failed = set(re.findall(r"alertname: (\w+),", done.stdout + done.stderr))
        assert failed == {rule.name for rule in concerned}
