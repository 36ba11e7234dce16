from dataclasses import replace

import pytest

from livefleet.chain import ChainHead, RewardObserved
from livefleet.chain.reward_memory import RewardMemory
from livefleet.kernel import BlockNumber, Round, Transient, Wei
from tests.builders.clock import HandClock

pytestmark = pytest.mark.unit

CALLED = RewardObserved(
    current_round=Round(7),
    last_initialized_round=Round(7),
    last_reward_round=Round(7),
    active=True,
    paused=False,
    block=100,
    l1_block=BlockNumber(50),
)


class _Watcher:
    def __init__(self, clock):
        self.clock, self.round, self.initialized, self.block, self.away = clock, 7, 7, 100, False
        self.seen_at = clock.now()

    def head(self):
        if self.away:
            raise Transient("not seen")
        return ChainHead(
            l1_block=BlockNumber(self.block // 2),
            current_round=Round(self.round),
            last_initialized_round=Round(self.initialized),
            round_block_hash=bytes(32),
            previous_round_block_hash=bytes(32),
            pool_size=1,
            gas_price=Wei(1),
            seen_at=self.seen_at,
            block=self.block,
        )


def a_memory(*, safe_depth=0):
    clock = HandClock()
    watcher = _Watcher(clock)
    memory = RewardMemory(watcher.head, safe_depth=safe_depth, clock=clock)
    memory.keep(CALLED)
    return memory, watcher, clock


def test_recall__nothing_moved__is_what_was_kept_at_the_watchers_block():
    memory, watcher, _ = a_memory()
    watcher.block = 120
    assert memory.recall() == replace(CALLED, l1_block=BlockNumber(60))


@pytest.mark.parametrize(
    "change", [{"round": 8}, {"initialized": 8}, {"away": True}], ids=["round", "initialised", "away"]
)
def test_recall__something_moved_or_nobody_knows__is_read_again(change):
    memory, watcher, _ = a_memory()
    for name, value in change.items():
        setattr(watcher, name, value)
    assert memory.recall() is None


def test_recall__watcher_that_has_not_looked_for_minutes__is_read_again():
    memory, watcher, clock = a_memory()
    clock.time += 300
    assert memory.recall() is not None
    clock.time += 1
    assert memory.recall() is None
    watcher.seen_at = clock.now()
    assert memory.recall() is not None
    clock.time += 3600
    watcher.seen_at = clock.now()
    assert memory.recall() is None


def test_recall__not_deep_yet__is_read_once_more_when_it_is():
    memory, watcher, _ = a_memory(safe_depth=20)
    watcher.block = 119
    assert memory.recall() is not None
    watcher.block = 120
    assert memory.recall() is None
    memory.keep(replace(CALLED, block=121))
    watcher.block = 10_000
    assert memory.recall() is not None


def test_recall__kept_for_a_while__ends_then():
    memory, _, clock = a_memory()
    memory.keep(CALLED, for_s=60.0)
    clock.time += 59
    assert memory.recall() is not None
    clock.time += 1
    assert memory.recall() is None


def test_recall__dropped_or_without_a_watcher__is_nothing():
    memory, _, clock = a_memory()
    memory.drop()
    assert memory.recall() is None
    blind = RewardMemory(None, safe_depth=0, clock=clock)
    blind.keep(CALLED)
    assert blind.recall() is None
