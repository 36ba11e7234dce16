"""What must hold between the parts of a fleet, once each part is right by itself."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from livefleet.spec.declared_price import Currency
from livefleet.spec.explain import dotted
from livefleet.spec.network import NetworkName
from livefleet.spec.node import NodeSpec
from livefleet.spec.node_prices import declared_prices
from livefleet.spec.problem import Problem, did_you_mean
from livefleet.spec.profile import Origin, Origins, Trail
from livefleet.spec.roles import OrchestratorSettings, Role

__all__ = ["Placed", "check_fleet", "check_node"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A node and the machine that it is on."""

    machine: str  # equal for hosts that are one machine
    node: NodeSpec
    origins: Origins


Say = Callable[[Trail, str, str], Problem]


def check_node(
    node: NodeSpec, origins: Origins, *, keys: Collection[str], secrets: Collection[str]
) -> Iterator[Problem]:
    """What one node lacks or has too much of. `keys`, `secrets`: the names that the fleet declares."""

    def say(path: Trail, message: str, hint: str) -> Problem:
        return _problem(origins, path, message, hint)

    if not PurePosixPath(node.root).is_absolute():
        yield say(("root",), f"a relative root, `{node.root}`", "write an absolute path; `@local` may do without")
    yield from _names(node, keys, secrets, say)
    yield from _role(node, say)
    yield from _chain(node, say)
    yield from _models(node, say)
    yield from _prices(node, say)


def check_fleet(nodes: Mapping[str, Placed]) -> Iterator[Problem]:
    """What two hosts must not share, by host name."""
    doors: dict[tuple[str, str], str] = {}
    uris: dict[str, str] = {}
    roots: dict[tuple[str, str], str] = {}
    for name, placed in nodes.items():
        node, origins = placed.node, placed.origins
        if (other := roots.setdefault((placed.machine, node.root), name)) != name:
            message = f"hosts `{other}` and `{name}` are one machine with the same root `{node.root}`"
            yield _problem(origins, ("address",), message, "give each its own `address`, or its own `root`")
        if node.orchestrator is None or node.role is not Role.ORCHESTRATOR:
            continue
        door = (placed.machine, node.orchestrator.listen.rpartition(":")[2])
        if (other := doors.setdefault(door, name)) != name:
            message = f"hosts `{other}` and `{name}` have the same address and front door port"
            yield _problem(origins, ("address",), message, "give one another `orchestrator.listen`")
        uri = node.orchestrator.service_uri
        if (other := uris.setdefault(uri, name)) != name:
            message = f"hosts `{other}` and `{name}` have the same service_uri"
            yield _problem(origins, ("orchestrator", "service_uri"), message, "each orchestrator has its own")
    yield from _joins(nodes, uris)


def _joins(nodes: Mapping[str, Placed], uris: Mapping[str, str]) -> Iterator[Problem]:
    for name, placed in nodes.items():
        worker = placed.node.worker
        if worker is None or (host := uris.get(f"https://{worker.orchestrator}")) is None:
            continue  # somebody else's orchestrator: nothing is known of it
        settings = nodes[host].node.orchestrator
        assert settings is not None  # it has a service_uri
        if settings.worker_secret is None:
            message = f"`{name}` joins `{host}`, which takes no workers"
            hint = f"give `{host}` an `orchestrator.worker_secret`"
            yield _problem(placed.origins, ("worker", "orchestrator"), message, hint)
        elif worker.secret not in _taken(settings):
            message = f"`{name}` joins `{host}` with secret `{worker.secret}`, which wants `{settings.worker_secret}`"
            yield _problem(placed.origins, ("worker", "secret"), message, f"write {settings.worker_secret}")


def _taken(settings: OrchestratorSettings) -> set[str]:
    """Names of the secrets that workers may come with."""
    before = settings.worker_secret_before
    names = (settings.worker_secret, None if before is None else before.secret)
    return {name for name in names if name is not None}


