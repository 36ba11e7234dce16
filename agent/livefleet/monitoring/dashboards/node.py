"""One node: is it well, has it room, what does it do."""

from livefleet.monitoring.dashboards.board import Board, Row, Unit, Variable, panel, stat, states

__all__ = ["node_board"]


def node_board() -> Board:
    """What `livefleet status HOST` says, over time."""
    return Board(
        "livefleet-node",
        "livefleet: node",
        "One node, or a few beside each other: conditions, host, doors, sessions.",
        (Variable.FLEET, Variable.NODE),
        (_now(), _host(), _doors(), _video(), _drain()),
    )


def _now() -> Row:
    return Row(
        "Now",
        (
            stat("Ready", "livefleet_node_ready{HERE}", Unit.NUMBER, "1 while /readyz says 200.", legend="{{node}}"),
            stat(
                "Runs for",
                "time() - livefleet_node_started_seconds{HERE}",
                Unit.SECONDS,
                "Since the agent's start.",
                legend="{{node}}",
            ),
            stat(
                "Release",
                "livefleet_node_info{HERE}",
                Unit.NUMBER,
                "What it runs: the name is the release, the number says nothing.",
                "SpecDrift",
                legend="{{node}} {{version}} {{release}}",
            ),
            stat("GPUs", "livefleet_gpus_present{HERE}", Unit.NUMBER, "Devices of NVML.", legend="{{node}}"),
            stat(
                "Sessions",
                "livepeer_current_sessions_total{HERE}",
                Unit.NUMBER,
                "Open streams.",
                legend="{{node}}",
            ),
            stat(
                "Certificate ends in",
                "livefleet_certificate_remaining_seconds{HERE}",
                Unit.SECONDS,
                "Of the certificate that the front door shows.",
                "CertificateEnding",
                legend="{{node}}",
            ),
            states(
                "Conditions",
                "min by (node, condition, subject) (livefleet_condition_status{HERE})",
                "{{node}} {{condition}} {{subject}}",
                "Each statement about the node, over time; REFERENCE.md says what each means.",
                "ConditionFalse",
            ),
        ),
    )


def _host() -> Row:
    return Row(
        "Host",
        (
            panel(
                "Disk of the state",
                {
                    "free": "livefleet_state_disk_free_bytes{HERE}",
                    "size": "livefleet_state_disk_size_bytes{HERE}",
                },
                Unit.BYTES,
                "{{node}}",
                "Where books, tickets and models are.",
                "DiskLow",
                "DiskFull",
            ),
            panel(
                "Clock off by",
                "livefleet_node_time_seconds{HERE} - timestamp(livefleet_node_time_seconds{HERE})",
                Unit.SECONDS,
                "{{node}}",
                "The node's clock against the monitor's.",
                "ClockOff",
            ),
            states(
                "Clock kept",
                "livefleet_clock_synchronised{HERE}",
                "{{node}}",
                "Whether a time service keeps it.",
                "ClockUnkept",
            ),
            panel(
                "Cores",
                {
                    "all": "livefleet_cores{HERE}",
                    "others": "livefleet_cores_others_used{HERE}",
                    "sessions": "livefleet_cores_sessions_used{HERE}",
                    "limit": "livefleet_cores_sessions_limit{HERE}",
                },
                Unit.NUMBER,
                "{{node}}",
                "Cores the node may use, what others and its sessions use, and what these may use.",
            ),
            panel(
                "Agent's cores",
                'rate(process_cpu_seconds_total{job="livefleet",HERE}[$__rate_interval])',
                Unit.NUMBER,
                "{{node}}",
                "Cores that the agent itself keeps busy, its workers left out.",
            ),
            panel(
                "Agent's memory",
                'process_resident_memory_bytes{job="livefleet",HERE}',
                Unit.BYTES,
                "{{node}}",
                "Memory of the agent itself, its workers left out.",
            ),
        ),
    )


