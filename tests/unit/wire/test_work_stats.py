import pytest

from livefleet.kernel import Refused, Transient
from livefleet.media import Profile
from livefleet.payments import BadPayment
from livefleet.wire import BadCredentials
from livefleet.wire.work_stats import AiStats, SegmentStats, refusal_reason

pytestmark = pytest.mark.unit


def ladder(*names):
    return [Profile(name, 1, 1, 1) for name in names]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BadPayment("deposit of 0x12 is set to unlock soon", kind="SenderUnlocking"), "SenderUnlocking"),
        (Refused("Invalid orchestrator request: OrchestratorCapped"), "OrchestratorCapped"),
        (BadCredentials("missing auth token"), "missing auth token"),
        (Refused('model "x" is not here'), "Refused"),
        (BadCredentials("a" * 300), "BadCredentials"),
        (Transient("disk /var/lib is full"), "Transient"),
    ],
)
def test_refusal_reason__plain_words_of_the_protocol_else_the_class(error, reason):
    assert refusal_reason(error) == reason


def test_stats__names_that_a_peer_makes_up__series_stay_bounded():
    stats = SegmentStats()
    for number in range(1000):
        name = f"{number}" * 200
        stats.take(name, 2000)
        stats.downloads_s.observe(name, value=0.1)
        stats.pixels.add(name, by=10)
        stats.transcoded(ladder(name), 2000, 0.5)
        stats.uploaded("https://here", name, 0.1)
    assert len(stats.taken.items()) == len(stats.downloads_s.items()) == len(stats.uploads.items()) == 101
    assert len(stats.transcodes_s.items()) == len(stats.scores.items()) == 31
    assert stats.taken.total == stats.transcodes_s.whole.count == 1000
    assert stats.pixels.total == 10_000
    assert stats.uploads.by(0) == {"https://here": 1000}


def test_transcoded__profiles_in_any_order__are_one_ladder_and_the_score_is_media_over_time():
    stats = SegmentStats()
    stats.transcoded(ladder("b", "a"), 2000, 0.5)
    stats.transcoded(ladder("a", "b"), 2000, 0.5)
    ((names, scores),) = stats.scores.items()
    assert names == ("a,b",)
    assert (scores.count, scores.total) == (2, 8)


def test_ai_stats__done_and_failed__by_pipeline_and_model():
    stats = AiStats()
    stats.finish("text-to-image", "owner/model", latency_score=0.25, price=7)
    stats.fail(Refused("insufficient capacity", status=503), "text-to-image", "owner/model", "0x1")
    assert stats.done.items() == [(("text-to-image", "owner/model"), 1)]
    assert stats.latency_scores.items() == [(("text-to-image", "owner/model"), 0.25)]
    assert stats.prices.last == 7
    assert stats.errors.items() == [(("insufficient capacity", "text-to-image", "owner/model", "0x1"), 1)]
