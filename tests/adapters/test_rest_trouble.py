"""The sink's way with trouble: what it tries again, how long it waits, what it gives up, and what stops it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count, pairwise

import pytest
from requests import Session

from credsync.adapters.rest import Patience, RestSink, Timeouts
from credsync.delivery import INTERRUPTED, SINK_UNAVAILABLE
from credsync.errors import SinkUnavailableError
from credsync.testing.service import (
    DEFAULT_ACCOUNT,
    CredentialsService,
    Fault,
    gateway_failure,
    hanging,
    html_error,
    outage,
    redirect,
    reset,
    throttled,
    tokens_revoked,
    truncated,
)
from credsync.updates import Deferred, Delivered, Rejected
from tests.adapters.rest_campaign import RUN, PassingTime, certificate, grade, sink_to, tokens_of

GRADES = "/api/v2/grades/"


@pytest.fixture
def time() -> PassingTime:
    """A time that passes when somebody waits."""
    return PassingTime()


@pytest.fixture
def service(time: PassingTime) -> Iterator[CredentialsService]:
    """A double on that time."""
    with CredentialsService(clock=time.stopwatch, stopwatch=time.stopwatch, throttle=None, longest_hang=0.3) as running:
        yield running


def posts(service: CredentialsService) -> list[int | None]:
    """List the statuses of the posts to the API, in their order."""
    return [entry.status for entry in service.requests if entry.path.startswith("/api/")]


def test_tries_that_an_outage_took_are_not_the_updates(time: PassingTime, service: CredentialsService) -> None:
    """Two answers of a database that restarts, and then a failure: the failure has its three tries all the same."""
    service.faults.add(outage(), times=2, path=GRADES)
    service.faults.add(html_error(500), times=2, path=GRADES)
    with sink_to(service, time) as sink:
        assert sink.deliver([grade()]) == [Delivered()]
    assert posts(service) == [401, 401, 500, 500, 201]


@pytest.mark.parametrize(
    "fault",
    [
        html_error(500),
        gateway_failure(502),
        gateway_failure(503),
        gateway_failure(504),
        gateway_failure(504).after_write(),
        outage(),
        reset(),
        reset().after_write(),
        truncated(),
        tokens_revoked(),
        throttled(7),
        throttled(7, as_date=True),
    ],
    ids=lambda fault: fault.name,
)
def test_passing_trouble_costs_another_try(time: PassingTime, service: CredentialsService, fault: Fault) -> None:
    """Whatever a second try cures ends as delivered, after two requests."""
    with sink_to(service, time) as sink:
        service.faults.add(fault, times=1)
        outcomes = sink.deliver([grade()])

    assert outcomes == [Delivered()]
    assert len(posts(service)) == 2
    assert set(service.grades) == {("learner-1", RUN)}


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_the_timeout(
    time: PassingTime, service: CredentialsService
) -> None:
    """A hanging service costs the read timeout, and another try."""
    service.faults.add(hanging(), times=1)
    with sink_to(service, time, timeouts=Timeouts(read=0.1)) as sink:
        assert sink.deliver([grade()]) == [Delivered()]


def test_a_500_is_tried_three_times_and_then_a_dead_letter(time: PassingTime, service: CredentialsService) -> None:
    """A fault in the record's own data costs three requests, holds nothing else up, and ends as rejected."""
    service.faults.add(html_error(), key=("grade", "learner-1", RUN))
    with sink_to(service, time) as sink:
        outcomes = sink.deliver([grade(1), grade(2)])

    assert outcomes == [Rejected(reason="the service failed: Internal Server Error (500)", status=500), Delivered()]
    assert service.requests.tries() == {("grade", "learner-1", RUN): 3, ("grade", "learner-2", RUN): 1}


def test_tries_are_as_far_apart_as_the_backoff_says(time: PassingTime, service: CredentialsService) -> None:
    """Each wait is about twice the one before, up to the longest, with jitter on top."""
    service.faults.add(gateway_failure(503))
    patience = Patience(tries=5, first_wait=1, longest_wait=4, sleep=time.sleep, stopwatch=time.stopwatch)
    with sink_to(service, time, patience=patience) as sink:
        sink.deliver([grade()])

    sent = [entry.started for entry in service.requests if entry.path == GRADES]
    waits = [later - earlier for earlier, later in pairwise(sent)]
    assert [int(wait) for wait in waits] == [1, 2, 4, 4]
    assert len(set(waits)) == 4


