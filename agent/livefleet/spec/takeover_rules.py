"""Which settings a running agent takes over, field by field: data, read by `takeover`.

A path's `*` stands for one name, a final `**` for the path itself and all below it. Whatever no rule is about restarts
the agent; the table names those fields too, so that nobody adds one without having thought of it (a test walks the
model). A section that appears or disappears as a whole (`duties.reward`) is a path of its own.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from livefleet.spec.profile import Trail
from livefleet.spec.roles import Role

__all__ = ["RULES", "Rule", "Takeover", "When", "rule_of"]


class Takeover(StrEnum):
    """What a changed setting costs."""

    LIVE = "live"
    """A running agent goes on with it; nothing that runs is disturbed."""

    RESTART = "restart"
    """The agent has to be started anew: streams move or end within `service.stop_timeout_s`."""


class When(StrEnum):
    """Which changes a rule holds for."""

    ALWAYS = "always"

    OTHER_VALUE = "other value"
    """It had a value, and has another one."""

    COMES_OR_GOES = "comes or goes"
    """It had none, or has none any more."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How the settings at a path are taken over."""

    path: str
    takeover: Takeover
    why: str
    roles: tuple[Role, ...] = ()
    """Where it holds; the other roles are restarted. Empty: every role."""

    when: When = When.ALWAYS
    """Which changes it holds for; any other restarts the agent."""

    def is_about(self, path: Trail) -> bool:
        """Whether a setting at `path` is meant."""
        wanted = self.path.split(".")
        if wanted[-1] == "**":
            wanted = wanted[:-1]
            path = path[: len(wanted)]
        return len(wanted) == len(path) and all(
            want in ("*", str(part)) for want, part in zip(wanted, path, strict=True)
        )


def rule_of(path: Trail) -> Rule | None:
    """The first rule that is about a path. None: nobody has thought of it, and a restart is always right."""
    return next((rule for rule in RULES if rule.is_about(path)), None)


_ORCHESTRATOR: Final = (Role.ORCHESTRATOR,)
_NEW_CONNECTIONS: Final = "new connections see it; open ones go on"
_NO_HOST_READS: Final = "no agent reads it: it is for the operator's commands"

_LIVE: Final = (
    Rule("prices.video", Takeover.LIVE, "quotes say it from now on; a session keeps the price that it began with"),
    Rule("prices.gateways.**", Takeover.LIVE, "quotes say it from now on"),
    Rule("prices.gateways_file", Takeover.LIVE, "hosts get its content, not the file"),
    Rule("prices.auto_adjust", Takeover.LIVE, "quotes go by it from now on"),
    Rule("prices.max_overhead_percent", Takeover.LIVE, "quotes go by it from now on"),
    Rule("models.*.price", Takeover.LIVE, "quotes say it from now on"),
    Rule("models.*.gateways.**", Takeover.LIVE, "quotes say it from now on"),
    Rule("monitoring.log_level", Takeover.LIVE, "lines from now on are written by it"),
    Rule("monitoring.metrics_per_stream", Takeover.LIVE, "the next scrape shows it"),
    Rule("monitoring.node_exporter", Takeover.LIVE, "it is a program of its own, which apply brings"),
    Rule("monitor.hosts.**", Takeover.LIVE, "the next look of Prometheus sees them", (Role.MONITOR,)),
    Rule("driver.**", Takeover.LIVE, "the agent only judges the driver by `min_version`; installing it is apply's"),
    Rule("gpu_health.**", Takeover.LIVE, "the next look at the GPUs goes by it"),
    Rule("profile", Takeover.LIVE, "no agent goes by it"),
    Rule("network.subgraph.**", Takeover.LIVE, _NO_HOST_READS),
    Rule("orchestrator.max_sessions", Takeover.LIVE, "new streams are counted by it; open ones stay", _ORCHESTRATOR),
    Rule(
        "duties.transcoding.max_sessions",
        Takeover.LIVE,
        "new streams are counted by it; open ones stay. A worker tells its orchestrator the number when it joins",
        _ORCHESTRATOR,
    ),
    Rule("duties.transcoding.max_load", Takeover.LIVE, "new streams are measured by it; open ones stay"),
    Rule("duties.reward.*", Takeover.LIVE, "the next look at the round goes by it"),
    Rule("duties.redemption.*", Takeover.LIVE, "the next look at the tickets goes by it"),
    Rule(
        "orchestrator.worker_secret",
        Takeover.LIVE,
        "workers are asked for it from now on; streams of those that showed another one end, but for the one before",
        _ORCHESTRATOR,
        when=When.OTHER_VALUE,
    ),
    Rule("orchestrator.worker_secret_before.**", Takeover.LIVE, "workers may show it as well", _ORCHESTRATOR),
    Rule("orchestrator.tls.certificate", Takeover.LIVE, _NEW_CONNECTIONS, _ORCHESTRATOR),
    Rule("orchestrator.tls.key", Takeover.LIVE, _NEW_CONNECTIONS, _ORCHESTRATOR),
    Rule("worker.secret", Takeover.LIVE, "uploads show it from now on; the stream stays", (Role.WORKER,)),
    Rule("secrets.*", Takeover.LIVE, "settings that name it have rules of their own", when=When.COMES_OR_GOES),
    Rule("orchestrator.smoke_account", Takeover.LIVE, "discovery answers by it from now on", _ORCHESTRATOR),
    Rule("on_chain.**", Takeover.LIVE, "what is declared is compared with the chain anew"),
)

