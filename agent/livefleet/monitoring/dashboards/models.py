"""AI models: where they are warm, what they do, what they cost and bring in."""

from livefleet.monitoring.dashboards.board import Board, Row, Unit, Variable, panel, states, table

__all__ = ["models_board"]

_NAME = "{{node}} {{pipeline}} {{model_name}} {{device}}"
_MODEL = "{{pipeline}} {{model_name}}"


def models_board() -> Board:
    """By model and device."""
    return Board(
        "livefleet-models",
        "livefleet: AI models",
        "Each model on each device: warm or not, jobs, time, memory, failures, what is charged for it.",
        (Variable.FLEET, Variable.NODE),
        (_state(), _jobs(), _failures(), _money(), _memory(), _workers()),
    )


def _state() -> Row:
    return Row(
        "State",
        (
            states("Warm", "livefleet_model_warm{HERE}", _NAME, "Green while loaded and answering.", "ModelDown"),
            panel(
                "In use",
                {"in use": "livefleet_model_in_use{HERE}", "waiting": "livefleet_model_waiting{HERE}"},
                Unit.NUMBER,
                _NAME,
                "Requests that it works on or that wait for it, and of these those that wait for it to load.",
            ),
            panel(
                "Runners' places",
                {
                    "in use": "sum by (node, pipeline, model_name) (livepeer_ai_container_in_use{HERE})",
                    "idle": "sum by (node, pipeline, model_name) (livepeer_ai_container_idle{HERE})",
                },
                Unit.NUMBER,
                "{{node}} {{pipeline}} {{model_name}}",
                "Free places are what gateways are told.",
            ),
            table(
                "Loading",
                "livefleet_model_load_seconds{HERE}",
                "How long loading took, measured last.",
                unit=Unit.SECONDS,
            ),
            panel(
                "Loads, evictions, losses",
                {
                    "loaded": "increase(livefleet_model_loads_total{HERE}[$__rate_interval])",
                    "gave way": "increase(livefleet_model_evictions_total{HERE}[$__rate_interval])",
                    "lost": "increase(livefleet_model_losses_total{HERE}[$__rate_interval])",
                },
                Unit.NUMBER,
                _NAME,
                "Lost: its process died, hung or would not load.",
                "ModelDown",
            ),
            panel(
                "Silences and proofs",
                {
                    "silent": "increase(livefleet_model_silences_total{HERE}[$__rate_interval])",
                    "proof failed": "increase(livefleet_model_proofs_failed_total{HERE}[$__rate_interval])",
                },
                Unit.NUMBER,
                _NAME,
                "Times it gave no sign of life, and small jobs of the node's own that it did not do.",
                "ModelDown",
            ),
        ),
    )


def _jobs() -> Row:
    return Row(
        "Jobs",
        (
            panel(
                "Jobs",
                "rate(livefleet_model_jobs_total{HERE}[$__rate_interval])",
                Unit.PER_SECOND,
                _NAME,
                "Given to it.",
            ),
            panel(
                "Time of jobs",
                "livefleet_model_job_seconds{HERE}",
                Unit.SECONDS,
                f"{_NAME} q{{{{quantile}}}}",
                "Of the last 256 answers.",
            ),
            panel(
                "Seconds for a unit",
                "livepeer_ai_request_latency_score{HERE}",
                Unit.SECONDS,
                "{{node}} {{pipeline}} {{model_name}}",
                "go-livepeer's latency score: for each output unit and step, of the last job.",
            ),
            panel(
                "Requests done",
                {
                    "done": "rate(livefleet_ai_requests_done_total{HERE}[$__rate_interval])",
                    "files made": "rate(livefleet_images_done_total{HERE}[$__rate_interval])",
                    "failed": "rate(livefleet_images_failed_total{HERE}[$__rate_interval])",
                },
                Unit.PER_SECOND,
                "{{node}}",
                "Of an orchestrator: AI requests answered and those that came to nothing; files made.",
                "AiRequestsFail",
            ),
        ),
    )