def _names(node: NodeSpec, keys: Collection[str], secrets: Collection[str], say: Say) -> Iterator[Problem]:
    if node.orchestrator is not None:
        key, secret, webhook = (
            node.orchestrator.key,
            node.orchestrator.worker_secret,
            node.orchestrator.auth_webhook_secret,
        )
        if key is not None and key not in keys:
            yield say(("orchestrator", "key"), f"no key `{key}` under `keys`", did_you_mean(key, keys))
        if secret is not None and secret not in secrets:
            hint = did_you_mean(secret, secrets)
            yield say(("orchestrator", "worker_secret"), f"no secret `{secret}` under `secrets`", hint)
        if webhook is not None and webhook not in secrets:
            hint = did_you_mean(webhook, secrets) or "write an http or https URL, or declare the secret"
            yield say(("orchestrator", "auth_webhook"), f"no secret `{webhook}` under `secrets`", hint)
        yield from _door_names(node.orchestrator, secrets, say)
        store = node.orchestrator.object_store
        if store is not None and store.secret not in secrets:
            hint = did_you_mean(store.secret, secrets)
            yield say(("orchestrator", "object_store", "secret"), f"no secret `{store.secret}` under `secrets`", hint)
    if (shared := node.shared_store) is not None:
        for field, name in (("postgres", shared.postgres), ("ca", shared.ca)):
            if name is not None and name not in secrets:
                hint = did_you_mean(name, secrets) or "declare it: `file` or `env` on this machine, or `host_file`"
                yield say(("store", field), f"no secret `{name}` under `secrets`", hint)
    if node.redeemer is not None and node.redeemer.key not in keys:
        hint = did_you_mean(node.redeemer.key, keys)
        yield say(("redeemer", "key"), f"no key `{node.redeemer.key}` under `keys`", hint)
    subgraph = node.network.subgraph
    if subgraph is not None and subgraph.key is not None and subgraph.key not in secrets:
        hint = did_you_mean(subgraph.key, secrets)
        yield say(("network", "subgraph", "key"), f"no secret `{subgraph.key}` under `secrets`", hint)
    yield from _ai_names(node, secrets, say)
    if node.worker is not None and node.worker.secret not in secrets:
        hint = did_you_mean(node.worker.secret, secrets)
        yield say(("worker", "secret"), f"no secret `{node.worker.secret}` under `secrets`", hint)


def _door_names(settings: OrchestratorSettings, secrets: Collection[str], say: Say) -> Iterator[Problem]:
    named: list[tuple[Trail, str | None]] = []
    if settings.worker_secret_before is not None:
        named.append((("orchestrator", "worker_secret_before", "secret"), settings.worker_secret_before.secret))
    if settings.tls is not None:
        named.append((("orchestrator", "tls", "certificate"), settings.tls.certificate))
        named.append((("orchestrator", "tls", "key"), settings.tls.key))
    for path, name in named:
        if name is not None and name not in secrets:
            hint = did_you_mean(name, secrets) or "declare it: `file`, `env` or `command` here, or `host_file`"
            yield say(path, f"no secret `{name}` under `secrets`", hint)


def _ai_names(node: NodeSpec, secrets: Collection[str], say: Say) -> Iterator[Problem]:
    named: list[tuple[Trail, str | None]] = []
    named += [(("models", index, "token"), model.token) for index, model in enumerate(node.models)]
    if node.duties.ai is not None:
        named.append((("duties", "ai", "weights", "token"), node.duties.ai.weights.token))
    for path, name in named:
        if name is not None and name not in secrets:
            hint = did_you_mean(name, secrets) or "declare it there: a token itself never stands in a spec"
            yield say(path, f"no secret `{name if len(name) <= 20 else name[:17] + '...'}` under `secrets`", hint)


def _role(node: NodeSpec, say: Say) -> Iterator[Problem]:
    if node.role is Role.ORCHESTRATOR:
        if node.duties.redemption is not None and node.orchestrator is not None and node.orchestrator.redeemer:
            message = "winning tickets go to `orchestrator.redeemer`, so the duty `redemption` has nothing to do"
            yield say(("duties", "redemption"), message, "take one of both away")
        if node.shared_store is not None and node.orchestrator is not None and node.orchestrator.redeemer:
            message = "winning tickets go to whoever redeems from `store`, so `orchestrator.redeemer` has nothing to do"
            yield say(("orchestrator", "redeemer"), message, "take one of both away")
        yield from _discovery(node, say)
        return
    its_own = {Role.REDEEMER: ["redemption"], Role.KEYKEEPER: ["reward", "ledger"]}.get(node.role, [])
    for duty in _onchain_duties(node):
        if duty not in its_own:
            yield say(("duties", duty), f"duty `{duty}` is for orchestrators, not for a {node.role}", "take it away")
    if node.role in (Role.REDEEMER, Role.KEYKEEPER):
        work = {"transcoding": node.duties.transcoding, "ai": node.duties.ai}
        for duty in (duty for duty, given in work.items() if given is not None):
            yield say(("duties", duty), f"duty `{duty}` is not for a {node.role}", "take it away")


def _discovery(node: NodeSpec, say: Say) -> Iterator[Problem]:
    if node.orchestrator is None or not node.orchestrator.discovery_only:
        return
    if not node.orchestrator.nodes:
        message = "a node that only answers discovery has no `orchestrator.nodes` to tell of"
        yield say(("orchestrator", "discovery_only"), message, "list the orchestrators that do the work")
    work = {"transcoding": node.duties.transcoding, "ai": node.duties.ai}
    for duty in (duty for duty, given in work.items() if given is not None):
        message = f"duty `{duty}` is declared for a node that only answers discovery"
        yield say(("duties", duty), message, "take it away, or take `orchestrator.discovery_only` away")
    if node.orchestrator.worker_secret is not None:
        message = "workers would have nothing to do for a node that only answers discovery"
        yield say(("orchestrator", "worker_secret"), message, "let them join the orchestrators that do the work")


