from fractions import Fraction

import pytest

from livefleet.chain import FeedAnswer
from livefleet.kernel import BadInput, Status, Transient
from livefleet.payments import NoRate, PriceKeeper
from livefleet.payments.price_last_good import load_rate, save_rate
from livefleet.payments.price_rate import Rate
from livefleet.spec import FeedSettings, NodeSpec, Prices
from tests.builders.payments import GATEWAY, OTHER, HandClock

pytestmark = pytest.mark.unit


class ToldFeed:
    """A price feed that says what the test wrote into it."""

    def __init__(self, clock, usd=3000, address=GATEWAY):
        self.address = address
        self.clock = clock
        self.usd = usd
        self.asked = 0
        self.error = None
        self.age = 60
        self.description = "ETH / USD"

    async def latest(self):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return FeedAnswer(self.description, 8, int(self.usd * 10**8), int(self.clock.time - self.age))


def a_spec(video="1 USD per 1e12", **prices):
    return NodeSpec(fleet="f", name="n", role="monitor", prices=Prices(video=video, **prices))


@pytest.fixture
def clock():
    return HandClock(1_800_000_000.0)


@pytest.fixture
def feed(clock):
    return ToldFeed(clock)


@pytest.fixture
def keeper(tmp_path, clock, feed):
    return PriceKeeper(a_spec(), [feed], tmp_path / "rate.json", clock=clock)


def usd(price, rate=3000):
    return Fraction(price) * 10**18 / rate / 10**12


async def test_keeper__before_the_first_answer__has_no_prices_in_dollars(keeper):
    with pytest.raises(NoRate):
        keeper.prices()
    assert keeper.condition().reason == "NoRate"


async def test_keeper__feed_answers__prices_follow_and_are_handed_on(keeper, feed, clock):
    taken = []
    await keeper.look()
    keeper.subscribe(taken.append)
    feed.usd, clock.time = 3300, clock.time + 60
    await keeper.look()

    assert keeper.prices().video == usd(1, 3300)
    assert [prices.video for prices in taken] == [usd(1, 3300)]
    condition = keeper.condition()
    assert (condition.status, condition.reason, condition.gates_ready) == (Status.TRUE, "Fresh", False)
    assert condition.message == f"1 ETH = 3300.00 USD, 60 s old, of {GATEWAY}"


async def test_keeper__prices_in_wei_only__asks_nobody_and_says_nothing(tmp_path, clock, feed):
    keeper = PriceKeeper(a_spec("1200 wei"), [feed], tmp_path / "rate.json", clock=clock)
    await keeper.look()

    assert (feed.asked, keeper.condition(), keeper.prices().video) == (0, None, 1200)


async def test_keeper__chain_moves_all_the_time__is_looked_at_once_a_minute(keeper, feed, clock):
    moves = 0

    async def chain_moved():
        nonlocal moves
        moves += 1
        if moves > 31:
            raise Transient("enough")
        clock.time += 12

    with pytest.raises(Transient, match="enough"):
        await keeper.run(chain_moved)

    assert feed.asked == 7


async def test_keeper__restarted_while_the_feed_is_away__uses_the_last_good_rate(tmp_path, keeper, clock, feed):
    await keeper.look()
    feed.error = Transient("no JSON-RPC endpoint answers")
    again = PriceKeeper(a_spec(), [feed], tmp_path / "rate.json", clock=clock)
    await again.look()

    assert again.prices() == keeper.prices()
    condition = again.condition()
    assert (condition.status, condition.reason) == (Status.TRUE, "NotRead")
    clock.time += 90_001
    await again.look()
    condition = again.condition()
    assert (condition.status, condition.reason) == (Status.FALSE, "Stale")
    assert condition.message.startswith("the last good rate is used: 1 ETH = 3000.00 USD, 90061 s old")


