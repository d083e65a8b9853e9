"""The sink brings updates to the service: in parallel, each key in its order, each with its outcome."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests

from credsync.adapters.rest import RestSink, SinkStatistics
from credsync.errors import ConfigurationError
from credsync.testing.service import DEFAULT_ACCOUNT, CredentialsService, LoggedRequest, User, throttled
from credsync.updates import Deferred, Delivered, Rejected, Update
from tests.adapters.rest_campaign import (
    PROGRAM,
    RUN,
    TOUCHED,
    PassingTime,
    award,
    certificate,
    grade,
    revocation,
    sink_to,
)

OTHER_PROGRAM = "6883080f-0000-4000-8000-000000000002"


@pytest.fixture
def service() -> Iterator[CredentialsService]:
    """A double at which the first learner has been before."""
    with CredentialsService() as running:
        running.add_user(User(username="learner-1", lms_user_id=1))
        yield running


def test_brings_each_kind_of_update(service: CredentialsService) -> None:
    """Certificates, grades, awards and revocations arrive as what they say."""
    with sink_to(service) as sink:
        first = sink.deliver([certificate(), grade(), award(), certificate(2, status="notpassing")])
        second = sink.deliver([revocation()])

    assert [*first, *second] == [Delivered()] * 5
    statuses = {key: row.status for key, row in service.credentials.items()}
    assert statuses == {
        ("learner-1", RUN): "awarded",
        ("learner-1", PROGRAM): "revoked",
        ("learner-2", RUN): "revoked",
    }
    assert service.grades["learner-1", RUN].letter_grade == "B"


def test_gives_outcomes_in_the_order_of_the_updates() -> None:
    """Whatever the workers finish first, each outcome stands in its update's place."""
    known = [f"course-v1:TestX+C{number}+R1" for number in range(40) if number % 2]
    with CredentialsService(course_runs=known) as service, sink_to(service, workers=8) as sink:
        outcomes = sink.deliver([grade(run=f"course-v1:TestX+C{number}+R1") for number in range(40)])

    assert [isinstance(outcome, Delivered) for outcome in outcomes] == [number % 2 == 1 for number in range(40)]


def test_an_unknown_course_run_is_deferred() -> None:
    """What the service's catalog lacks may be there tomorrow."""
    with CredentialsService(course_runs=[]) as service, sink_to(service) as sink:
        outcomes = sink.deliver([grade(), certificate()])

    reason = "the service's catalog does not have the course run yet"
    assert outcomes == [Deferred(reason=reason)] * 2


def test_what_the_service_cannot_hold_is_rejected_unsent(service: CredentialsService) -> None:
    """A percent out of range is refused before anything is sent, and the others still go."""
    with sink_to(service) as sink:
        outcomes = sink.deliver([grade(percent=1.5), grade(2)])

    assert outcomes == [Rejected(reason="percent_grade: 1.5 is outside 0 to 1"), Delivered()]
    assert set(service.requests.tries()) == {("grade", "learner-2", RUN)}


def test_an_empty_batch_asks_for_nothing(service: CredentialsService) -> None:
    """Without updates there is no request, not even for a token."""
    with sink_to(service) as sink:
        assert sink.deliver([]) == []

    assert len(service.requests) == 0


def test_never_two_in_flight_for_one_key() -> None:
    """Updates with one key go out one after the other in their order, all others side by side."""
    batch: list[Update] = []
    for step in range(4):
        batch += [grade(user, percent=step / 10, at=TOUCHED + timedelta(hours=step)) for user in range(6)]
        batch += [certificate(user, status="downloadable" if step % 2 else "notpassing") for user in range(6)]
    with CredentialsService(latency=0.01) as service:
        with sink_to(service, workers=12) as sink:
            outcomes = sink.deliver(batch)
        log = service.requests
        newest = {key: str(row.percent_grade) for key, row in service.grades.items()}
        statuses = {row.status for row in service.credentials.values()}

    assert outcomes == [Delivered()] * 48
    assert log.overlaps() == []
    assert log.stale_writes() == []
    assert set(newest.values()) == {"0.3000"}
    assert statuses == {"awarded"}
    assert 4 <= _most_at_once(log.entries()) <= 12


def test_an_award_and_its_revocation_keep_their_order(service: CredentialsService) -> None:
    """The two share a key, so the later one has the last word."""
    with sink_to(service, workers=8) as sink:
        assert sink.deliver([award(), revocation(), award(), revocation()]) == [Delivered()] * 4

    assert service.requests.overlaps() == []
    assert service.credentials["learner-1", PROGRAM].status == "revoked"


def test_batches_from_several_threads_go_out_one_after_the_other() -> None:
    """Two batches with the same keys never have two of them in flight."""
    batches = [[grade(user, percent=step / 10) for user in range(8)] for step in range(4)]
    with CredentialsService(latency=0.005) as service, sink_to(service, workers=8) as sink:
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(sink.deliver, batches))
        overlaps = service.requests.overlaps()

    assert outcomes == [[Delivered()] * 8] * 4
    assert overlaps == []


