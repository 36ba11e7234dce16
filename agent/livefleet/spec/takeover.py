"""What a changed node.yaml does to the agent that runs: the one answer of the plan, the deploys and the agent itself.

Pure. The settings' rules are data, in `takeover_rules`.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from livefleet.kernel import BadInput
from livefleet.spec.ai import ModelEntry
from livefleet.spec.explain import dotted
from livefleet.spec.masked import masked_urls
from livefleet.spec.node import NodeSpec
from livefleet.spec.profile import Trail
from livefleet.spec.takeover_rules import Rule, Takeover, When, rule_of

__all__ = ["Effect", "Effects", "effects", "take_over"]

_ABSENT: Final = object()
_OTHER_CHANGE: Final = "what it is for is built at the start"
_UNKNOWN: Final = Rule("**", Takeover.RESTART, "no rule says that it may be taken over")


@dataclass(frozen=True, slots=True)
class Effect:
    """One setting that changed. Values are shown as they may be: what stands in a URL beside its host is left out."""

    path: str
    before: str | None  # None: it was not there, or had its default
    after: str | None
    takeover: Takeover
    why: str

    @property
    def text(self) -> str:
        """For people: `prices.video: 1200 wei -> 1300 wei: taken over live`."""
        cost = "taken over live" if self.takeover is Takeover.LIVE else f"restarts the agent ({self.why})"
        return f"{self.path}: {_or_none(self.before)} -> {_or_none(self.after)}: {cost}"


@dataclass(frozen=True, slots=True)
class Effects:
    """All that changed between two specs of a node, in the model's order."""

    changes: tuple[Effect, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def live(self) -> tuple[Effect, ...]:
        """What a running agent takes over."""
        return tuple(effect for effect in self.changes if effect.takeover is Takeover.LIVE)

    @property
    def restarts(self) -> tuple[Effect, ...]:
        """What it has to be restarted for."""
        return tuple(effect for effect in self.changes if effect.takeover is Takeover.RESTART)

    @property
    def takeover(self) -> Takeover:
        """Of all together."""
        return Takeover.RESTART if self.restarts else Takeover.LIVE


def effects(before: NodeSpec, after: NodeSpec) -> Effects:
    """What changes for an agent that runs with `before` when its node.yaml says `after`."""
    here, there = _plain(before), _plain(after)
    return Effects(tuple(_effect(path, here, there, before) for path in _changed(before, after, here, there)))


def take_over(running: NodeSpec, newer: NodeSpec) -> NodeSpec:
    """`running` with everything of `newer` that is live; all else stays. Raises BadInput where that makes no sense."""
    here, there = _plain(running), _plain(newer)
    taken = copy.deepcopy(here)
    whole = True
    for path in _changed(running, newer, here, there):
        if _rule(path, running, here, there).takeover is Takeover.LIVE:
            _put(taken, path, _at(there, path))
        else:
            whole = False
    if whole:
        return newer
    try:
        return NodeSpec.model_validate(taken | {"models": list(taken["models"].values())})
    except ValidationError as error:
        text = "; ".join(str(item["msg"]) for item in error.errors(include_url=False))
        raise BadInput(f"what is new does not fit what runs until a restart: {text}") from error


def _effect(path: Trail, here: dict[str, Any], there: dict[str, Any], running: NodeSpec) -> Effect:
    rule = _rule(path, running, here, there)
    return Effect(dotted(path), _shown(_at(here, path)), _shown(_at(there, path)), rule.takeover, rule.why)


def _rule(path: Trail, running: NodeSpec, here: dict[str, Any], there: dict[str, Any]) -> Rule:
    rule = rule_of(path) or _UNKNOWN
    comes_or_goes = _ABSENT in (_at(here, path), _at(there, path))
    if rule.when is not When.ALWAYS and comes_or_goes is not (rule.when is When.COMES_OR_GOES):
        return Rule(rule.path, Takeover.RESTART, _OTHER_CHANGE)
    if rule.takeover is Takeover.LIVE and rule.roles and running.role not in rule.roles:
        return Rule(rule.path, Takeover.RESTART, f"the role {running.role.value} is built with it")
    return rule


def _plain(node: NodeSpec) -> dict[str, Any]:
    """As in node.yaml, with models by name: what changes in one of them is no change of the others."""
    data: dict[str, Any] = node.model_dump(mode="json", exclude_none=True)
    return data | {"models": dict(zip(_names(node.models), data["models"], strict=True))}


def _names(models: tuple[ModelEntry, ...]) -> list[str]:
    names: list[str] = []
    for model in models:
        name = f"{model.pipeline.value} {model.model_id}"
        names.append(name if name not in names else f"{name} #{len(names) + 1}")
    return names


def _changed(before: NodeSpec, after: NodeSpec, here: dict[str, Any], there: dict[str, Any]) -> Iterator[Trail]:
    yield from _differences(here, there)
    was, now = _names(before.models), _names(after.models)
    if was != now and sorted(was) == sorted(now):
        yield ("models",)  # the same ones in another order


def _differences(here: Any, there: Any, path: Trail = ()) -> Iterator[Trail]:
    if isinstance(here, dict) and isinstance(there, dict):
        for key in [*here, *(key for key in there if key not in here)]:
            yield from _differences(here.get(key, _ABSENT), there.get(key, _ABSENT), (*path, key))
    elif here != there:
        yield path


def _at(data: Any, path: Trail) -> Any:
    for part in path:
        if not isinstance(data, dict):
            return _ABSENT
        data = data.get(part, _ABSENT)
    return data


def _put(data: dict[str, Any], path: Trail, value: Any) -> None:
    for part in path[:-1]:
        data = data[str(part)]
    if value is _ABSENT:
        data.pop(str(path[-1]), None)
    else:
        data[str(path[-1])] = value


def _shown(value: Any) -> str | None:
    if value is _ABSENT:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return masked_urls(text)


def _or_none(text: str | None) -> str:
    return "unsaid" if text is None else text