def test_an_outage_ends_the_batch_and_raises(time: PassingTime, service: CredentialsService) -> None:
    """Two updates in a row whose tries are used up prove an outage: the others are not tried."""
    service.is_database_down = True
    with sink_to(service, time, workers=1) as sink:
        with pytest.raises(SinkUnavailableError, match="grades/: the service's database is away"):
            sink.deliver([grade(user) for user in range(50)])
        tries = service.requests.tries()
        service.is_database_down = False
        recovered = sink.deliver([grade(1)])

    assert list(tries.values()) == [6, 6]
    assert recovered == [Delivered()]


def test_what_arrived_before_an_outage_is_reported(time: PassingTime, service: CredentialsService) -> None:
    """Where some of a batch arrived, the rest is deferred; those that were tried say why."""
    for user in range(3, 6):
        service.faults.add(gateway_failure(502), key=("grade", f"learner-{user}", RUN))
    with sink_to(service, time, workers=1) as sink:
        outcomes = sink.deliver([grade(user) for user in range(1, 6)])

    tried = Deferred(reason="the service answered 502: Bad Gateway (502)")
    assert outcomes == [Delivered(), Delivered(), tried, tried, Deferred(reason=SINK_UNAVAILABLE)]


def test_one_poisoned_update_stops_nothing(time: PassingTime, service: CredentialsService) -> None:
    """An update that the service drops each time is deferred alone, be it alone in its batch or the first of it."""
    service.faults.add(reset(), key=("grade", "learner-1", RUN))
    with sink_to(service, time, workers=1) as sink:
        alone = sink.deliver([grade(1)])
        others = sink.deliver([grade(2)])
        first = sink.deliver([grade(1), grade(2), grade(3)])

    deferred = Deferred(reason="no answer (ConnectionError)")
    assert (alone, others, first) == ([deferred], [Delivered()], [deferred, Delivered(), Delivered()])


def test_tries_end_when_the_time_is_up(time: PassingTime, service: CredentialsService) -> None:
    """However many tries are left, an update is not tried for longer than the patience."""
    service.faults.add(gateway_failure(503))
    patience = Patience(tries=1000, seconds=20, longest_wait=4, sleep=time.sleep, stopwatch=time.stopwatch)
    started = time.now
    with sink_to(service, time, patience=patience, workers=1) as sink:
        sink.deliver([grade()])

    assert 20 <= time.now - started < 26
    assert len(posts(service)) < 12


@pytest.mark.parametrize("as_date", [False, True])
def test_a_throttled_endpoint_pauses_for_all_workers(
    time: PassingTime, service: CredentialsService, as_date: bool
) -> None:
    """One Retry-After, in seconds or as a date, holds up every worker for as long as it says."""
    time.now += 0.4
    with sink_to(service, time, workers=8) as sink:
        service.faults.add(throttled(45, as_date=as_date), times=1, path=GRADES)
        outcomes = sink.deliver([grade(user) for user in range(40)])

    assert set(outcomes) == {Delivered()}
    throttle = next(entry for entry in service.requests if entry.status == 429)
    assert throttle.retry_after is not None
    resumed = throttle.ended + throttle.retry_after
    later = [entry for entry in service.requests if entry.started > throttle.ended]
    assert len(later) >= 32
    assert [entry for entry in later if entry.started < resumed] == []


@pytest.fixture
def throttling(time: PassingTime) -> Iterator[CredentialsService]:
    """A double whose account is not staff: 90 grades and 15 credentials a minute."""
    account = replace(DEFAULT_ACCOUNT, staff=False)
    with CredentialsService(accounts=[account], clock=time.stopwatch, stopwatch=time.stopwatch) as running:
        yield running


def test_a_throttle_that_comes_again_and_again_is_obeyed_each_time(
    time: PassingTime, throttling: CredentialsService
) -> None:
    """Without a rate of its own the sink keeps to the throttle by the service's word alone."""
    with sink_to(throttling, time, workers=4) as sink:
        outcomes = sink.deliver([grade(user) for user in range(200)])

    assert set(outcomes) == {Delivered()}
    assert throttling.requests.impatient(grace=1) == []
    assert 2 <= posts(throttling).count(429) <= 2 * 4


