"""Live: the streams that are open now, refreshed every few seconds."""

from livefleet.monitoring.dashboards.board import Board, Row, Unit, Variable, panel, stat

__all__ = ["live_board"]


def live_board() -> Board:
    """What goes through the fleet at this moment, and whether it is fast enough."""
    return Board(
        "livefleet-live",
        "livefleet: live",
        "Streams that are open now: how many, where, how fast, what goes wrong.",
        (Variable.FLEET, Variable.NODE),
        (_now(), _speed(), _wrong(), _storage()),
        since="now-30m",
    )


def _now() -> Row:
    return Row(
        "Now",
        (
            stat("Streams", "sum(livefleet_sessions{HERE})", Unit.NUMBER, "Open at orchestrators."),
            stat(
                "Room for",
                "sum(livepeer_max_sessions_total{HERE} - livepeer_current_sessions_total{HERE})",
                Unit.NUMBER,
                "Sessions that would still be taken, by the declared limits.",
                "CapacityFull",
            ),
            stat(
                "Segments a second",
                "sum(rate(livefleet_segments_done_total{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                "Done and charged.",
            ),
            stat(
                "Pixels a second",
                "sum(rate(livepeer_mil_pixels_processed{HERE}[$__rate_interval])) * 1e6",
                Unit.PIXELS_PER_SECOND,
                "Charged.",
            ),
            stat(
                "Segments that fail",
                "sum(rate(livefleet_segments_failed_total{HERE}[$__rate_interval])) "
                "/ (sum(rate(livefleet_segments_failed_total{HERE}[$__rate_interval])) "
                "+ sum(rate(livefleet_segments_done_total{HERE}[$__rate_interval])))",
                Unit.RATIO,
                "Of those that were answered.",
                "SegmentsFail",
            ),
            stat(
                "Viewer's time is kept",
                '1 - sum(rate(livepeer_transcode_score_bucket{HERE,le="1"}[$__rate_interval])) '
                "/ sum(rate(livepeer_transcode_score_count{HERE}[$__rate_interval]))",
                Unit.RATIO,
                "Share of segments that were transcoded faster than they play.",
            ),
            panel(
                "Streams by node",
                "sum by (node) (livefleet_sessions{HERE})",
                Unit.NUMBER,
                "{{node}}",
                "Open at each orchestrator.",
            ),
            panel(
                "Segments by node",
                "sum by (node) (rate(livefleet_segments_done_total{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                "{{node}}",
                "Done and charged.",
            ),
        ),
    )


def _speed() -> Row:
    return Row(
        "Speed",
        (
            panel(
                "Transcoding",
                {
                    "half within": _within(0.5, "livepeer_transcode_time_seconds"),
                    "99 of 100 within": _within(0.99, "livepeer_transcode_time_seconds"),
                },
                Unit.SECONDS,
                "{{node}}",
                "Of a segment, waiting for the device included.",
            ),
            panel(
                "Faster than it plays",
                _within(0.05, "livepeer_transcode_score"),
                Unit.NUMBER,
                "{{node}}",
                "Duration over time: one in twenty segments is slower than that; below 1 viewers wait.",
            ),
            panel(
                "Segments' duration",
                _within(0.5, "livepeer_source_segment_duration_seconds"),
                Unit.SECONDS,
                "{{node}}",
                "Half are shorter.",
            ),
            panel(
                "Reading bodies",
                _within(0.9, "livepeer_download_time_seconds"),
                Unit.SECONDS,
                "{{node}}",
                "Nine of ten within that time: segments of gateways, results of workers.",
            ),
            panel(
                "Sending results",
                _within(0.9, "livepeer_upload_time_seconds"),
                Unit.SECONDS,
                "{{node}}",
                "Of a worker: nine of ten within that time.",
            ),
        ),
    )


def _wrong() -> Row:
    return Row(
        "What goes wrong",
        (
            panel(
                "Requests refused",
                "sum by (request, reason) (rate(livefleet_requests_refused_total{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                "{{request}} {{reason}}",
                "What gateways asked for and did not get, and why.",
                "WorkTurnedAway",
            ),
            panel(
                "Segments that failed",
                "sum by (node) (rate(livefleet_segments_failed_total{HERE}[$__rate_interval]))",
                Unit.PER_SECOND,
                "{{node}}",
                "Answered with an error.",
                "SegmentsFail",
            ),
            panel(
                "Segments tried again",
                {
                    "other worker": "sum by (node) (rate(livefleet_segments_reassigned_total{HERE}[$__rate_interval]))",
                    "same node": "sum by (node) (rate(livefleet_segments_retried_total{HERE}[$__rate_interval]))",
                },
                Unit.PER_SECOND,
                "{{node}}",
                "After a worker, or a worker process, was lost.",
                "TranscoderDown",
            ),
            panel(
                "Segments suspected",
                "livefleet_segments_suspected{HERE}",
                Unit.NUMBER,
                "{{node}}",
                "Remembered for taking worker processes down.",
            ),
        ),
    )


def _storage() -> Row:
    return Row(
        "Results in object stores",
        (
            panel(
                "Results",
                {
                    "stored": "sum by (node) (rate(livefleet_files_uploaded_total{HERE}[$__rate_interval]))",
                    "kept": "sum by (node) (rate(livefleet_files_not_uploaded_total{HERE}[$__rate_interval]))",
                },
                Unit.PER_SECOND,
                "{{node}}",
                "What an object store took, and what was kept in memory since it did not take it.",
            ),
        ),
    )


def _within(share: float, histogram: str) -> str:
    return f"histogram_quantile({share:g}, sum by (node, le) (rate({histogram}_bucket{{HERE}}[$__rate_interval])))"
