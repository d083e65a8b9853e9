"""The double's log shows what a client did, and proves what it must not do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests

from credsync.testing.service import CredentialsService, Key, LoggedRequest, RequestLog, reset, throttled

RUN = "course-v1:TestX+C1+R1"
ORD: Key = ("grade", "ord", RUN)
GRADES = "/api/v2/grades/"
CREDENTIALS = "/api/v2/credentials/"
MAY = datetime(2024, 5, 1, 10, tzinfo=UTC)


@pytest.fixture
def service() -> Iterator[CredentialsService]:
    """A double of its own."""
    with CredentialsService() as running:
        yield running


def post(service: CredentialsService, path: str, body: object) -> requests.Response:
    """Send JSON as the service user."""
    headers = {"Authorization": f"JWT {service.token_for('credentials_service_user')}"}
    return requests.post(f"{service.url}{path}", json=body, headers=headers, timeout=5)


def a_log(*entries: LoggedRequest) -> RequestLog:
    """Make a log of these entries."""
    log = RequestLog()
    for entry in entries:
        log.add(entry)
    return log


def an_entry(started: float, ended: float, *, key: Key | None = ORD, **fields: object) -> LoggedRequest:
    """Make an entry about one grade, but for the given fields."""
    given = {"method": "POST", "path": GRADES, "status": 201, **fields}
    return LoggedRequest(started=started, ended=ended, key=key, **given)  # type: ignore[arg-type] # fields of all types


@pytest.mark.parametrize(
    ("path", "body", "key", "source_time"),
    [
        (
            GRADES,
            {"username": " ord ", "course_run": RUN, "lms_last_updated_at": "2024-05-01T12:00:00.5+02:00"},
            ORD,
            MAY + timedelta(seconds=0.5),
        ),
        (GRADES, {"username": "ord", "course_run": RUN, "lms_last_updated_at": "never"}, ORD, None),
        (CREDENTIALS, {"username": "ord", "credential": {"course_run_key": RUN}}, ("course-run", "ord", RUN), None),
        (
            CREDENTIALS,
            {"username": "ord", "credential": {"program_uuid": "6883080F5A3C4A8E8A3C0F5C8A1D2B3C"}},
            ("program", "ord", "6883080f-5a3c-4a8e-8a3c-0f5c8a1d2b3c"),
            None,
        ),
        (CREDENTIALS, {"username": "ord", "credential": {"program_uuid": "x"}}, ("program", "ord", "x"), None),
        (CREDENTIALS, {"username": "ord", "credential": "text"}, None, None),
        (GRADES, [], None, None),
        ("/api/v2/course_certificates/", {"username": "ord"}, None, None),
    ],
)
def test_names_what_a_request_writes(
    service: CredentialsService, path: str, body: object, key: Key | None, source_time: datetime | None
) -> None:
    """An entry has the key of the write and the time of its record, as far as they can be read."""
    status = post(service, path, body).status_code
    (entry,) = service.requests

    assert (entry.method, entry.path, entry.key, entry.source_time, entry.status) == (
        "POST",
        path,
        key,
        source_time,
        status,
    )
    assert entry.started <= entry.ended


def test_an_unreadable_body_writes_nothing(service: CredentialsService) -> None:
    """A body that is no JSON has no key."""
    headers = {"Authorization": f"JWT {service.token_for('x')}", "Content-Type": "application/json"}
    requests.post(f"{service.url}{GRADES}", data=b"{", headers=headers, timeout=5)

    assert [entry.key for entry in service.requests] == [None]


def test_tells_stored_from_refused_and_lost(service: CredentialsService) -> None:
    """An entry tells a write from a refusal, and a lost answer from a lost request."""
    grade = {"username": "ord", "course_run": RUN, "percent_grade": "0.5"}
    post(service, GRADES, grade)
    post(service, GRADES, {**grade, "percent_grade": "5.55555"})
    service.faults.add(reset().after_write(), times=1)
    service.faults.add(reset(), times=1)
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            post(service, GRADES, grade)

    seen = [(entry.status, entry.stored_at is not None, entry.fault) for entry in service.requests]
    assert seen == [(201, True, None), (400, False, None), (None, True, "reset after write"), (None, False, "reset")]


@pytest.mark.parametrize("as_date", [False, True])
def test_keeps_the_pause_it_asked_for(as_date: bool) -> None:
    """A Retry-After of either kind is logged in seconds."""
    with CredentialsService(clock=lambda: 1_800_000_000.0) as service:
        service.faults.add(throttled(7, as_date=as_date))
        post(service, GRADES, {})
        (entry,) = service.requests

    assert entry.retry_after == 7


def test_holds_no_token(service: CredentialsService) -> None:
    """Neither the log nor what another process sees of it holds a token or a secret."""
    form = {"grant_type": "client_credentials", "client_id": "credsync", "client_secret": "not-a-secret"}
    token = requests.post(service.token_url, data={**form, "token_type": "jwt"}, timeout=5).json()["access_token"]
    requests.get(f"{service.url}{CREDENTIALS}", headers={"Authorization": f"JWT {token}"}, timeout=5)
    shown = requests.get(f"{service.url}/_double/requests", timeout=5).text

    assert len(service.requests) == 2
    for text in (repr(service.requests.entries()), shown):
        assert token not in text
        assert "not-a-secret" not in text


def test_shows_itself_to_other_processes(service: CredentialsService) -> None:
    """State and log are served as JSON, and looking at them leaves no trace in the log."""
    post(service, GRADES, {"username": "ord", "course_run": RUN, "percent_grade": "0.5"})
    state = requests.get(f"{service.url}/_double/state", timeout=5).json()
    log = requests.get(f"{service.url}/_double/requests", timeout=5).json()

    assert [row["percent_grade"] for row in state["grades"]] == ["0.5000"]
    assert [(entry["key"], entry["status"]) for entry in log] == [(list(ORD), 201)]
    assert len(service.requests) == 1


def test_counts_the_tries_of_each_key() -> None:
    """Tries are counted by key; requests that write nothing count for none."""
    log = a_log(an_entry(0, 1), an_entry(2, 3, status=500), an_entry(4, 5, key=None))

    assert log.tries() == {ORD: 2}


def test_groups_by_key_in_the_order_of_starts() -> None:
    """A key's requests are listed as they came, not as they ended."""
    early, late = an_entry(0, 9), an_entry(1, 2)

    assert a_log(late, early).by_key() == {ORD: [early, late]}