def _doors() -> Row:
    return Row(
        "Doors",
        (
            states(
                "Front door",
                "livefleet_front_door_open{HERE}",
                "{{node}}",
                "Whether the port that gateways use answers.",
                "FrontDoorClosed",
            ),
            panel(
                "Restarts of nginx",
                "increase(livefleet_front_door_restarts_total{HERE}[$__rate_interval])",
                Unit.NUMBER,
                "{{node}}",
                "Times that it ended by itself.",
            ),
            panel(
                "Requests refused",
                "sum by (node, request, reason) (rate(livefleet_requests_refused_total{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                "{{node}} {{request}} {{reason}}",
                "What gateways asked for and did not get, and why.",
                "WorkTurnedAway",
            ),
            panel(
                "Joined workers",
                {
                    "joined": "livepeer_transcoders_number{HERE}",
                    "on the former secret": "livefleet_workers_on_former_secret{HERE}",
                },
                Unit.NUMBER,
                "{{node}}",
                "Of an orchestrator; while a secret is changed, those that still show the former one.",
            ),
            states(
                "Joined the orchestrator",
                "livefleet_worker_joined{HERE}",
                "{{node}}",
                "Of a worker.",
                "WorkerApart",
            ),
            panel(
                "Login webhook",
                "histogram_quantile(0.9, sum by (node, le) "
                "(rate(livepeer_auth_webhook_time_milliseconds_bucket{HERE}[$__rate_interval])))",
                Unit.MILLISECONDS,
                "{{node}}",
                "Nine of ten answers came within that time.",
            ),
        ),
    )


def _video() -> Row:
    return Row(
        "Sessions and devices",
        (
            panel(
                "Sessions by where",
                "livefleet_sessions{HERE}",
                Unit.NUMBER,
                "{{node}} {{where}}",
                "Work of the node's own devices, and of workers.",
            ),
            panel(
                "Sessions by device",
                "livefleet_device_sessions{HERE}",
                Unit.NUMBER,
                "{{node}} {{device}}",
                "Open streams whose segments the device does.",
            ),
            panel(
                "Places",
                {
                    "all": "livefleet_device_places{HERE}",
                    "in use": "livefleet_device_places_used{HERE}",
                    "segments": "livefleet_device_segments{HERE}",
                },
                Unit.NUMBER,
                "{{node}} {{device}}",
                "Segments that a device does at once, how many of them it does on average, and right now.",
                "CapacityFull",
            ),
            panel(
                "Load limit",
                "livefleet_load_limit_ratio{HERE}",
                Unit.RATIO,
                "{{node}}",
                "The declared share of cores and places that sessions may take.",
            ),
            panel(
                "Proofs that failed",
                "increase(livefleet_device_proofs_failed_total{HERE}[$__rate_interval])",
                Unit.NUMBER,
                "{{node}} {{device}}",
                "Worker processes ended because a sample of the node's own did not come through.",
            ),
            panel(
                "Worker's segments",
                {
                    "done": "rate(livefleet_worker_segments_done_total{HERE}[$__rate_interval])",
                    "failed": "rate(livefleet_worker_segments_failed_total{HERE}[$__rate_interval])",
                },
                Unit.PER_SECOND,
                "{{node}}",
                "Delivered to the orchestrator, and not.",
            ),
            panel("Worker's jobs", "livefleet_worker_jobs{HERE}", Unit.NUMBER, "{{node}}", "Under way."),
            panel(
                "Worker's pixels",
                "rate(livefleet_worker_pixels_encoded_total{HERE}[$__rate_interval])",
                Unit.PIXELS_PER_SECOND,
                "{{node}}",
                "Encoded.",
            ),
            panel(
                "Fetching sources",
                "histogram_quantile(0.9, sum by (node, le) "
                "(rate(livefleet_source_fetch_seconds_bucket{HERE}[$__rate_interval])))",
                Unit.SECONDS,
                "{{node}}",
                "Of a worker: nine of ten came within that time.",
            ),
        ),
    )


def _drain() -> Row:
    return Row(
        "Drain",
        (
            panel(
                "State",
                "livefleet_drain_state{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "0 in service, 1 draining, 2 drained.",
            ),
            panel(
                "Still there",
                {
                    "sessions": "livefleet_drain_sessions_left{HERE}",
                    "segments": "livefleet_drain_segments_in_flight{HERE}",
                },
                Unit.NUMBER,
                "{{node}} {{scope}}",
                "What is waited for, on the node or on one device.",
            ),
            panel(
                "Time left",
                "livefleet_drain_deadline_seconds{HERE}",
                Unit.SECONDS,
                "{{node}} {{scope}}",
                "To the deadline, at which what is left is ended.",
            ),
            states("Emptied", "livefleet_drain_done{HERE}", "{{node}} {{scope}}", "Green once nothing is left."),
        ),
    )
