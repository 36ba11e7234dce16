import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from livefleet.health import ReadingCollector, exposition

pytestmark = pytest.mark.unit


def exposed(*readings):
    registry = CollectorRegistry()
    registry.register(ReadingCollector(lambda: list(readings)))
    return exposition(registry).decode().splitlines()


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("livepeer_tickets_recv", "counter", "livepeer_tickets_recv"),  # the reference's names, letter by letter
        ("livepeer_segment_transcoded_total", "counter", "livepeer_segment_transcoded_total"),
        ("livepeer_current_sessions_total", "gauge", "livepeer_current_sessions_total"),
        ("livepeer_transcoders_number", "gauge", "livepeer_transcoders_number"),
        ("livefleet_segments_done", "counter", "livefleet_segments_done_total"),
    ],
)
def test_exposition__names_and_types(name, kind, shown):
    assert exposed((name, kind, "What it \\ is.", {}, 3)) == [
        f"# HELP {shown} What it \\\\ is.",
        f"# TYPE {shown} {kind}",
        f"{shown} 3.0",
    ]


def test_exposition__one_family_with_labels__reads_back():
    lines = exposed(
        ("livepeer_payment_recv_errors", "counter", "Refused.", {"error_code": "InvalidPrice"}, 2),
        ("livepeer_payment_recv_errors", "counter", "Refused.", {"error_code": 'odd "one"'}, 1),
    )
    (family,) = text_string_to_metric_families("\n".join(lines) + "\n")
    assert family.type == "counter"
    assert {sample.labels["error_code"]: sample.value for sample in family.samples} == {
        "InvalidPrice": 2,
        'odd "one"': 1,
    }