async def test_keeper__chain_stands_still_for_a_day__the_rate_is_told_to_be_stale(keeper, clock):
    await keeper.look()
    clock.time += 90_000
    condition = keeper.condition()

    assert (condition.status, condition.reason) == (Status.FALSE, "Stale")
    assert condition.message.endswith("no feed was asked since")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"usd": 0}, "NotPositive"),
        ({"usd": -5}, "NotPositive"),
        ({"description": "BTC / USD"}, "OtherPair"),
        ({"description": "nonsense"}, "OtherPair"),
        ({"age": 1_800_000_060}, "NoAnswer"),
        ({"age": 100_000}, "Stale"),
        ({"error": TimeoutError()}, "NotRead"),
    ],
)
async def test_keeper__answer_that_is_none__is_told_and_the_last_good_rate_stays(keeper, feed, change, reason):
    await keeper.look()
    for name, value in change.items():
        setattr(feed, name, value)
    await keeper.look()

    assert keeper.prices().video == usd(1)
    assert keeper.condition().reason == reason
    assert "the last good rate is used" in keeper.condition().message


async def test_keeper__jump__is_a_fault_until_the_second_feed_confirms(tmp_path, clock, feed):
    second = ToldFeed(clock, address=OTHER)
    keeper = PriceKeeper(a_spec(), [feed, second], tmp_path / "rate.json", clock=clock)
    await keeper.look()
    feed.usd, clock.time = 1000, clock.time + 60
    await keeper.look()
    jumped = keeper.condition()
    second.usd, clock.time = 1010, clock.time + 60
    await keeper.look()

    assert (jumped.status, jumped.reason) == (Status.FALSE, "Jumped")
    assert keeper.prices().video == usd(1, 1000)
    assert keeper.condition().status is Status.TRUE


async def test_declare__other_prices__are_handed_on_at_once(keeper):
    taken = []
    await keeper.look()
    keeper.subscribe(taken.append)
    keeper.declare(a_spec("2 USD per 1e12", auto_adjust=False))

    assert [(prices.video, prices.auto_adjust) for prices in taken] == [(usd(2), False)]


async def test_declare__first_dollars__take_effect_when_the_feed_has_answered(tmp_path, clock, feed):
    taken = []
    keeper = PriceKeeper(a_spec("1200 wei"), [feed], tmp_path / "rate.json", clock=clock)
    keeper.subscribe(taken.append)
    keeper.declare(a_spec("2 USD per 1e12"))
    waiting = (list(taken), keeper.condition().reason)
    await keeper.look()

    assert waiting == ([], "NoRate")
    assert [prices.video for prices in taken] == [usd(2)]


def test_declare__dollars_without_any_feed__is_refused_and_nothing_changes(tmp_path, clock):
    keeper = PriceKeeper(a_spec("1200 wei"), [], tmp_path / "rate.json", clock=clock)

    with pytest.raises(BadInput, match="needs a price feed"):
        keeper.declare(a_spec("2 USD"))
    assert keeper.prices().video == 1200


def test_keeper__limits_declared__are_used(tmp_path, clock):
    spec = a_spec(feed=FeedSettings(max_age_s=100, max_step_percent=5))
    path = tmp_path / "rate.json"
    save_rate(path, Rate(Fraction(10**15, 3), clock.time - 101, GATEWAY))
    keeper = PriceKeeper(spec, [], path, clock=clock)

    assert keeper.rate.wei_per_usd == Fraction(10**15, 3)


def test_keeper__kept_rate_from_the_future__is_left(tmp_path, clock):
    path = tmp_path / "rate.json"
    save_rate(path, Rate(Fraction(1), clock.time + 7200, GATEWAY))

    assert PriceKeeper(a_spec(), [], path, clock=clock).rate is None


def test_last_good__written_and_read__is_the_same(tmp_path):
    rate = Rate(Fraction(10**18 * 10**8, 351234567891), 1_800_000_000.0, GATEWAY)
    save_rate(tmp_path / "rate.json", rate)

    assert load_rate(tmp_path / "rate.json") == rate
    assert [path.name for path in tmp_path.iterdir()] == ["rate.json"]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", '{"wei_per_usd": "1/0", "updated_at": 1, "source": ""}',
        '{"wei_per_usd": "-1", "updated_at": 1, "source": ""}', '{"wei_per_usd": null, "updated_at": 1, "source": ""}',
    ],
)  # fmt: skip
def test_last_good__broken_file__is_none(tmp_path, text):
    (tmp_path / "rate.json").write_text(text)

    assert load_rate(tmp_path / "rate.json") is None
