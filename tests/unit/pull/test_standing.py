"""Which settings a node starts with: applied, pulled and good, or pulled and on trial."""

from hypothesis import given
from hypothesis import strategies as st

from livefleet.pull import Held, Standing, at_start, promoted, rejected, trying
from livefleet.pull.standing import MOST_STARTS

APPLIED = "sha256:applied"
GOOD = Held(1, "a" * 64, APPLIED)
NEW = Held(2, "b" * 64, APPLIED)


def test_nothing_pulled__starts_with_what_was_applied():
    assert at_start(Standing(), APPLIED) == (None, Standing())


def test_new_settings__are_started_with_and_the_start_counts_before_it_happens():
    choice, after = at_start(trying(Standing(good=GOOD), NEW), APPLIED)
    assert choice.sha256 == NEW.sha256
    assert after.trying.starts == 1


def test_new_settings_that_never_become_ready__end_in_the_good_ones_and_are_not_tried_again():
    standing = trying(Standing(good=GOOD), NEW)
    for _ in range(MOST_STARTS):
        choice, standing = at_start(standing, APPLIED)
        assert choice.sha256 == NEW.sha256
    choice, standing = at_start(standing, APPLIED)
    assert choice == GOOD
    assert standing.is_rejected(NEW.sha256)
    assert "ready" in standing.rejected[0].reason


def test_new_settings_without_good_ones__end_in_what_was_applied():
    standing = trying(Standing(), NEW)
    for _ in range(MOST_STARTS):
        _, standing = at_start(standing, APPLIED)
    assert at_start(standing, APPLIED)[0] is None


def test_applied_again__the_later_word_wins():
    standing = trying(Standing(good=GOOD), NEW)
    assert at_start(standing, "sha256:applied later") == (None, Standing())


def test_ready__becomes_good_and_its_starts_are_forgotten():
    _, standing = at_start(trying(Standing(good=GOOD), NEW), APPLIED)
    after = promoted(standing)
    assert (after.good, after.trying) == (NEW, None)


def test_nothing_on_trial__promoting_and_rejecting_change_nothing():
    standing = Standing(good=GOOD)
    assert promoted(standing) == standing
    assert rejected(standing, "no reason") == standing


@given(st.lists(st.sampled_from(["start", "new", "ready", "reject"]), max_size=40))
def test_whatever_happens__a_node_always_starts_and_never_with_what_it_has_rejected(events):
    standing, number = Standing(), 0
    for event in events:
        match event:
            case "new":
                number += 1
                standing = trying(standing, Held(number, f"{number:064x}", APPLIED))
            case "ready":
                standing = promoted(standing)
            case "reject":
                standing = rejected(standing, "it was not ready")
            case _:
                choice, standing = at_start(standing, APPLIED)
                assert choice is None or not standing.is_rejected(choice.sha256)
    assert len(standing.rejected) <= 20
