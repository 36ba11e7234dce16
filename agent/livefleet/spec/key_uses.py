"""Which keys a node uses, where its spec says so, and as what."""

from collections.abc import Iterator
from dataclasses import dataclass

from livefleet.spec.keys import KeyRole
from livefleet.spec.node import NodeSpec
from livefleet.spec.profile import Trail
from livefleet.spec.roles import Role

__all__ = ["KeyUse", "does_media_work", "key_uses"]


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One place of a node's spec that names a key."""

    path: Trail
    name: str
    roles: tuple[KeyRole, ...]  # what the key must be for


def key_uses(node: NodeSpec) -> tuple[KeyUse, ...]:
    """Every use, in the spec's order."""
    return tuple(_uses(node))


def does_media_work(node: NodeSpec) -> bool:
    """Whether it is a GPU host: it transcodes or runs models, for itself or for an orchestrator elsewhere."""
    return node.duties.transcoding is not None or node.duties.ai is not None or node.role is Role.WORKER


def _uses(node: NodeSpec) -> Iterator[KeyUse]:
    settings = node.orchestrator
    if settings is not None and settings.key is not None:
        roles = [KeyRole.IDENTITY]
        if node.network.on_chain and settings.recipient is None:
            roles.append(KeyRole.RECIPIENT)  # which may call reward and redeem by itself
        else:
            roles += [KeyRole.REWARD_CALLER] if node.duties.reward is not None else []
            roles += [KeyRole.REDEEMER] if node.duties.redemption is not None and settings.redeemer is None else []
        yield KeyUse(("orchestrator", "key"), settings.key, tuple(roles))
    if node.redeemer is not None:
        yield KeyUse(("redeemer", "key"), node.redeemer.key, (KeyRole.REDEEMER,))
    if node.keykeeper is not None:
        roles_of = {"orchestrator": (KeyRole.RECIPIENT,), "reward_caller": (KeyRole.REWARD_CALLER,)}
        for field, name in node.keykeeper.keys.names.items():
            yield KeyUse(("keykeeper", "keys", field), name, roles_of[field])