def _failures() -> Row:
    return Row(
        "Failures",
        (
            panel(
                "Failed",
                "rate(livefleet_model_jobs_failed_total{HERE}[$__rate_interval])",
                Unit.PER_SECOND,
                _NAME,
                "Jobs that the model failed.",
                "AiRequestsFail",
            ),
            panel(
                "Out of memory",
                "rate(livefleet_model_jobs_out_of_memory_total{HERE}[$__rate_interval])",
                Unit.PER_SECOND,
                _NAME,
                "While they ran.",
            ),
            panel(
                "Refused for memory",
                "rate(livefleet_model_jobs_refused_for_memory_total{HERE}[$__rate_interval])",
                Unit.PER_SECOND,
                _NAME,
                "Before they ran.",
            ),
            panel(
                "Errors by code",
                "sum by (error_code, pipeline, model_name) (rate(livepeer_ai_request_errors{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                f"{_MODEL} {{{{error_code}}}}",
                "Jobs that were taken and failed.",
                "AiRequestsFail",
            ),
        ),
    )


def _money() -> Row:
    return Row(
        "What it brings and costs",
        (
            panel(
                "Charged in a day",
                "sum by (pipeline, model_name) (increase(livefleet_model_charged_wei_total{HERE}[1d])) / 1e18",
                Unit.ETH,
                _MODEL,
                "Of the last 24 hours, workers' jobs too.",
            ),
            panel(
                "Jobs charged in a day",
                "sum by (pipeline, model_name) (increase(livefleet_model_charged_jobs_total{HERE}[1d]))",
                Unit.NUMBER,
                _MODEL,
                "That gateways were charged for.",
            ),
            panel(
                "Units charged in a day",
                "sum by (pipeline, model_name) (increase(livefleet_model_charged_units_total{HERE}[1d]))",
                Unit.NUMBER,
                _MODEL,
                "What the pipeline's price is for.",
            ),
            panel(
                "Device's time",
                "rate(livefleet_model_device_seconds_total{HERE}[$__rate_interval])",
                Unit.RATIO,
                _NAME,
                "Share of the device's time that it had.",
            ),
            panel(
                "Energy in a day",
                "increase(livefleet_model_energy_joules_total{HERE}[1d])",
                Unit.JOULES,
                _NAME,
                "Drawn by the device meanwhile, streams on it included.",
            ),
            panel(
                "ETH for a device hour",
                "sum by (pipeline, model_name) (increase(livefleet_model_charged_wei_total{HERE}[1d])) / 1e18 "
                "/ (sum by (pipeline, model_name) (increase(livefleet_model_device_seconds_total{HERE}[1d])) / 3600)",
                Unit.ETH,
                _MODEL,
                "What a model brings in by the hour of a device: which one to keep warm.",
            ),
        ),
    )


def _memory() -> Row:
    return Row(
        "Memory",
        (
            panel(
                "Of devices",
                "livefleet_device_memory_bytes{HERE}",
                Unit.BYTES,
                "{{node}} {{device}} {{held}}",
                "Total, headroom, what strangers hold, free.",
            ),
            table(
                "When loaded",
                "livefleet_model_loaded_bytes{HERE}",
                "Measured.",
                unit=Unit.BYTES,
            ),
            table(
                "Peak beyond that",
                "livefleet_model_peak_bytes{HERE}",
                "Most that a request needed, measured.",
                unit=Unit.BYTES,
            ),
        ),
    )


def _workers() -> Row:
    return Row(
        "Workers",
        (
            states(
                "Joined the orchestrator",
                "livefleet_ai_worker_joined{HERE}",
                "{{node}}",
                "Of a worker with models.",
                "WorkerApart",
            ),
            panel("Jobs under way", "livefleet_ai_worker_jobs{HERE}", Unit.NUMBER, "{{node}}", "Of a worker."),
            panel(
                "Jobs delivered",
                {
                    "done": "rate(livefleet_ai_worker_jobs_done_total{HERE}[$__rate_interval])",
                    "failed": "rate(livefleet_ai_worker_jobs_failed_total{HERE}[$__rate_interval])",
                },
                Unit.PER_SECOND,
                "{{node}}",
                "And not, or done in vain.",
                "WorkerSegmentsFail",
            ),
        ),
    )
