"""Every alert over made-up series: promtool evaluates the real rules, minute by minute."""

import json
import re
import subprocess
from dataclasses import replace

import pytest

from livefleet.monitoring.rules import alert_rules, groups_text, rules_text
from livefleet.spec.alerts import AlertSettings
from tests.builders.alert_proofs import PROOFS, promtool_test

pytestmark = pytest.mark.component

SETTINGS = AlertSettings()
RULES = alert_rules(SETTINGS)
BY_NAME = {rule.name: rule for rule in RULES}


def run_promtool(folder, rules):
    """Each rule in files of its own: promtool evaluates all that it is given, minute by minute."""
    tests = []
    for rule in rules:
        (folder / f"{rule.name}.rules.yml").write_text(groups_text([rule], SETTINGS))
        case = promtool_test(BY_NAME[rule.name], PROOFS[rule.name])
        document = {"rule_files": [f"{rule.name}.rules.yml"], "evaluation_interval": "1m", "tests": [case]}
        tests.append(folder / f"{rule.name}.json")
        tests[-1].write_text(json.dumps(document))
    command = ["promtool", "test", "rules", *map(str, tests)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_every_alert__over_its_series__fires_to_the_minute_and_clears(tmp_path):
    done = run_promtool(tmp_path, RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(RULES)


@pytest.mark.parametrize("change", [{"expr": "vector(1) == 0"}, {"for_s": 0}], ids=["silent", "hasty"])
def test_proofs__rules_that_never_fire_or_fire_too_early__are_found_out(tmp_path, change):
    changed = [rule for rule in (replace(rule, **change) for rule in RULES) if rule not in RULES]
    done = run_promtool(tmp_path, changed)
    failed = set(re.findall(r"alertname: (\w+),", done.stdout + done.stderr))
    assert failed == {rule.name for rule in changed}


def test_rules_file__as_a_whole__is_taken_by_promtool(tmp_path):
    (tmp_path / "rules.yml").write_text(rules_text(SETTINGS, {"a": "1" * 12, "pulls": ""}))
    command = ["promtool", "check", "rules", "--lint-fatal", "rules.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES) + 2} rules found" in done.stdout