def test_each_organisation_has_its_service() -> None:
    """Course runs go by their organisation, programs by their UUID, everything else to the base URL."""
    with CredentialsService() as base, CredentialsService() as other, CredentialsService() as third:
        services = [base, other, third]
        for service in services:
            service.add_user(User(username="learner-1"))
        sink = RestSink(
            base_url=base.url,
            open_client=lambda: _client_of_many(services),
            org_urls={"OtherX": other.url},
            program_urls={OTHER_PROGRAM: third.url + "/"},
        )
        with sink:
            outcomes = sink.deliver(
                [
                    grade(),
                    award(),
                    grade(run="course-v1:OtherX+C+R"),
                    certificate(run="OtherX/C/R"),
                    award(program=OTHER_PROGRAM),
                    certificate(run="no course key"),
                ]
            )
        written = [sorted(key[::2] for key in service.requests.tries()) for service in services]

    assert outcomes == [Delivered()] * 6
    assert written == [
        [("course-run", "no course key"), ("grade", RUN), ("program", PROGRAM)],
        [("course-run", "OtherX/C/R"), ("grade", "course-v1:OtherX+C+R")],
        [("program", OTHER_PROGRAM)],
    ]


def _client_of_many(services: list[CredentialsService]) -> requests.Session:
    """Make a client that authorizes itself: each double takes no tokens but its own."""
    tokens = {service.url: service.token_for(DEFAULT_ACCOUNT.username) for service in services}

    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = next(
            f"JWT {token}" for url, token in tokens.items() if str(request.url).startswith(url + "/")
        )
        return request

    session = requests.Session()
    session.auth = authorize
    return session


def test_a_program_that_is_not_awarded_is_not_revoked(service: CredentialsService) -> None:
    """Nothing to revoke counts as done, and leaves no revoked row behind; another program's award does not matter."""
    with sink_to(service) as sink:
        sink.deliver([award(program=OTHER_PROGRAM)])
        outcomes = sink.deliver([revocation(), revocation(3)])

    assert outcomes == [Delivered()] * 2
    assert {key: row.status for key, row in service.credentials.items()} == {("learner-1", OTHER_PROGRAM): "awarded"}


def test_a_revoked_program_is_not_revoked_again(service: CredentialsService) -> None:
    """What the service already shows as revoked is left alone."""
    with sink_to(service) as sink:
        sink.deliver([award()])
        sink.deliver([revocation()])
        before = service.requests.tries()
        assert sink.deliver([revocation()]) == [Delivered()]

    assert service.requests.tries() == before


def test_a_learner_unknown_to_the_service_is_deferred_after_three_tries() -> None:
    """The service's 500 for a program's learner whom it never met costs three requests, and says what to do."""
    time = PassingTime()
    with CredentialsService() as service, sink_to(service, time) as sink:
        (outcome,) = sink.deliver([award(9)])
        tries = service.requests.tries()["program", "learner-9", PROGRAM]

    assert isinstance(outcome, Deferred)
    assert "never met the learner" in outcome.reason
    assert tries == 3


def test_statistics_tell_what_goes_on() -> None:
    """Requests, their rate and the pause are there for a progress line."""
    time = PassingTime()
    with (
        CredentialsService(clock=time.stopwatch) as service,
        sink_to(service, time, workers=1, rates={"grades": 60}) as sink,
    ):
        idle = sink.statistics
        sink.deliver([grade(user) for user in range(4)])
        steady = sink.statistics
        service.faults.add(throttled(400), times=1)
        sink.deliver([grade(7), certificate(7)])
        paused = sink.statistics

    assert idle == SinkStatistics()
    assert (steady.requests, steady.pauses, steady.seconds, steady.rate) == (4, 0, 3.0, 80.0)
    assert (paused.requests, paused.pauses, paused.paused_for) == (6, 1, 400.0)


def test_no_thread_outlives_its_batch(service: CredentialsService) -> None:
    """Between two batches nothing runs."""
    with sink_to(service, workers=6) as sink:
        sink.deliver([grade(user) for user in range(12)])
        between = [thread for thread in threading.enumerate() if thread.name.startswith("credsync-rest")]

    assert between == []


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 0},
        {"rates": {"grades": 0}},
        {"base_url": "credentials.example.com"},
        {"base_url": "ftp://credentials.example.com"},
        {"base_url": "https://credentials.example.com/?site=1"},
        {"base_url": "https://credentials.example.com:port"},
        {"org_urls": {"X": "https://reader:s3cret@credentials.example.com"}},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    """A sink that could not work is not made, and no password shows."""
    with pytest.raises(ConfigurationError) as caught:
        RestSink(**{"base_url": "https://credentials.example.com", **options})

    assert "s3cret" not in str(caught.value)


def _most_at_once(entries: list[LoggedRequest]) -> int:
    """Count the most requests that were in flight together."""
    moments = sorted([(entry.started, 1) for entry in entries] + [(entry.ended, -1) for entry in entries])
    level, most = 0, 0
    for _, step in moments:
        level += step
        most = max(most, level)
    return most
