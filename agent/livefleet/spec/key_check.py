"""What must hold between a node and the keys that it names."""

from collections.abc import Callable, Iterator, Mapping

from livefleet.spec.explain import dotted
from livefleet.spec.key_uses import does_media_work, key_uses
from livefleet.spec.keys import KeyRef, KeyRole
from livefleet.spec.node import NodeSpec
from livefleet.spec.problem import Problem, did_you_mean
from livefleet.spec.profile import Origin, Origins, Trail
from livefleet.spec.roles import Role

__all__ = ["check_keys"]

Say = Callable[[Trail, str, str], Problem]


def check_keys(node: NodeSpec, origins: Origins, keys: Mapping[str, KeyRef]) -> Iterator[Problem]:
    """Keys that no host gets, keys used as what they are not, and what a keykeeper lacks. `keys`: the fleet's."""

    def say(path: Trail, message: str, hint: str) -> Problem:
        origin = origins.nearest(path, at_key=len(path) == 1) or origins.of(("name",)) or Origin("", "", 1, 1)
        return Problem(origin.file, origin.line, origin.column, message, hint, dotted(path))

    for use in key_uses(node):
        key = keys.get(use.name)
        if key is None:
            if use.path[0] == "keykeeper":  # the others' names are checked with all else that they name
                yield say(use.path, f"no key `{use.name}` under `keys`", did_you_mean(use.name, keys))
            continue
        roles = key.roles or ()
        where = "a host that does media work" if does_media_work(node) else "a host"
        if KeyRole.COLD in roles:
            yield say(use.path, f"`{use.name}` is a cold key, and {where} would hold it", _instead(use.path))
        elif key.is_nowhere:
            hint = "say where it is (file, env, host_file, command or remote), or use another"
            yield say(use.path, f"key `{use.name}` is declared by its address alone, and {where} uses it", hint)
        elif missing := [role for role in use.roles if key.roles is not None and role not in roles]:
            text = f"`{use.name}` is declared as {_listed(roles)}, and is used here as {_listed(missing)}"
            yield say(use.path, text, _of_role(missing))
    yield from _keykeeper(node, say)


def _keykeeper(node: NodeSpec, say: Say) -> Iterator[Problem]:
    if node.role is Role.KEYKEEPER and not node.network.on_chain:
        yield say(("role",), "a keykeeper needs a chain, and the network is offchain", "name a network")


def _instead(path: Trail) -> str:
    if path[0] == "orchestrator":
        return "use a key of its own here (roles: [identity]) and say the cold address as `orchestrator.recipient`"
    if path[0] == "keykeeper":
        return "leave it out: what needs it becomes a proposal, for `livefleet chain sign`"
    return "use a key of its own here, with ETH for gas"


def _of_role(missing: list[KeyRole]) -> str:
    if missing == [KeyRole.RECIPIENT]:
        return "say the orchestrator's address as `orchestrator.recipient`, or add `recipient` to the key's roles"
    return "use another key, or add to its `roles`"


def _listed(roles: tuple[KeyRole, ...] | list[KeyRole]) -> str:
    return ", ".join(role.value for role in roles) or "nothing"
