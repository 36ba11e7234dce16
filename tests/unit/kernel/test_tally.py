import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.kernel import OTHER, Histogram, Histograms, LastValues, Tally
from livefleet.kernel.tally import LABEL_LENGTH

pytestmark = pytest.mark.unit

names = st.lists(st.text(max_size=3), max_size=60)


@given(names)
def test_tally__whatever_comes__series_are_bounded_and_the_sum_is_right(labels):
    tally = Tally(limit=5)
    for label in labels:
        tally.add(label)
    assert tally.total == len(labels)
    assert len(tally.items()) <= 5 + 1


def test_tally__beyond_the_limit__the_one_not_touched_for_longest_goes_into_other():
    tally = Tally(limit=2)
    for label in ("a", "b", "a", "c"):
        tally.add(label)
    assert dict(tally.items()) == {("a",): 2, ("c",): 1, (OTHER,): 1}


def test_tally__first_labels_kept__survive_folding():
    tally = Tally(limit=1, keep=1)
    tally.add("InvalidPrice", "0x1")
    tally.add("PaymentError", "0x2", by=2)
    tally.add("PaymentError", "0x3", by=4)
    assert tally.by(0) == {"InvalidPrice": 1, "PaymentError": 6}
    assert dict(tally.items()) == {("PaymentError", "0x3"): 4, ("PaymentError", OTHER): 2, ("InvalidPrice", OTHER): 1}


def test_tally__long_label__is_cut():
    tally = Tally()
    tally.add("x" * 5000)
    ((label,), _), *rest = tally.items()
    assert rest == []
    assert len(label) == LABEL_LENGTH


def test_histogram__bounds_are_included_and_the_last_range_is_open():
    histogram = Histogram((1, 2))
    for value in (0.5, 1, 1.5, 2, 2.1):
        histogram.observe(value)
    assert (histogram.counts, histogram.count, histogram.total) == ([2, 2, 1], 5, pytest.approx(7.1))


@given(names)
def test_histograms__beyond_the_limit__nothing_is_lost(labels):
    histograms = Histograms((1, 2), limit=3)
    for number, label in enumerate(labels):
        histograms.observe(label, value=number % 4)
    assert len(histograms.items()) <= 3 + 1
    assert histograms.whole.count == len(labels)
    assert histograms.whole.total == sum(number % 4 for number in range(len(labels)))


def test_last_values__beyond_the_limit__the_oldest_is_forgotten():
    values = LastValues(limit=2)
    for label, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        values.set(label, value=value)
    assert values.items() == [(("a",), 3), (("c",), 4)]
    assert values.last == 4
