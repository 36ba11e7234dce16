"""A host of a fleet in go-livepeer's flags, and what they cannot say."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from livefleet.spec import Currency, DeclaredPrice, NetworkName, NodeSpec, Role
from livefleet.spec.pricing import TicketSettings

__all__ = ["Command", "HostFlags", "flags_of", "gateway_prices_text"]

AI_MODELS_FILE: Final = "aiModels.json"
_AI_REGISTRY: Final = "go-livepeer only looks the address up there; `livefleet chain` sets it"
# Parts of a node that are the agent's own affair, so that going back to go-livepeer loses nothing with them.
_OURS: Final = frozenset({
    "version", "fleet", "name", "root", "profile", "driver", "service", "keys", "secrets", "role",
    "monitoring.admin_listen", "monitoring.sample_every_s",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """One go-livepeer process."""

    name: str
    flags: tuple[tuple[str, str | bool], ...]  # name without dash, and its value
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostFlags:
    """A host's processes."""

    commands: tuple[Command, ...]
    notes: tuple[str, ...]


def flags_of(node: NodeSpec) -> HostFlags:
    """What go-livepeer is to be started with to do what the node does. No secret stands in it: files are named."""
    writing = _Writing(node)
    commands = tuple(writing.commands())
    return HostFlags(commands, tuple(dict.fromkeys([*writing.notes, *writing.unsaid()])))


def gateway_prices_text(prices: Mapping[str, DeclaredPrice], *, indent: int | None = 2) -> str:
    """go-livepeer's `pricePerGateway` JSON, exactly."""
    gateways = [
        {"ethaddress": address, "priceperunit": price.amount.numerator, "pixelsperunit": price.amount.denominator}
        | ({"currency": "USD"} if price.currency is Currency.USD else {})
        for address, price in prices.items()
    ]
    return json.dumps({"gateways": gateways}, indent=indent)


