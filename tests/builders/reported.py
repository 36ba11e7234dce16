"""Every condition that the sources report, read from their syntax trees: name, place, whether it gates readiness."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import livefleet
from livefleet.hardware.policy_rows import Facet
from livefleet.monitoring.conditions import Gates

PACKAGE = Path(livefleet.__file__).parent

HANDED_ON = {
    ("health/open_door.py", "condition"): "keep_open",
    ("reconcile/resources/on_chain.py", "self._condition"): "DeclaredDuty",
    ("reconcile/resources/gpu_health.py", "facet.value"): "Facet",
    ("roles/monitor.py", "name"): "roles/monitor.py's own constants",
}
"""Conditions whose name comes from elsewhere: where it is looked for then."""


_OF_INTEREST = re.compile(
    r"\b(Condition|keep_open|DeclaredDuty)\(|^[A-Z_]+(: Final)? = \"[A-Z][A-Za-z]+\"$", re.MULTILINE
)
_RENAMED = re.compile(r"^from livefleet\.([\w.]+) import CONDITION as (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Report:
    """One place where a condition is made."""

    place: str
    names: frozenset[str]
    gates: Gates


def reports() -> list[Report]:
    """All of them. Raises AssertionError where a name cannot be read from the source."""
    texts = {str(path.relative_to(PACKAGE)): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
    trees = {file: ast.parse(text) for file, text in texts.items() if _OF_INTEREST.search(text)}
    constants = {file: dict(_constants(tree)) for file, tree in trees.items()}
    known = {name: value for each in constants.values() for name, value in each.items() if name != "CONDITION"}
    for module, alias in (found for text in texts.values() for found in _RENAMED.findall(text)):
        known[alias] = constants[f"{module.replace('.', '/')}.py"]["CONDITION"]
    found = [report for file, tree in trees.items() for report in _made(file, tree, known | constants[file])]
    handed = {
        "health/open_door.py": _first_arguments("keep_open", trees, known),
        "reconcile/resources/on_chain.py": _first_arguments("DeclaredDuty", trees, known),
        "reconcile/resources/gpu_health.py": {facet.value for facet in Facet},
        "roles/monitor.py": {value for value in constants["roles/monitor.py"].values() if value.endswith("Serves")},
    }
    return [
        Report(report.place, report.names or frozenset(handed[report.place.partition(":")[0]]), report.gates)
        for report in found
    ]


def _made(file: str, tree: ast.Module, constants: dict[str, str]) -> Iterator[Report]:
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]:
        local = dict(_constants(function))
        for call in _own_calls(function):
            place = f"{file}:{call.lineno}"
            name = call.args[0] if call.args else next(word.value for word in call.keywords if word.arg == "name")
            said = _value(name, constants | local)
            if said is None:
                assert (file, ast.unparse(name)) in HANDED_ON, f"{place}: which condition is {ast.unparse(name)}?"
            yield Report(place, frozenset() if said is None else frozenset({said}), _gates(call))


def _own_calls(function: ast.AST) -> Iterator[ast.Call]:
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Condition":
            yield node
        yield from _own_calls(node)


def _gates(call: ast.Call) -> Gates:
    said = next((word.value for word in call.keywords if word.arg == "gates_ready"), ast.Constant(value=True))
    if isinstance(said, ast.Constant):
        return Gates.ALWAYS if said.value else Gates.NEVER
    return Gates.AT_TIMES


def _constants(scope: ast.AST) -> Iterator[tuple[str, str]]:
    for node in getattr(scope, "body", ()):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield from ((target.id, value.value) for target in targets if isinstance(target, ast.Name))


def _value(name: ast.expr, constants: dict[str, str]) -> str | None:
    if isinstance(name, ast.Constant):
        return str(name.value)
    return constants.get(name.id) if isinstance(name, ast.Name) else None


def _first_arguments(function: str, trees: dict[str, ast.Module], known: dict[str, str]) -> set[str]:
    calls = [
        node
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function and node.args
    ]
    said = {_value(call.args[0], known) for call in calls}
    assert None not in said, f"a first argument of {function} cannot be read"
    return said
