"""The whole fleet on one page: who is there, what is wrong, what is done and earned."""

from livefleet.monitoring.dashboards.board import Board, Row, Unit, Variable, panel, stat, states, table

__all__ = ["fleet_board"]


def fleet_board() -> Board:
    """Where somebody on call looks first."""
    return Board(
        "livefleet-fleet",
        "livefleet: fleet",
        "Every node of the fleet: who answers, what is wrong, what is done and earned.",
        (Variable.FLEET, Variable.NODE),
        (_health(), _hosts(), _work(), _money(), _monitoring()),
    )


def _health() -> Row:
    return Row(
        "What is wrong",
        (
            stat(
                "Nodes that answer",
                'count(up{job="livefleet",HERE} == 1)',
                Unit.NUMBER,
                "Agents that the monitor reads, or that push.",
                "NodeDown",
            ),
            stat(
                "Nodes ready",
                "sum(livefleet_node_ready{HERE})",
                Unit.NUMBER,
                "Of these, those without a condition that keeps them from work.",
            ),
            stat(
                "Conditions false",
                "count(min by (node, condition, subject) (livefleet_condition_status{HERE}) == 0) or vector(0)",
                Unit.NUMBER,
                "Statements about nodes that do not hold; the table below names them.",
                "ConditionFalse",
            ),
            stat(
                "GPUs without work",
                'sum(livefleet_gpu_state{HERE,state=~"drain|reset|reboot|quarantine|replace"}) or vector(0)',
                Unit.NUMBER,
                "Devices that were set aside for a fault.",
                "GpuFault",
            ),
            stat(
                "Sessions",
                "sum(livepeer_current_sessions_total{HERE})",
                Unit.NUMBER,
                "Streams that orchestrators and workers have open; one that a worker does counts at both.",
            ),
            stat(
                "Nodes in drain",
                "sum(livefleet_drain_state{HERE} > bool 0) or vector(0)",
                Unit.NUMBER,
                "Nodes that take no new sessions because somebody said so.",
            ),
            table(
                "Alerts that fire",
                'ALERTS{alertstate="firing",severity!="heartbeat",HERE}',
                "What Prometheus tells Alertmanager now; the runbook has a section for each.",
            ),
            table(
                "Conditions that do not hold",
                "min by (fleet, node, condition, subject, reason) (livefleet_condition_status{HERE}) == 0",
                "`livefleet status HOST` adds what to do about each.",
                "ConditionFalse",
            ),
        ),
    )


def _hosts() -> Row:
    return Row(
        "Nodes",
        (
            states(
                "Ready",
                "min by (node) (livefleet_node_ready{HERE})",
                "{{node}}",
                "Whether the node takes work: its /readyz.",
                "NodeNotReady",
            ),
            table(
                "What runs where",
                "min by (fleet, node, role, version, release, digest) (livefleet_node_info{HERE})",
                "Version, release and digest of the settings that each agent runs.",
                "SpecDrift",
            ),
            panel(
                "Runs for",
                "time() - livefleet_node_started_seconds{HERE}",
                Unit.SECONDS,
                "{{node}}",
                "Since the agent's start; a line that falls is a restart.",
                "AgentRestarting",
            ),
            panel(
                "GPUs present",
                "livefleet_gpus_present{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "Devices that NVML lists.",
            ),
            panel(
                "Bundle not seen for",
                "livefleet_pull_unseen_seconds{HERE}",
                Unit.SECONDS,
                "{{node}}",
                "Pull mode: since the signed bundle was last seen and believed.",
            ),
            panel(
                "Version of the bundle",
                {
                    "seen": "livefleet_pull_bundle_version{HERE}",
                    "held": "livefleet_pull_held_version{HERE}",
                },
                Unit.NUMBER,
                "{{node}}",
                "Pull mode: what was seen last, and what is in force or on trial.",
            ),
        ),
    )


def _work() -> Row:
    return Row(
        "Work",
        (
            panel(
                "Sessions",
                {
                    "open": "sum by (node) (livepeer_current_sessions_total{HERE})",
                    "limit": "sum by (node) (livepeer_max_sessions_total{HERE})",
                },
                Unit.NUMBER,
                "{{node}}",
                "Open streams, and how many the node takes.",
                "CapacityFull",
            ),
            panel(
                "Segments",
                {
                    "done": "sum by (node) (rate(livefleet_segments_done_total{HERE}[$__rate_interval]))",
                    "failed": "sum by (node) (rate(livefleet_segments_failed_total{HERE}[$__rate_interval]))",
                },
                Unit.PER_SECOND,
                "{{node}}",
                "Segments a second, as gateways see it.",
                "SegmentsFail",
            ),
            panel(
                "GPU use",
                "avg by (node) (livefleet_gpu_utilization_percent{HERE})",
                Unit.PERCENT,
                "{{node}}",
                "Average of the node's devices.",
            ),
            panel(
                "Power drawn",
                "sum by (node) (livefleet_gpu_power_milliwatts{HERE}) / 1000",
                Unit.WATTS,
                "{{node}}",
                "Of all the node's GPUs together; the rest of the host is not measured.",
            ),
            panel(
                "AI jobs",
                "sum by (node) (rate(livefleet_model_jobs_total{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                "{{node}}",
                "Jobs given to models.",
            ),
            panel(
                "Joined workers",
                "sum by (node) (livepeer_transcoders_number{HERE})",
                Unit.NUMBER,
                "{{node}}",
                "By orchestrator.",
            ),
        ),
    )


def _money() -> Row:
    return Row(
        "Money",
        (
            panel(
                "Fees in a day",
                "sum by (node) (increase(livefleet_ledger_fees_received_wei_total{HERE}[1d])) / 1e18",
                Unit.ETH,
                "{{node}}",
                "What gateways paid in the last 24 hours, by the books.",
            ),
            panel(
                "Gas left for",
                "min by (node, key) (livefleet_gas_runway_seconds{HERE}) < Inf",
                Unit.SECONDS,
                "{{node}} {{key}}",
                "How long each key's ETH lasts at what it spent of late; keys that spend nothing are left out.",
                "GasLow",
            ),
            panel(
                "Winners that wait",
                'sum by (node) (livefleet_winning_tickets_wei{HERE,state="pending"}) / 1e18',
                Unit.ETH,
                "{{node}}",
                "Face value of winning tickets that are not redeemed yet.",
            ),
        ),
    )


def _monitoring() -> Row:
    return Row(
        "Monitoring itself",
        (
            panel(
                "Hosts known",
                "livefleet_monitor_hosts{HERE}",
                Unit.NUMBER,
                "{{node}} {{way}}",
                "Hosts that the monitor asks (scrape), and that come by themselves (push).",
            ),
            panel(
                "Pushes",
                "sum by (kind, status) (rate(livefleet_monitor_pushes_total{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                "{{kind}} {{status}}",
                "Requests at the monitor's door, by what they were answered; 2xx is well.",
            ),
            panel(
                "Log lines",
                {
                    "shipped": "sum by (node) (rate(livefleet_logs_shipped_total{HERE}[$__rate_interval]))",
                    "dropped": "sum by (node) (rate(livefleet_logs_dropped_total{HERE}[$__rate_interval]))",
                },
                Unit.PER_SECOND,
                "{{node}}",
                "What nodes send of their logs, and what is lost of them.",
            ),
            panel(
                "Log lines that wait",
                "livefleet_logs_waiting_bytes{HERE}",
                Unit.BYTES,
                "{{node}}",
                "Kept on the node until the monitor takes them.",
            ),
        ),
    )
