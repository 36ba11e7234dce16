"""Any bytes in any message of strangers: taken, or refused in the protocol's words."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.parsers import TARGETS, run
from tests.fuzz.wire import CORPUS, seeds

pytestmark = pytest.mark.unit

SEEDS = seeds()

a_damage = st.tuples(st.integers(0, 2**16), st.sampled_from(("set", "cut", "double", "insert")), st.binary(max_size=8))


def damaged(data: bytes, damages) -> bytes:
    for place, kind, value in damages:
        at = 1 + place % max(1, len(data) - 1)  # the first byte chooses the target
        match kind:
            case "set":
                data = data[:at] + value + data[at + len(value) :]
            case "cut":
                data = data[:at] + data[at + len(value) :]
            case "double":
                data = data[:at] + data[at : at + 16] + data[at:]
            case "insert":
                data = data[:at] + value + data[at:]
    return data


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
@given(data=st.binary(max_size=300))
def test_bytes_of_any_kind__are_taken_or_refused(target, data):
    target(data)


@pytest.mark.parametrize("name", sorted(SEEDS))
@settings(max_examples=50)
@given(damages=st.lists(a_damage, min_size=1, max_size=6))
def test_good_message_damaged__is_taken_or_refused(name, damages):
    run(damaged(SEEDS[name], damages))


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_seed__is_good(name):
    outcome = run(SEEDS[name])
    assert not outcome.endswith(("refused", "no message", "Error", "BadCredentials")), outcome


def test_corpus__is_what_the_vectors_give():
    """Else: python -m tests.fuzz.wire --make-corpus."""
    assert {path.name: path.read_bytes() for path in CORPUS.iterdir()} == SEEDS


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
@pytest.mark.parametrize("kind", ["nested", "repeated", "zeroes", "letters"])
def test_a_quarter_megabyte__costs_a_few_of_them(target, kind):
    """As long as headers get; 64 times that much memory would be a lever."""
    size = 256 * 1024
    data = {
        "nested": b"\x0a\x80\x80\x10" * (size // 4),
        "repeated": b"\x0a\x00" * (size // 2),
        "zeroes": bytes(size),
        "letters": b"A" * size,
    }[kind]
    tracemalloc.start()
    try:
        target(data)
        assert tracemalloc.get_traced_memory()[1] < 64 * size
    finally:
        tracemalloc.stop()