def _chain(node: NodeSpec, say: Say) -> Iterator[Problem]:
    if node.role is Role.KEYKEEPER:
        if not node.network.on_chain:
            return  # said where its keys are checked
    elif node.role is Role.REDEEMER:
        if not node.network.on_chain:
            yield say(("role",), "a redeemer needs a chain, and the network is offchain", "name a network")
            return
    elif node.orchestrator is None or node.role is not Role.ORCHESTRATOR:
        return
    elif not node.network.on_chain:
        for duty in _onchain_duties(node):
            yield say(("duties", duty), f"duty `{duty}` needs a chain, and the network is offchain", "name a network")
        if node.orchestrator.smoke_account is not None:
            message = "nobody signs requests where the network is offchain, so nobody can be told apart"
            yield say(("orchestrator", "smoke_account"), message, "take it away, or name a network")
        return
    elif node.orchestrator.key is None:
        hint = "name one of `keys`; it signs results and receives tickets"
        yield say(("orchestrator",), f"`orchestrator.key` is needed on {node.network.name}", hint)
    yield from _endpoints(node, say)


def _endpoints(node: NodeSpec, say: Say) -> Iterator[Problem]:
    name = node.network.name
    if not node.network.rpc:
        yield say(("network",), f"`network.rpc` is needed on {name}", "list one or more JSON-RPC URLs")
    if name is NetworkName.DEVCHAIN and node.network.controller is None:
        yield say(("network",), f"`network.controller` is needed on {name}", "`livefleet devchain` prints it")


def _onchain_duties(node: NodeSpec) -> list[str]:
    settings = {"reward": node.duties.reward, "redemption": node.duties.redemption, "ledger": node.duties.ledger}
    return [duty for duty, given in settings.items() if given is not None]


def _models(node: NodeSpec, say: Say) -> Iterator[Problem]:
    takes_workers = (
        node.role is Role.ORCHESTRATOR and node.orchestrator is not None and node.orchestrator.worker_secret is not None
    )
    if node.duties.ai is None and any(model.is_local for model in node.models):
        hint = "add `ai` to the duties" + (", or write `device: workers`" if takes_workers else "")
        yield say(("models",), "models are declared without the duty `ai`", hint)
    if node.duties.ai is not None and not any(model.is_local for model in node.models):
        yield say(("duties", "ai"), "the duty `ai` has no models", "list them under `models`")
    yield from _same_models(node, say)
    for index, model in enumerate(node.models):
        if not model.is_local and not takes_workers:
            hint = "give the orchestrator a `worker_secret`, or name a device here"
            yield say(("models", index, "device"), f"model `{model.model_id}` is left to workers, and none join", hint)
        if model.device.startswith(("GPU-", "MIG-")) and node.gpus != "all" and model.device not in node.gpus:
            message = f"model `{model.model_id}` is to run on {model.device}, which is not among `gpus`"
            yield say(("models", index, "device"), message, "add it there, or name another")


def _same_models(node: NodeSpec, say: Say) -> Iterator[Problem]:
    """A model may have an entry for each place that serves it; gateways see one model with one warmth and one price."""
    first: dict[tuple[str, str], int] = {}
    places: set[tuple[str, ...]] = set()
    for index, model in enumerate(node.models):
        name = (model.pipeline, model.model_id)
        place = (*name, model.url or model.device)
        other = node.models[first.setdefault(name, index)]
        if place in places:
            message = f"model `{model.model_id}` is listed twice for {model.pipeline}"
            yield say(("models", index), message, "keep one and raise its `capacity`, or give each its own `device`")
        elif model.warm is not other.warm:
            message = f"model `{model.model_id}` is declared warm and cold for {model.pipeline}"
            yield say(("models", index), message, "make all its entries alike")
        elif (model.price, model.gateways) != (other.price, other.gateways):
            message = f"model `{model.model_id}` has two prices for {model.pipeline}"
            yield say(("models", index), message, "make all its entries alike")
        places.add(place)


def _prices(node: NodeSpec, say: Say) -> Iterator[Problem]:
    feed = node.prices.feed
    known = node.network.name is NetworkName.ARBITRUM_ONE or (feed is not None and feed.address is not None)
    if not node.network.on_chain or node.role is not Role.ORCHESTRATOR or known:
        return
    for path, price in declared_prices(node):
        if price.currency is Currency.USD:
            hint = "give `prices.feed.address`; `livefleet devchain` prints one"
            yield say(path, f"a price in USD needs a price feed, and {node.network.name} has none of its own", hint)


def _problem(origins: Origins, path: Trail, message: str, hint: str) -> Problem:
    at_key = len(path) == 1
    origin = origins.nearest(path, at_key=at_key) or origins.of(("name",)) or Origin("", "", 1, 1)
    return Problem(origin.file, origin.line, origin.column, message, hint, dotted(path))
