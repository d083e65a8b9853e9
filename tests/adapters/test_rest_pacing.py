"""The pace of one endpoint, and the patience behind it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from credsync.adapters.rest import Patience
from credsync.adapters.rest.pacing import Lane, Shut
from credsync.delivery import INTERRUPTED
from credsync.errors import ConfigurationError
from credsync.updates import Deferred
from credsync.wire import Pause
from tests.adapters.rest_campaign import PassingTime

URL = "https://credentials.example.com/api/v2/grades/"


@pytest.fixture
def time() -> PassingTime:
    """A time that passes when somebody waits."""
    return PassingTime()


def lane_on(time: PassingTime, **options: float) -> Lane:
    """Lay a lane on the given time."""
    return Lane(url=URL, patience=Patience(sleep=time.sleep, stopwatch=time.stopwatch), **options)


def pause_of(seconds: float, reason: str = "throttled") -> Pause:
    """Ask for a pause."""
    return Pause(endpoint="grades", seconds=seconds, otherwise=Deferred(reason=reason))


def test_without_a_rate_nobody_waits(time: PassingTime) -> None:
    """Turns come at once."""
    started = time.now
    lane = lane_on(time)
    assert [lane.enter() for _ in range(100)] == [None] * 100
    assert (time.now, lane.requests) == (started, 100)


def test_turns_keep_their_distance_whoever_takes_them(time: PassingTime) -> None:
    """At 120 a minute, 40 turns of 8 workers take all of 39 halves of a second."""
    started = time.now
    lane = lane_on(time, rate=120)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: lane.enter(), range(40))) == [None] * 40
    assert time.now - started >= 39 * 0.5


def test_time_that_went_unused_is_not_made_up_for(time: PassingTime) -> None:
    """After a lull there is no burst: the service counts a sliding minute."""
    lane = lane_on(time, rate=60)
    lane.enter()
    time.sleep(600)
    resumed = time.now
    assert [lane.enter() for _ in range(3)] == [None] * 3
    assert time.now - resumed == pytest.approx(2)


def test_a_shorter_pause_does_not_cut_a_longer_one(time: PassingTime) -> None:
    """Of two pauses the one that ends later counts."""
    started = time.now
    lane = lane_on(time)
    lane.pause(pause_of(50))
    time.sleep(10)
    lane.pause(pause_of(5))
    assert lane.paused_for == 40
    lane.enter()
    assert time.now - started == 50
    assert lane.paused_for == 0


def test_a_pause_that_comes_while_waiting_is_kept(time: PassingTime) -> None:
    """A worker that waits for its turn also waits for what holds up the lane meanwhile."""
    started = time.now

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if time.now - started == 5:
            lane.pause(pause_of(30))

    lane = Lane(url=URL, patience=Patience(sleep=sleep, stopwatch=time.stopwatch), rate=6)
    assert [lane.enter(), lane.enter()] == [None, None]
    assert time.now - started == 35


def test_a_pause_beyond_the_patience_shuts_the_lane_until_it_is_near(time: PassingTime) -> None:
    """Nobody waits for an hour; the reason and what is left of it are told."""
    lane = lane_on(time)
    lane.pause(pause_of(3600, "the service answered 503"))
    assert lane.enter() == Shut(reason=f"{URL}: the service answered 503", retry_after=3600)
    lane.reopen()
    assert lane.is_shut()
    time.sleep(3301)
    assert lane.enter() is None


def test_the_second_failure_in_a_row_shuts_the_lane(time: PassingTime) -> None:
    """A success between two failures makes them two poisoned updates and not an outage."""
    lane = lane_on(time)
    lane.count_failure("away")
    lane.count_success()
    lane.count_failure("away")
    assert not lane.is_shut()
    lane.count_failure("still away")
    assert lane.enter() == Shut(reason=f"{URL}: still away")
    lane.reopen()
    assert lane.enter() is None
    lane.count_failure("away again")
    assert lane.is_shut()


def test_who_waits_for_a_turn_is_let_go_when_the_lane_is_shut(time: PassingTime) -> None:
    """A pause of a minute ends within a moment for a lane that is shut meanwhile."""
    started = time.now

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        lane.shut("over")

    lane = Lane(url=URL, patience=Patience(sleep=sleep, stopwatch=time.stopwatch))
    lane.pause(pause_of(60))
    assert lane.enter() == Shut(reason="over")
    assert time.now - started < 1


def test_who_waits_for_a_turn_is_let_go_when_the_run_stops(time: PassingTime) -> None:
    """Stopping is asked for before each turn, and while waiting."""
    started = time.now
    patience = Patience(stop=lambda: time.now - started > 3, sleep=time.sleep, stopwatch=time.stopwatch)
    lane = Lane(url=URL, patience=patience)
    assert lane.enter() is None
    lane.pause(pause_of(60))
    assert lane.enter() == Deferred(reason=INTERRUPTED)
    assert time.now - started < 4


@pytest.mark.parametrize("options", [{"tries": 0}, {"seconds": -1}, {"first_wait": -1}, {"longest_wait": -0.5}])
def test_a_patience_without_bounds_is_refused(options: dict[str, float]) -> None:
    """At least one try, and no negative times."""
    with pytest.raises(ConfigurationError):
        Patience(**options)  # type: ignore[arg-type]  # each option is one of its numbers


def test_a_wait_is_as_long_as_it_says(time: PassingTime) -> None:
    """Portions add up to the whole."""
    started = time.now
    Patience(sleep=time.sleep, stopwatch=time.stopwatch).wait(1.1)
    assert time.now - started == pytest.approx(1.1)
