"""Alerts about hosts and the agents on them: down, not as declared, disk, clock."""

from typing import Final

from livefleet.monitoring.alert import AlertRule, Look, Severity, Topic
from livefleet.monitoring.promql import condition_of, span
from livefleet.spec.alerts import AlertSettings

__all__ = ["DECLARED", "host_rules"]

DECLARED: Final = "livefleet:declared"
"""The recorded series that says which settings a host is to run: labels `node` and `digest`, always 1. Without a
digest the host is only to be heard of."""

_STATUS: Final = Look("livefleet status HOST", "every condition, with its reason and what to do")
_LOGS: Final = Look("livefleet logs HOST --since 30m", "what the agent said before it happened")
_RESTARTS: Final = 3


def host_rules(settings: AlertSettings) -> tuple[AlertRule, ...]:
    """For every node, whatever its role."""
    window = span(settings.restart_window)
    return (
        AlertRule(
            "NodeDown", Topic.HOSTS, Severity.CRITICAL, 'up{job="livefleet"} == 0', settings.down_after,
            summary="{{ $labels.node }} does not answer",
            means="The monitor cannot read the node's metrics: the host, its network or its agent is down, or its page "
            "is not one that Prometheus takes. Nothing that the node does is seen meanwhile.",
            advice="See whether the host answers ssh; if it does, look at the agent's unit and start it",
            look=(
                Look("livefleet status HOST", "whether ssh works, and what the agent says where it runs"),
                Look("livefleet exec HOST -- systemctl status livefleet", "whether the unit runs, and why it ended"),
                Look("up{node=\"HOST\"} on the monitor's /targets page", "the error that the monitor met"),
            ),
            clears="with the first reading that works",
        ),
        AlertRule(
            "NodeSilent", Topic.HOSTS, Severity.CRITICAL,
            f'group by (node) ({DECLARED}) unless on (node) group by (node) (up{{job="livefleet"}}) '
            "unless on (node) group by (node) (livefleet_node_info)",
            settings.down_after + 180,
            summary="nothing is heard of {{ $labels.node }}",
            means="The fleet file declares this host, and the monitor has no reading of it at all: it pushes and has "
            "stopped, or the monitor was never told where it is.",
            advice="Start the host or its way to the monitor; where it was added lately, apply the monitor's host",
            look=(
                Look("livefleet status HOST", "whether the host is reached from here"),
                Look("livefleet plan MONITOR", "whether the monitor knows what the fleet file says"),
            ),
            clears="with the first sample that comes in",
        ),
        AlertRule(
            "NodeNotReady", Topic.HOSTS, Severity.CRITICAL,
            "livefleet_node_ready == 0 unless on (node) livefleet_drain_state > 0", 300,
            summary="{{ $labels.node }} runs and is not ready",
            means="A condition that work depends on is not met, so gateways are turned away.",
            advice="Read which condition blocks: its message says what to do",
            look=(_STATUS, _LOGS),
            clears="as soon as /readyz says 200",
            held_by=(
                "NodeDown", "GpuFault", "DriverTrouble", "RpcLost", "FrontDoorClosed", "SignerLost",
                "PaymentsNotWritten", "WorkerApart", "TranscoderDown",
            ),
        ),
        AlertRule(
            "AgentRestarting", Topic.HOSTS, Severity.WARNING,
            f"changes(livefleet_node_started_seconds[{window}]) >= {_RESTARTS}", 0,
            summary="the agent of {{ $labels.node }} was started anew {{ $value }} times in " + window,
            means="Something ends the agent again and again; streams move or end each time.",
            advice="Read the last lines before each start; go back to the release before where this one is at fault",
            look=(_LOGS, Look("livefleet rollback HOST", "puts back what ran before the last change")),
            clears=f"{window} after the last of these starts",
        ),
        AlertRule(
            "SpecDrift", Topic.HOSTS, Severity.WARNING,
            f"group by (fleet, node, role, digest) (livefleet_node_info) unless on (node, digest) {DECLARED} "
            f'and on (node) {DECLARED}{{digest!=""}}',
            settings.drift_after,
            summary="{{ $labels.node }} runs other settings than the fleet file declares",
            means="The settings that the node runs (digest {{ $labels.digest }}) are not those that the fleet file "
            "declared when the monitor was applied last: an apply that missed the host, or an edit on it.",
            advice="See what differs and apply it; where only other hosts were applied since, apply the monitor too",
            look=(
                Look("livefleet plan HOST", "what differs between the host and the fleet file"),
                Look("livefleet journal HOST", "who changed it, and when"),
            ),
            clears="when both say the same again",
            held_by=("SpecNotTaken",),
        ),
        AlertRule(
            "SpecNotTaken", Topic.HOSTS, Severity.WARNING,
            " or ".join(condition_of(name) for name in ("SpecCurrent", "PulledSpec", "SecretsCurrent")), 600,
            summary="{{ $labels.node }} does not take over what was declared",
            means="The agent was told new settings or secrets ({{ $labels.condition }}) and goes on with what it had; "
            "they are wrong, wait for a restart, or cannot be fetched.",
            advice="Read the condition's message; restart the node where it asks for that, else correct the file",
            look=(_STATUS, Look("livefleet plan HOST", "whether a restart is needed, and for which settings")),
            clears="once the declared settings are in force",
            conditions=("SpecCurrent", "PulledSpec", "SecretsCurrent"),
        ),
        AlertRule(
            "DiskLow", Topic.HOSTS, Severity.WARNING, _disk_below(settings.disk_free), 300,
            summary="{{ $labels.node }} has {{ $value | humanizePercentage }} of its state's disk left",
            means="The disk with the node's state fills up. On a full one payments cannot be written, and are refused.",
            advice="Remove what is not needed: old releases, models' files, other programs' logs; or enlarge the disk",
            look=(
                Look("livefleet exec HOST -- df -h /var/lib/livefleet", "how much is left"),
                Look("livefleet exec HOST -- du -xh --max-depth=2 /var/lib/livefleet", "what takes the room"),
            ),
            clears=f"when {settings.disk_free:.0%} are free again",
            held_by=("DiskFull",),
        ),
        AlertRule(
            "DiskFull", Topic.HOSTS, Severity.CRITICAL, _disk_below(settings.disk_free_critical), 60,
            summary="{{ $labels.node }} has only {{ $value | humanizePercentage }} of its state's disk left",
            means="Payments are about to be refused, since they cannot be written.",
            advice="Make room on the disk now: remove old releases and models' files that are not declared",
            look=(Look("livefleet exec HOST -- du -xh --max-depth=2 /var/lib/livefleet", "what takes the room"),),
            clears=f"when {settings.disk_free_critical:.0%} are free again",
        ),
        AlertRule(
            "ClockOff", Topic.HOSTS, Severity.WARNING,
            f"abs(livefleet_node_time_seconds - timestamp(livefleet_node_time_seconds)) > {settings.clock_offset_s:g}",
            300,
            summary="the clock of {{ $labels.node }} differs by {{ $value | humanizeDuration }} from the monitor's",
            means="Certificates, prices' ages and deadlines are judged by this clock. Where many nodes differ at once, "
            "it is the monitor's clock that is wrong.",
            advice="Let one time service keep the clock, and step it once",
            look=(
                Look("livefleet exec HOST -- timedatectl", "whether a service keeps the clock"),
                Look("livefleet exec HOST -- chronyc makestep", "steps it, where chrony keeps it"),
            ),
            clears=f"when it is within {settings.clock_offset_s:g} s again",
        ),
        AlertRule(
            "ClockUnkept", Topic.HOSTS, Severity.WARNING, "livefleet_clock_synchronised == 0", 3600,
            summary="nothing keeps the clock of {{ $labels.node }}",
            means="The kernel has not heard of a time service for long: the clock drifts by seconds a day.",
            advice="Install a time service (chrony, or `machine` in the fleet file), and let it reach its servers",
            look=(Look("livefleet exec HOST -- timedatectl", "whether a service keeps the clock"),),
            clears="when the kernel's clock counts as synchronised",
            held_by=("ClockOff",),
        ),
    )  # fmt: skip


def _disk_below(share: float) -> str:
    return f"livefleet_state_disk_free_bytes / livefleet_state_disk_size_bytes < {share:g}"