@pytest.mark.parametrize(
    ("second", "overlaps"),
    [
        (an_entry(0.5, 2), True),
        (an_entry(1, 2), False),
        (an_entry(0.5, 2, key=("grade", "other", RUN)), False),
        (an_entry(0.5, 2, is_abandoned=True), False),
    ],
)
def test_finds_two_in_flight_for_one_key(second: LoggedRequest, overlaps: bool) -> None:
    """Two requests for one key overlap if the second came before the first had ended."""
    assert bool(a_log(an_entry(0, 1), second).overlaps()) is overlaps


@pytest.mark.parametrize(
    ("second", "is_stale"),
    [
        (an_entry(2, 3, source_time=MAY - timedelta(microseconds=1), stored_at=3), True),
        (an_entry(2, 3, source_time=MAY, stored_at=3), False),
        (an_entry(2, 3, source_time=MAY - timedelta(days=1)), False),
        (an_entry(2, 3, source_time=MAY - timedelta(days=1), stored_at=0.5), False),
        (an_entry(2, 3, source_time=None, stored_at=3), False),
        (an_entry(2, 3, source_time=MAY - timedelta(days=1), stored_at=3, key=("grade", "other", RUN)), False),
    ],
)
def test_finds_an_older_grade_after_a_newer_one(second: LoggedRequest, is_stale: bool) -> None:
    """A write is stale if it was stored behind one with a newer time for the same key."""
    log = a_log(an_entry(0, 1, source_time=MAY, stored_at=1), second)

    assert log.stale_writes() == ([second] if is_stale else [])


@pytest.mark.parametrize(
    ("second", "is_impatient"),
    [
        (an_entry(1.5, 2), True),
        (an_entry(1.04, 2), False),
        (an_entry(6, 7), False),
        (an_entry(1.5, 2, path=CREDENTIALS), False),
        (an_entry(0.5, 2), False),
    ],
)
def test_finds_pauses_that_were_too_short(second: LoggedRequest, is_impatient: bool) -> None:
    """A request is impatient if it came to the address within the pause, but for a moment of grace at its start."""
    log = a_log(an_entry(0, 1, status=429, retry_after=5.0), second)

    assert log.impatient() == ([second] if is_impatient else [])


def test_a_long_pause_holds_behind_a_short_one() -> None:
    """A later, shorter pause does not end an earlier, longer one."""
    pauses = [an_entry(0, 1, status=429, retry_after=10.0), an_entry(0, 2, status=429, retry_after=1.0)]
    eager = an_entry(5, 6)

    assert a_log(*pauses, eager).impatient() == [eager]


def test_can_be_cleared() -> None:
    """A cleared log starts anew."""
    log = a_log(an_entry(0, 1))
    log.clear()

    assert len(log) == 0
    assert json.dumps([entry.as_json() for entry in log]) == "[]"