class _Writing:
    """One host."""

    def __init__(self, node: NodeSpec) -> None:
        self._node = node
        self._flags: list[tuple[str, str | bool]] = []
        self._environment: dict[str, str] = {}
        self._said: set[str] = set()
        self.notes: list[str] = []

    def commands(self) -> Iterator[Command]:
        node = self._node
        match node.role:
            case Role.ORCHESTRATOR:
                self._orchestrator()
                yield self._command("orchestrator")
            case Role.WORKER:
                yield from self._workers()
            case Role.REDEEMER:
                self._redeemer()
                yield self._command("redeemer")
            case Role.KEYKEEPER:
                self._keykeeper()
                yield self._command("reward")
            case Role.MONITOR:
                self.notes.append("go-livepeer has no monitor; livepeer/monitoring looks at nodes' -cliAddr")

    def unsaid(self) -> Iterator[str]:
        """Values of the node that no flag has."""
        data = self._node.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        for path, _ in _leaves(data, ""):
            top = path.partition(".")[0]
            if top in _OURS or path in _OURS:
                continue
            if not any(path == said or path.startswith(f"{said}.") for said in self._said):
                yield f"no flag says `{path}`"

    def _command(self, name: str) -> Command:
        return Command(name, tuple(self._flags), dict(self._environment))

    def _say(self, flag: str, value: str | bool, *paths: str) -> None:
        self._flags.append((flag, value))
        self._said.update(paths)

    def _switch(self, flag: str, *paths: str, on: bool = True) -> None:
        self._say(flag, on, *paths)

    def _orchestrator(self) -> None:
        node, settings = self._node, self._node.orchestrator
        assert settings is not None  # the role has it
        self._switch("orchestrator")
        if node.duties.transcoding is not None:
            self._switch("transcoder", "duties.transcoding.encoder")
        self._network()
        address = settings.service_uri.removeprefix("https://")
        self._say("serviceAddr", "none" if settings.discovery_only else address, "orchestrator.discovery_only")
        self._said.add("orchestrator.service_uri")
        port = address.rpartition(":")[2] if ":" in address else "443"
        if settings.listen != f"0.0.0.0:{port}":
            self._say("httpAddr", settings.listen)
        self._said.add("orchestrator.listen")
        if settings.nodes:
            self._say("nodes", ",".join(settings.nodes), "orchestrator.nodes")
        self._say("maxSessions", str(self._sessions(settings.max_sessions)), "orchestrator.max_sessions")
        if node.network.on_chain:
            self._key(settings.key, "orchestrator.key")
            if settings.recipient is not None:
                self._say("ethOrchAddr", settings.recipient, "orchestrator.recipient")
            self._chain_duties(settings.redeemer)
        self._prices()
        self._tickets(settings.ticket)
        self._secret("orchSecret", settings.worker_secret, "orchestrator.worker_secret")
        if settings.worker_secret is not None and node.duties.transcoding is not None:
            self.notes.append("with -transcoder go-livepeer takes no other transcoders, whatever -orchSecret says")
        self._hooks(settings.auth_webhook)
        self._work()
        self._reports()

    def _workers(self) -> Iterator[Command]:
        """go-livepeer joins as a transcoder or as an AI worker: a host that does both is two processes."""
        duties = self._node.duties
        kinds = [("transcoder", duties.transcoding), ("aiWorker", duties.ai)]
        given = [name for name, duty in kinds if duty is not None]
        if len(given) > 1:
            self.notes.append("go-livepeer joins as a transcoder or as an AI worker: two processes do both")
        for name in given or ["transcoder"]:
            self._flags, self._environment = [], {}
            self._said |= {"network.name", "network.rpc"}  # a worker asks no chain, here or there
            worker = self._node.worker
            assert worker is not None  # the role has it
            self._switch(name)
            self._say("orchAddr", worker.orchestrator, "worker.orchestrator")
            self._secret("orchSecret", worker.secret, "worker.secret")
            if name == "transcoder":
                sessions = worker.capacity or (duties.transcoding and duties.transcoding.max_sessions) or 10
                self._say("maxSessions", str(sessions if isinstance(sessions, int) else 10), "worker.capacity")
                self._auto_sessions(sessions)
                self._devices()
            else:
                self._devices()
                self._models(works=True)
            self._reports()
            yield self._command("transcoder" if name == "transcoder" else "ai-worker")

    def _redeemer(self) -> None:
        settings = self._node.redeemer
        assert settings is not None  # the role has it
        self._switch("redeemer", "duties.redemption")
        self._network()
        self._say("httpAddr", settings.listen, "redeemer.listen")
        self._key(settings.key, "redeemer.key")
        if settings.recipient is not None:
            self._say("ethOrchAddr", settings.recipient, "redeemer.recipient")
        self._gas()
        self._reports()

    def _keykeeper(self) -> None:
        settings = self._node.keykeeper
        assert settings is not None  # the role has it
        self._switch("reward")
        self._network()
        self._key(settings.keys.rewarding, "keykeeper.keys")
        self._said.add("keykeeper.orchestrator")
        if settings.keys.reward_caller is not None:
            self._say("ethOrchAddr", settings.orchestrator)
        self._initialize()
        self._gas()
        self._reports()
        self.notes.append("of a keykeeper go-livepeer can only call reward; `on_chain` and the ledger have no flags")

    def _network(self) -> None:
        network = self._node.network
        self._say("network", network.name.value, "network.name", "network.rpc")
        if not network.on_chain:
            return
        if network.name is NetworkName.DEVCHAIN:
            self.notes.append("a chain of one's own has any name in go-livepeer; -ethController tells it apart")
        if network.endpoints:
            self._say("ethUrl", network.endpoints[0].url)
        if len(network.endpoints) > 1:
            self.notes.append(f"go-livepeer asks one endpoint: the first of {len(network.endpoints)} is given")
        if network.controller is not None:
            self._say("ethController", network.controller, "network.controller")

    def _key(self, name: str | None, path: str) -> None:
        key = self._node.keys.get(name or "")
        self._said.add(path)
        if key is None:
            return
        if key.remote is not None or key.file is None:
            self.notes.append(f"go-livepeer has keys in keystores alone: `{name}` is at a signing service")
            return
        file = self._node.paths.resolve(key.file)
        self._say("ethKeystorePath", str(file.parent))
        if key.address is not None:
            self._say("ethAcctAddr", key.address)
        else:
            self.notes.append(f"say `keys.{name}.address`: -ethAcctAddr is needed where the folder has several keys")
        if key.password_file is not None:
            self._say("ethPassword", str(self._node.paths.resolve(key.password_file)))
        else:
            self.notes.append(f"`{name}` has no password: go-livepeer takes V3 keystores only, not plain keys")

    def _chain_duties(self, redeemer: str | None) -> None:
        duties = self._node.duties
        self._switch("reward", on=duties.reward is not None)
        self._initialize()
        if redeemer is not None:
            self._say("redeemerAddr", redeemer, "orchestrator.redeemer")
        elif duties.redemption is None:
            self.notes.append("go-livepeer redeems in every orchestrator that has no -redeemerAddr; this host does not")
        self._gas()
        if self._node.on_chain is not None and self._node.on_chain.ai_service_uri is not None:
            self._switch("aiServiceRegistry", "on_chain.ai_service_uri", "on_chain.signed_by")
            self.notes.append(f"-aiServiceRegistry: {_AI_REGISTRY}")

    def _initialize(self) -> None:
        reward = self._node.duties.reward
        self._said.add("duties.reward.initialize_round")
        if reward is not None and reward.initialize_round:
            self._switch("initializeRound")

    def _gas(self) -> None:
        """One limit for all transactions: the larger of both, so that none is held up which may go."""
        duties = self._node.duties
        limits = [
            (d.urgent_max_gas_price or 0, d.max_gas_price) for d in (duties.reward, duties.redemption) if d is not None
        ]
        for duty in ("reward", "redemption"):
            self._said |= {f"duties.{duty}.max_gas_price", f"duties.{duty}.urgent_max_gas_price"}
        if not limits or any(urgent == 0 for urgent, _ in limits):
            if any(early for _, early in limits):
                self.notes.append(
                    "go-livepeer's one limit of gas holds to the end: an early `max_gas_price` is left out"
                )
            return
        most = max(urgent for urgent, _ in limits)
        self._say("maxGasPrice", str(most))
        if any(pair != (most, most) for pair in limits):
            self.notes.append("go-livepeer has one limit of gas for everything and all times: the largest is given")

    def _prices(self) -> None:
        prices = self._node.prices
        amount = str(prices.video.amount.numerator) + ("USD" if prices.video.currency is Currency.USD else "")
        self._say("pricePerUnit", amount, "prices.video")
        if prices.video.amount.denominator != 1:
            self._say("pixelsPerUnit", str(prices.video.amount.denominator))
        if prices.gateways:
            self._say("pricePerGateway", gateway_prices_text(prices.gateways, indent=None), "prices.gateways")
        if not prices.auto_adjust:
            self._switch("autoAdjustPrice", on=False)
        self._said.add("prices.auto_adjust")
        if prices.feed is not None and prices.feed.address is not None:
            self._say("priceFeedAddr", prices.feed.address, "prices.feed.address")

    def _tickets(self, ticket: TicketSettings) -> None:
        default = TicketSettings()
        if ticket.expected_value != default.expected_value:
            self._say("ticketEV", str(ticket.expected_value))
        if ticket.max_face_value:
            self._say("maxFaceValue", str(ticket.max_face_value))
        self._said |= {"orchestrator.ticket.expected_value", "orchestrator.ticket.max_face_value"}

    def _secret(self, flag: str, name: str | None, path: str) -> None:
        if name is not None:
            self._say(flag, str(self._node.paths.resolve(self._node.secrets[name])), path)

    def _hooks(self, webhook: str | None) -> None:
        if webhook is not None and "://" in webhook:
            self._say("authWebhookUrl", webhook, "orchestrator.auth_webhook")
        elif webhook is not None:
            self._said.add("orchestrator.auth_webhook")
            self.notes.append("-authWebhookUrl takes no file: set LP_AUTHWEBHOOKURL from the secret on the host")
        if self._node.orchestrator is not None and self._node.orchestrator.object_store is not None:
            self._said.add("orchestrator.object_store")
            self.notes.append(
                "-objectStore wants the secret in its URL: set LP_OBJECTSTORE from the secret on the host"
            )

    def _work(self) -> None:
        duties = self._node.duties
        if duties.ai is not None:
            self._switch("aiWorker")
        if duties.transcoding is not None or duties.ai is not None:
            self._devices()
        self._said.add("gpus")
        self._models(works=duties.ai is not None)

    def _models(self, *, works: bool) -> None:
        self._said.add("models")
        if not self._node.models:
            return
        self._say("aiModels", AI_MODELS_FILE)
        self.notes.append(f"write {AI_MODELS_FILE} by `livefleet export ai-models {self._node.name}`")
        if works and any(model.url is None for model in self._node.models):
            self.notes.append("-aiModelsDir is to name a folder for ai-runner's own downloads")

    def _devices(self) -> None:
        self._said |= {"gpus", "duties.transcoding.encoder"}
        transcoding, gpus = self._node.duties.transcoding, self._node.gpus
        on_cpu = transcoding is not None and transcoding.encoder == "software" and self._node.duties.ai is None
        if gpus == "none" or on_cpu:
            return
        if gpus == "all":
            self._say("nvidia", "all")
            return
        self._say("nvidia", ",".join(map(str, range(len(gpus)))))
        self._environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        self.notes.append("-nvidia counts the devices that CUDA_VISIBLE_DEVICES names")

    def _sessions(self, own: int) -> int:
        transcoding = self._node.duties.transcoding
        self._said.add("duties.transcoding.max_sessions")
        if transcoding is None:
            return own
        if isinstance(transcoding.max_sessions, int):
            if transcoding.max_sessions != own:
                self.notes.append("go-livepeer has one -maxSessions for both: the smaller of the two is given")
            return min(own, transcoding.max_sessions)
        self._auto_sessions(transcoding.max_sessions)
        return own

    def _auto_sessions(self, sessions: Any) -> None:
        self._said.add("duties.transcoding.max_sessions")
        if sessions == "auto":
            self.notes.append("`max_sessions: auto` is measured by the agent; go-livepeer wants a number here")

    def _reports(self) -> None:
        monitoring = self._node.monitoring
        self._switch("monitor")
        if monitoring.metrics_per_stream:
            self._switch("metricsPerStream")
        if monitoring.log_level == "DEBUG":
            self._say("v", "6")
        self._said |= {"monitoring.metrics_per_stream", "monitoring.log_level"}


def _leaves(data: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _leaves(value, f"{path}.{key}" if path else key)
    elif data != {}:
        yield path, data