_BUILT_AT_START: Final = "it is built at the start"
_LINK: Final = ("name", "chain_id", "controller", "l1_block_s", "idle_look_s", "confirmations")
_OF_A_MODEL: Final = (
    *("pipeline", "model_id", "url", "token", "source", "revision", "warm", "dtype", "device", "capacity", "loras"),
    *("controlnet", "safety_check", "safety_checker", "optimization", "priority", "memory"),
)

_RESTART: Final = tuple(
    Rule(path, Takeover.RESTART, why)
    for path, why in (
        ("version", _BUILT_AT_START),
        ("fleet", "metrics carry it"),
        ("name", "metrics carry it"),
        ("root", "the node's files are elsewhere"),
        ("role", "it is another program"),
        ("network", _BUILT_AT_START),
        *((f"network.{name}", "the link to the chain is made with it") for name in _LINK),
        ("network.rpc.**", "the link to the chain is made with it"),
        ("duties", _BUILT_AT_START),
        ("duties.transcoding", "the devices' processes are started for it"),
        ("duties.transcoding.encoder", "the devices are chosen by it"),
        ("duties.transcoding.vram_headroom", "models are placed by it"),
        ("duties.transcoding.proof_interval_s", "the devices are looked at by it"),
        ("duties.transcoding.benchmark.**", "it is measured before serving"),
        ("duties.ai.**", "models' processes are started with it"),
        ("duties.reward", _BUILT_AT_START),
        ("duties.redemption", _BUILT_AT_START),
        ("duties.ledger.**", "the books are opened with it"),
        ("gpus.**", "devices' processes and models' places go by it"),
        ("cards.**", "devices are judged by it"),
        ("orchestrator", _BUILT_AT_START),
        ("orchestrator.service_uri", "results' addresses and the certificate are made with it"),
        ("orchestrator.listen", "the front door is opened there"),
        ("orchestrator.key", "the key is unlocked at the start"),
        ("orchestrator.recipient", "tickets are for it"),
        ("orchestrator.tls", "the front door is opened with it"),
        ("orchestrator.object_store.**", "results are put there"),
        ("orchestrator.peer_networks.**", "connections are checked by it"),
        ("orchestrator.nodes.**", "gateways are told of them"),
        ("orchestrator.discovery_only", "gateways are told otherwise"),
        ("orchestrator.redeemer", "payments are opened with it"),
        ("orchestrator.auth_webhook", "its client is made at the start"),
        ("orchestrator.ticket.**", "a session's credit is measured by what its tickets were asked for"),
        ("worker.**", "it joins with it"),
        ("redeemer.**", _BUILT_AT_START),
        ("keykeeper.**", _BUILT_AT_START),
        ("store.**", "payments are kept there"),
        ("pull.**", _BUILT_AT_START),
        ("prices.gas_window_s", "the median's memory is made with it"),
        ("prices.feed.**", "the feeds are looked up at the start"),
        ("models", "models are placed together"),
        ("models.*", "models are placed together"),
        *((f"models.*.{name}.**", "the model's process is started with it") for name in _OF_A_MODEL),
        ("monitoring.admin_listen", "the admin endpoint is opened there"),
        ("monitoring.sample_every_s", _BUILT_AT_START),
        ("monitoring.scrape.**", "the door for monitors is opened there"),
        ("monitoring.push.**", _BUILT_AT_START),
        ("monitor", _BUILT_AT_START),
        *((f"monitor.{name}", "the door is opened with it") for name in ("listen", "token", "certificate", "key")),
        ("monitor.loki", _BUILT_AT_START),
        ("monitor.notify.**", "its relay is opened with it"),
        ("service.**", "the unit or the supervisor has it as well"),
        ("keys.**", "keys are unlocked at the start"),
    )
)

RULES: Final = (*_LIVE, *_RESTART)
"""All of them; the first that is about a path counts."""
