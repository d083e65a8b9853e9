"""With a fifth of all requests going wrong, everything arrives, in order, and within bounds."""

from __future__ import annotations

from datetime import timedelta

from credsync.adapters.rest import Patience, RestSink
from credsync.errors import SinkUnavailableError
from credsync.testing.service import (
    CredentialsService,
    Fault,
    gateway_failure,
    hanging,
    html_error,
    outage,
    reset,
    truncated,
)
from credsync.updates import Deferred, Delivered, Update
from tests.adapters.rest_campaign import TOUCHED, certificate, grade, tokens_of

FAULTS: list[Fault] = [
    outage(),
    html_error(500),
    gateway_failure(502),
    gateway_failure(503),
    gateway_failure(504).after_write(),
    reset(),
    reset().after_write(),
    truncated(),
    hanging(),
]
LEARNERS = 60
GENERATIONS = 3


def generation(number: int) -> list[Update]:
    """Make news of every learner's grade and certificate, the later the newer."""
    at = TOUCHED + timedelta(hours=number)
    status = "downloadable" if number % 2 else "notpassing"
    grades = [grade(user, percent=number / 10, at=at) for user in range(LEARNERS)]
    return [*grades, *(certificate(user, status=status) for user in range(LEARNERS))]


def test_everything_arrives_in_order_through_random_faults() -> None:
    """No two requests for one key overlap, no older grade follows a newer one, no key is asked beyond its bound."""
    batch = [update for number in range(GENERATIONS) for update in generation(number)]
    with CredentialsService(longest_hang=0.05) as service:
        service.faults.add_at_random(FAULTS, share=0.2, seed=4, in_a_row=2)
        sink = RestSink(
            base_url=service.url,
            tokens=tokens_of(service),
            workers=16,
            patience=Patience(first_wait=0.001, longest_wait=0.005),
        )
        with sink:
            outcomes = sink.deliver(batch)
        log = service.requests
        percents = {str(row.percent_grade) for row in service.grades.values()}
        statuses = {row.status for row in service.credentials.values()}

    assert set(outcomes) == {Delivered()}
    assert log.overlaps() == []
    assert log.stale_writes() == []
    assert max(log.tries().values()) <= GENERATIONS * 3
    assert sum(entry.fault is not None for entry in log) > 40
    assert (percents, statuses) == ({"0.2000"}, {"revoked"})


def test_what_was_deferred_arrives_later() -> None:
    """Where faults outlast the patience nothing is lost: what is not known to have arrived goes again."""
    waiting = generation(1)
    with CredentialsService() as service:
        service.faults.add_at_random([reset(), gateway_failure(503)], share=0.6, seed=5)
        patience = Patience(tries=2, first_wait=0.001, longest_wait=0.002)
        sink = RestSink(base_url=service.url, tokens=tokens_of(service), workers=8, patience=patience)
        rounds = 0
        with sink:
            while waiting and rounds < 40:
                rounds += 1
                outcomes = list(zip(waiting, deliver(sink, waiting), strict=True))
                arrived = {update.key for update, outcome in outcomes if outcome == Delivered()}
                waiting = [update for update, outcome in outcomes if isinstance(outcome, Deferred)]
                known = {("grade", name, run) for name, run in service.grades} | {
                    ("certificate", name, run) for name, run in service.credentials
                }
                assert {(key.kind, f"learner-{key.user_id}", key.target) for key in arrived} <= known

    assert waiting == []
    assert rounds > 1
    assert service.requests.overlaps() == []


def deliver(sink: RestSink, updates: list[Update]) -> list[object]:
    """Deliver a batch; an unavailable sink defers it all."""
    try:
        return list(sink.deliver(updates))
    except SinkUnavailableError:
        return [Deferred(reason="unavailable")] * len(updates)