def test_a_configured_rate_keeps_below_the_throttle(time: PassingTime, throttling: CredentialsService) -> None:
    """At a rate just below the service's own, nothing is ever refused, and little time is lost."""
    started = time.now
    with sink_to(throttling, time, workers=1, rates={"grades": 88, "credentials": 14}) as sink:
        sink.deliver([*map(grade, range(177)), *map(certificate, range(29))])

    assert set(posts(throttling)) == {201}
    assert time.now - started == pytest.approx(120 + 120)


def test_a_pause_beyond_the_patience_is_not_waited_for(time: PassingTime, service: CredentialsService) -> None:
    """A Retry-After of an hour ends the batch, and says when to come back; until then nothing is sent."""
    service.faults.add(throttled(3600), times=1)
    with sink_to(service, time, workers=1) as sink:
        with pytest.raises(SinkUnavailableError) as caught:
            sink.deliver([grade(1), grade(2)])
        with pytest.raises(SinkUnavailableError):
            sink.deliver([grade(3)])
        elsewhere = sink.deliver([certificate(1), grade(4)])
        sent = len(posts(service))
        time.sleep(3600)
        recovered = sink.deliver([grade(1)])

    assert caught.value.retry_after == 3600
    assert elsewhere == [Delivered(), Deferred(reason=SINK_UNAVAILABLE, retry_after=3600)]
    assert sent == 2
    assert recovered == [Delivered()]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (redirect("/api/v2/grades/", status=301), "redirected, so the base URL has the wrong scheme, host or path"),
        (redirect("https://login.example.com/"), "redirected, so the base URL has the wrong scheme, host or path"),
        (html_error(403), "the account lacks the permission"),
        (html_error(404), "no such address, so the base URL is wrong"),
        (html_error(405), "no such address"),
        (html_error(406), "the request's Accept header"),
        (html_error(415), "the request's Content-Type header"),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_a_refusal_of_everything_stops_the_sink(
    time: PassingTime, service: CredentialsService, fault: Fault, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What every update would meet is met once: no more requests, and every batch raises with the reason."""
    service.faults.add(fault)
    with sink_to(service, time, workers=1) as sink:
        for user in range(2):
            with pytest.raises(SinkUnavailableError, match=reason):
                sink.deliver([grade(user), certificate(user), grade(user + 7)])

    assert len(posts(service)) == 1
    assert [record.levelno for record in caplog.records if reason in record.getMessage()] == [logging.ERROR]


def test_a_stop_is_told_once(time: PassingTime, service: CredentialsService, caplog: pytest.LogCaptureFixture) -> None:
    """However many workers meet it at the same time."""
    service.faults.add(html_error(403))
    another = threading.Barrier(2)

    def wait_for_another(_record: logging.LogRecord) -> bool:
        with suppress(threading.BrokenBarrierError):
            another.wait(0.5)
        return True

    logger = logging.getLogger("credsync.adapters.rest.sink")  # a filter hears what its own logger is told
    logger.addFilter(wait_for_another)
    try:
        with sink_to(service, time, workers=16) as sink, pytest.raises(SinkUnavailableError):
            sink.deliver([grade(user) for user in range(64)])
    finally:
        logger.removeFilter(wait_for_another)

    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1


def test_what_arrived_before_the_stop_is_reported(time: PassingTime, service: CredentialsService) -> None:
    """A permission that is withdrawn in mid-batch defers the rest, and the next batch raises."""
    service.faults.add(html_error(403), key=("grade", "learner-3", RUN))
    with sink_to(service, time, workers=1) as sink:
        outcomes = sink.deliver([grade(user) for user in range(1, 6)])
        with pytest.raises(SinkUnavailableError, match="status 403"):
            sink.deliver([grade(7)])

    told = Deferred(reason="the account lacks the permission: Forbidden (403)")
    untried = Deferred(reason=SINK_UNAVAILABLE)
    assert outcomes == [Delivered(), Delivered(), told, untried, untried]


def test_a_stop_makes_no_dead_letter_of_what_still_had_tries(time: PassingTime, service: CredentialsService) -> None:
    """A 500 whose further tries the end of the sink cuts short is deferred, and not rejected."""
    service.faults.add(html_error(500), key=("grade", "learner-1", RUN))
    service.faults.add(html_error(403), key=("grade", "learner-2", RUN))
    time_stands_still = Patience(sleep=lambda _: None, stopwatch=time.stopwatch)
    with sink_to(service, time, workers=2, patience=time_stands_still) as sink:
        with pytest.raises(SinkUnavailableError, match="403"):
            sink.deliver([grade(1), grade(2)])
        service.faults.clear()

    assert service.requests.tries()["grade", "learner-1", RUN] == 1


def test_a_refused_account_stops_the_sink(time: PassingTime) -> None:
    """An account without the permission gets a 403 for the first update, and sends no second."""
    account = replace(DEFAULT_ACCOUNT, permissions=frozenset())
    with CredentialsService(accounts=[account]) as service, sink_to(service, time, workers=1) as sink:
        with pytest.raises(SinkUnavailableError, match="the account lacks the permission"):
            sink.deliver([grade(1), grade(2)])
        assert posts(service) == [403]


def test_a_redirect_is_not_followed_to_another_host(time: PassingTime, service: CredentialsService) -> None:
    """Neither the update nor its token reaches the host that a redirect names."""
    with CredentialsService() as stranger, sink_to(service, time) as sink:
        service.faults.add(redirect(f"{stranger.url}/api/v2/grades/", status=307))
        with pytest.raises(SinkUnavailableError):
            sink.deliver([grade()])
        assert len(stranger.requests) == 0


def test_stopping_defers_the_rest_at_once(service: CredentialsService, time: PassingTime) -> None:
    """Once the run is to stop, nothing more is sent; what arrived is delivered, the rest interrupted."""
    asked = count()
    sink = stoppable(service, time, lambda: next(asked) > 20)
    with sink:
        outcomes = sink.deliver([grade(user) for user in range(100)])

    delivered = outcomes.count(Delivered())
    assert 0 < delivered < 20
    assert outcomes == [Delivered()] * delivered + [Deferred(reason=INTERRUPTED)] * (100 - delivered)
    assert len(posts(service)) == delivered


@pytest.mark.parametrize("fault", [throttled(200), gateway_failure(503)], ids=lambda fault: fault.name)
def test_stopping_ends_a_wait(service: CredentialsService, time: PassingTime, fault: Fault) -> None:
    """A run that is stopped while the sink waits, for a pause or for the next try, ends within a moment."""
    service.faults.add(fault)
    started = time.now
    with stoppable(service, time, lambda: time.now > started + 0.4) as sink:
        assert sink.deliver([grade(1), grade(2)]) == [Deferred(reason=INTERRUPTED)] * 2

    assert time.now - started < 1


def test_trouble_that_comes_with_the_stop_is_not_held_against_the_service(
    service: CredentialsService, time: PassingTime
) -> None:
    """An answer that asks for another try, when there is to be none, leaves an interrupted update and no outage."""
    service.faults.add(gateway_failure(503))
    with stoppable(service, time, lambda: bool(posts(service))) as sink:
        assert sink.deliver([grade(1), grade(2)]) == [Deferred(reason=INTERRUPTED)] * 2


def stoppable(service: CredentialsService, time: PassingTime, stop: Callable[[], bool]) -> RestSink:
    """Open a sink of one worker that asks whether to stop."""
    patience = Patience(stop=stop, sleep=time.sleep, stopwatch=time.stopwatch)
    return sink_to(service, time, workers=1, patience=patience, tokens=tokens_of(service))


def test_an_interrupt_ends_the_workers_before_it_leaves(service: CredentialsService) -> None:
    """A Ctrl-C that reaches the batch leaves no thread behind, and is not swallowed."""
    clients = iter([Interrupted()])
    with sink_to(service, open_client=lambda: next(clients, None) or Session(), workers=2) as sink:
        with pytest.raises(KeyboardInterrupt):
            sink.deliver([grade(user) for user in range(2000)])
        assert sink.statistics.requests < 1000
        assert [thread for thread in threading.enumerate() if thread.name.startswith("credsync-rest")] == []


class Interrupted:
    """A client in whose request the interrupt arrives."""

    def request(self, *_: object, **__: object) -> object:
        """Be interrupted."""
        raise KeyboardInterrupt
