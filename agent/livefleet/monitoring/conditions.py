"""What each condition of a node means, and what to do while it is false: for the terminal and the reference page.

A test walks the sources and holds this table against what is reported there.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from livefleet.monitoring.rules import advice_on

__all__ = ["CONDITIONS", "ConditionRow", "Gates", "condition_advice", "condition_row"]


class Gates(StrEnum):
    """Whether a condition that does not hold keeps the node from being ready: /readyz says 503 then."""

    ALWAYS = "yes"
    AT_TIMES = "at times"
    NEVER = "no"


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """One named statement about a node."""

    name: str
    told_by: str  # which nodes
    means: str  # what holds while it is true
    gates: Gates = Gates.NEVER
    advice: str = ""  # where no alert speaks for it alone; else the alert's advice is what is said
    subject: str = ""  # what it is about, where there may be several


_ON_CHAIN: Final = "those that act on chain"
_GPUS: Final = "those with NVIDIA devices"
_GPU: Final = "GPU's UUID"
_SPENDING: Final = (
    "Read its message: it says what is planned and what it waits for; `livefleet chain pending` shows proposals that"
    " wait for a signature"
)
_DOOR: Final = "Read its message; free the port or correct address and certificate, the node tries again by itself"
_PROGRAM: Final = "See the program's own journal on the monitor; `livefleet apply` of that host puts its files right"

CONDITIONS: Final = (
    ConditionRow("ActiveNextRound", "orchestrators on chain that redeem",
                 "the orchestrator stays in the pool for the next round, or has redeemed what it would lose outside"),
    ConditionRow("ActiveSet", _ON_CHAIN, "the orchestrator is in the pool for the next round, well above the cut-off"),
    ConditionRow("AiServiceUriInStep", _ON_CHAIN, "the AI registry has the declared service URI", advice=_SPENDING),
    ConditionRow("AlertmanagerServes", "monitors", "Alertmanager answers", Gates.ALWAYS),
    ConditionRow("AlertsDelivered", "monitors with receivers", "the receiver took the last notification",
                 subject="receiver"),
    ConditionRow("BenchmarkCurrent", "those that transcode",
                 "limits were measured on this machine, with this driver and these cores",
                 advice="Run `livefleet bench transcode --write STATE_FOLDER` while the node is idle"),
    ConditionRow("CertificateValid", "orchestrators", "the certificate of the front door holds, and for a while yet"),
    ConditionRow("ChainNews", _ON_CHAIN, "nothing happened on chain that somebody has to act on",
                 advice="Read the news in its message; it is true again after a day"),
    ConditionRow("ChainReachable", _ON_CHAIN, "an endpoint of the chain answers, or did so lately enough to serve",
                 Gates.ALWAYS),
    ConditionRow("CutsInStep", _ON_CHAIN, "the cuts on chain are the declared ones", advice=_SPENDING),
    ConditionRow("FeesWithdrawn", _ON_CHAIN, "fees above the declared sum are withdrawn", advice=_SPENDING),
    ConditionRow("FrontDoorOpen", "orchestrators", "the port that gateways use answers", Gates.ALWAYS),
    ConditionRow("GasRunway", _ON_CHAIN, "the key's ETH lasts at what it spends", subject="key"),
    ConditionRow("GpuAnswering", _GPUS, "the GPU answers NVML", subject=_GPU),
    ConditionRow("GpuApplicationsSound", _GPUS, "no program's fault was reported on the GPU", subject=_GPU),
    ConditionRow("GpuCardFits", _GPUS, "the card is one that the node's profile is for", subject=_GPU),
    ConditionRow("GpuCool", _GPUS, "the GPU's clocks are not held down by heat", subject=_GPU),
    ConditionRow("GpuDriver", _GPUS, "the driver is loaded, fits its library and is new enough", Gates.ALWAYS),
    ConditionRow("GpuEnginesSound", _GPUS, "its engines work", subject=_GPU),
    ConditionRow("GpuFirmwareSound", _GPUS, "its firmware works, and the driver advises nothing", subject=_GPU),
    ConditionRow("GpuHealthRemembered", _GPUS, "what was known of the GPUs' faults was read at the start",
                 advice="Look which GPUs were quarantined (`livefleet agent gpu show`): they are in service again"),
    ConditionRow("GpuHealthy", _GPUS, "the GPU gets work; false: it was set aside (gates where no other is left)",
                 Gates.AT_TIMES, subject=_GPU),
    ConditionRow("GpuLinkSound", _GPUS, "its links (PCIe, NVLink) are as wide and fast as they can be", subject=_GPU),
    ConditionRow("GpuMemorySound", _GPUS, "its memory is sound", subject=_GPU),
    ConditionRow("GpuPowered", _GPUS, "its power supply keeps up", subject=_GPU),
    ConditionRow("GpuPresent", _GPUS, "the declared GPU is there (gates where no other is left, and for declared ones)",
                 Gates.AT_TIMES, subject=_GPU),
    ConditionRow("GpuSteady", _GPUS, "the GPU does not come and go", subject=_GPU),
    ConditionRow("InService", "those that can be drained", "new sessions are taken; false while it is emptied",
                 advice="Nothing, where that is wanted; `livefleet drain --host HOST --off` ends it",
                 subject="device, or the node"),
    ConditionRow("JoinedOrchestrator", "workers", "the worker has joined its orchestrator", Gates.AT_TIMES),
    ConditionRow("KeysInUse", "keykeepers", "its keys are loaded and at work", Gates.ALWAYS),
    ConditionRow("LedgerBalanced", "those with the duty `ledger`", "books and chain agree to the last wei"),
    ConditionRow("LogsShipped", "those that ship logs", "the monitor takes the node's log lines",
                 advice="Nothing while the monitor is away, lines wait; where they are refused, check the push token"),
    ConditionRow("LokiServes", "monitors with Loki", "Loki answers", Gates.ALWAYS, _PROGRAM),
    ConditionRow("ModelOrdersTaken", "those with models", "what was asked about models was read",
                 advice="Ask again by `livefleet models`; until then models stay as they were asked before"),
    ConditionRow("ModelPlaced", "those with models", "the model has room on a device (gates where declared warm)",
                 Gates.AT_TIMES, subject="model"),
    ConditionRow("ModelWarm", "those with models", "the model is loaded and answers (gates where it is declared warm)",
                 Gates.AT_TIMES, subject="model"),
    ConditionRow("ObjectStoreWritable", "orchestrators with an object store", "the object store takes results",
                 advice="Check the store's address, key and rights; results stay in the node's memory meanwhile"),
    ConditionRow("OrchestratorActivated", _ON_CHAIN, "the orchestrator is registered with the declared settings",
                 advice=_SPENDING),
    ConditionRow("PaymentsDurable", "orchestrators on chain", "the last payments reached the disk", Gates.ALWAYS),
    ConditionRow("PriceFeedFresh", "those with prices in US dollars", "the dollar's rate in use is young enough"),
    ConditionRow("PriceFeedSound", "those with a price feed on chain", "the feed answers, lately and believably"),
    ConditionRow("PrometheusServes", "monitors", "Prometheus answers", Gates.ALWAYS, _PROGRAM),
    ConditionRow("ProposalsOpen", _ON_CHAIN, "no proposal waits for a signature"),
    ConditionRow("PulledSpec", "those in pull mode", "the signed bundle is seen, believed and in force"),
    ConditionRow("PushDoorOpen", "monitors that hosts push to", "the door for hosts that push is open", advice=_DOOR),
    ConditionRow("Reconciled", "all", "the part of the agent looks and acts as it should",
                 advice="Read its message; where it is `Stopped` put right what it names and restart the agent",
                 subject="part"),
    ConditionRow("RedeemerOpen", "shared redeemers", "orchestrators can hand in their winners", Gates.ALWAYS),
    ConditionRow("RewardCalled", _ON_CHAIN, "the round's reward was called, or is not due yet"),
    ConditionRow("RewardCallerInStep", _ON_CHAIN, "who may call the reward is who is declared", advice=_SPENDING),
    ConditionRow("RewardsComplete", _ON_CHAIN, "the last round that is over had its reward"),
    ConditionRow("ScrapeDoorOpen", "those that a monitor reads", "the door for monitors is open", advice=_DOOR),
    ConditionRow("SecretsCurrent", "all with secrets", "changed secrets were taken up"),
    ConditionRow("SelfStakeInStep", _ON_CHAIN, "the orchestrator's own stake is at least the declared one",
                 advice=_SPENDING),
    ConditionRow("ServiceReachable", "orchestrators", "the node reaches itself at its service URI"),
    ConditionRow("ServiceUriInStep", _ON_CHAIN, "the registry has the declared service URI", advice=_SPENDING),
    ConditionRow("SignerReachable", "those whose key is elsewhere", "the remote signer answers and has the key",
                 Gates.AT_TIMES, subject="key"),
    ConditionRow("SmokePassed", "orchestrators that have to be proven by a paid job",
                 "the last paid job passed on what runs; while false the node is offered to its payer alone",
                 advice="`livefleet smoke HOST` from the machine that has the fleet file; it says what fails"),
    ConditionRow("SpecCurrent", "all", "the settings that were last placed are in force"),
    ConditionRow("StakeTransferred", _ON_CHAIN, "stake above the declared sum went where it is declared to",
                 advice=_SPENDING),
    ConditionRow("TicketsRedeemed", "those with winning tickets", "winners are redeemed, or wait for nothing unusual"),
    ConditionRow("TransactionsMove", _ON_CHAIN, "transactions that were sent are mined", subject="address"),
    ConditionRow("TranscoderReady", "those that transcode", "the device's worker process is up (gates until set aside)",
                 Gates.AT_TIMES, subject="device"),
    ConditionRow("VotesOpen", _ON_CHAIN, "no vote waits for the orchestrator"),
    ConditionRow("WorkersOnCurrentSecret", "orchestrators with workers", "no worker shows the former secret",
                 advice="Apply the workers, so that they get the secret in force"),
)  # fmt: skip
"""Sorted by name."""


def condition_row(name: str) -> ConditionRow | None:
    """The row of a condition; None for a name that is not in the table (an older or newer node's)."""
    return next((row for row in CONDITIONS if row.name == name), None)


def condition_advice(name: str) -> str | None:
    """What to do while it is false: the words of the alert that speaks for it, else the table's. None: not known."""
    row = condition_row(name)
    return advice_on(name) or (row.advice if row is not None and row.advice else None)
