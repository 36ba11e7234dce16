"""Everything that an examination can find is shown on a host, or named with the reason why it is not."""

import ast
from pathlib import Path

import pytest

import livefleet
from livefleet.spec import Trouble
from tests.builders.broken_host import ELSEWHERE, NOISE, all_signs

pytestmark = pytest.mark.unit

PACKAGE = Path(livefleet.__file__).parent


def test_troubles__each_is_looked_for_on_the_lab_s_host__or_has_a_reason_not_to_be():
    shown = {sign.trouble for sign in all_signs()}
    assert shown | set(ELSEWHERE) == set(Trouble)
    assert shown & set(ELSEWHERE) == set()
    assert all(ELSEWHERE.values())


def test_signs__say_what_they_are_about_and_what_to_do__and_no_noise_is_never_looked_for():
    signs = list(all_signs())
    assert all(sign.what and sign.do for sign in signs)
    assert {sign.trouble for sign in signs} >= NOISE


def test_troubles__each_is_found_by_some_code():
    """None is a word that nobody says, so that the list cannot be longer than the truth."""
    files = [*PACKAGE.glob("doctor/*.py"), PACKAGE / "control/examination.py"]
    said = {
        node.attr
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Trouble"
    }
    assert said == set(Trouble.__members__)


def test_findings__are_made_bad_only_with_a_trouble():
    """`Finding(grade=Grade.FAIL or WARN)` names its trouble, so that a kind which is not listed cannot be told."""
    files = [*PACKAGE.glob("doctor/*.py"), PACKAGE / "control/examination.py"]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"):
                continue
            given = {word.arg: word.value for word in node.keywords}
            is_well = ast.unparse(given["grade"]) in {"Grade.OK", "Grade.SKIP"}
            assert is_well or "trouble" in given, f"{file.name}:{node.lineno}"
