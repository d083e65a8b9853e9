"""The double goes wrong exactly as it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from socket import create_connection
from typing import Any

import pytest

from credsync.testing.service import (
    CredentialsService,
    Fault,
    FaultPlan,
    gateway_failure,
    hanging,
    html_error,
    outage,
    redirect,
    reset,
    slow,
    throttled,
    tokens_revoked,
    truncated,
)

RUN = "course-v1:TestX+C1+R1"
SERVICE_USER = "credentials_service_user"
GRADES = "/api/v2/grades/"
ORD = ("grade", "ord", RUN)


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.5

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def service() -> Iterator[CredentialsService]:
    """A double on which nothing hangs for long."""
    with CredentialsService(clock=Clock(), longest_hang=0.05) as running:
        yield running


class Client:
    """One connection at a time, so that a test sees what becomes of it."""

    def __init__(self, service: CredentialsService, timeout: float = 5) -> None:
        self._headers = {
            "Authorization": f"JWT {service.token_for(SERVICE_USER)}",
            "Content-Type": "application/json",
        }
        self._port = service.port
        self._timeout = timeout

    def post(self, username: str = "ord", percent: str = "0.5") -> tuple[int, dict[str, str], bytes]:
        """Send a grade."""
        body = {"username": username, "course_run": RUN, "percent_grade": percent, "verified": True}
        return self.call("POST", GRADES, json.dumps(body))

    def call(self, method: str, path: str, body: str | None = None) -> tuple[int, dict[str, str], bytes]:
        """Send a request on a connection of its own, and read the whole answer."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            connection.request(method, path, body, self._headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@pytest.mark.parametrize(
    ("fault", "status", "header", "text"),
    [
        (
            outage(),
            401,
            ("WWW-Authenticate", 'JWT realm="api"'),
            f'{{"detail":"[edx-drf-extensions] User retrieval failed for username {SERVICE_USER}."}}',
        ),
        (
            throttled(7),
            429,
            ("Retry-After", "7"),
            '{"detail":"Request was throttled. Expected available in 7 seconds."}',
        ),
        (throttled(7, as_date=True), 429, ("Retry-After", "Fri, 15 Jan 2027 08:00:08 GMT"), "available in 7 seconds"),
        (html_error(), 500, ("Content-Type", "text/html; charset=utf-8"), "Internal Server Error"),
        (gateway_failure(502), 502, ("Content-Type", "text/html; charset=utf-8"), "Bad Gateway"),
        (gateway_failure(503), 503, ("Content-Type", "text/html; charset=utf-8"), "Service Unavailable"),
        (gateway_failure(504), 504, ("Content-Type", "text/html; charset=utf-8"), "Gateway Timeout"),
        (redirect("http://elsewhere.example/"), 302, ("Location", "http://elsewhere.example/"), ""),
        (redirect("/login/", status=301), 301, ("Location", "/login/"), ""),
        (tokens_revoked(), 401, ("WWW-Authenticate", 'JWT realm="api"'), '{"detail":"Invalid token."}'),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_answers_wrongly_before_the_write(
    service: CredentialsService, fault: Fault, status: int, header: tuple[str, str], text: str
) -> None:
    """A fault answers in the service's place, and nothing is stored."""
    service.faults.add(fault)
    answered, headers, body = Client(service).post()

    assert (answered, headers[header[0]]) == (status, header[1])
    assert text in body.decode()
    assert service.grades == {}


@pytest.mark.parametrize("fault", [gateway_failure(504), html_error(), outage()], ids=lambda fault: fault.name)
def test_answers_wrongly_after_the_write(service: CredentialsService, fault: Fault) -> None:
    """A fault after the write loses the answer, not the grade."""
    service.faults.add(fault.after_write())
    status, _, _ = Client(service).post()

    assert status >= 400
    assert ("ord", RUN) in service.grades


@pytest.mark.parametrize(
    ("fault", "error", "is_stored"),
    [
        (reset(), ConnectionResetError, False),
        (reset().after_write(), ConnectionResetError, True),
        (truncated(), IncompleteRead, True),
        (hanging(), ConnectionResetError, False),
        (hanging().after_write(), ConnectionResetError, True),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_breaks_the_connection(service: CredentialsService, fault: Fault, error: Any, is_stored: bool) -> None:
    """Resets, truncated answers and hanging ones break the connection; whether the grade is stored is the fault's."""
    service.faults.add(fault)

    with pytest.raises(error) as raised:
        Client(service).post()
    assert raised.type is error  # an orderly end would be a subclass of a reset
    assert (("ord", RUN) in service.grades) is is_stored


def test_a_hanging_answer_outlasts_an_impatient_client() -> None:
    """A client that gives up on a hanging answer is logged as having left, and has stored nothing."""
    with CredentialsService() as service:
        service.faults.add(hanging(), times=1)
        with pytest.raises(TimeoutError):
            Client(service, timeout=0.05).post()
    (entry,) = service.requests

    assert (entry.fault, entry.status, entry.is_abandoned, entry.stored_at) == ("hanging", None, True, None)


def test_a_client_that_leaves_a_slow_answer_has_written_nothing() -> None:
    """What a client gave up while it was waiting does not come about later, behind its back."""
    with CredentialsService() as service:
        service.faults.add(slow(20), times=1)
        with pytest.raises(TimeoutError):
            Client(service, timeout=0.05).post()
    (entry,) = service.requests

    assert (entry.is_abandoned, service.grades) == (True, {})


def test_a_slow_answer_is_a_right_one(service: CredentialsService) -> None:
    """A slow answer takes its time and is then the service's own."""
    service.faults.add(slow(0.05))
    status, _, _ = Client(service).post()
    (entry,) = service.requests

    assert (status, entry.fault) == (201, "slow")
    assert entry.ended - entry.started >= 0.05


def test_a_request_that_comes_early_waits_for_its_turn() -> None:
    """A client may send its next request before it has the answer to the last; it gets both, in order."""
    body = b"x" * 20_000
    first = b"GET /health/ HTTP/1.1\r\n\r\n"
    second = b"POST /nothing HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with CredentialsService(latency=0.02) as service, create_connection(("127.0.0.1", service.port), 5) as connection:
        connection.sendall(first + second)
        with connection.makefile("rb") as stream:
            answers = stream.read()

    assert [entry.status for entry in service.requests] == [200, 404]
    assert answers.count(b"HTTP/1.1 ") == 2


def test_stopping_does_not_wait_for_a_client_that_sent_more() -> None:
    """A hanging answer ends with the double also if the client's next request is there already."""
    started = time.monotonic()
    with CredentialsService() as service, create_connection(("127.0.0.1", service.port), 5) as connection:
        service.faults.add(hanging())
        connection.sendall(f"GET {GRADES} HTTP/1.1\r\n\r\n".encode() + b"x" * 20_000)
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)

    assert time.monotonic() - started < 5


def test_latency_is_for_every_answer() -> None:
    """With a latency every answer takes at least as long."""
    with CredentialsService(latency=0.03) as service:
        Client(service).post()
    (entry,) = service.requests

    assert entry.ended - entry.started >= 0.03


def test_stopping_ends_what_hangs_and_leaves_no_thread() -> None:
    """Leaving the context ends idle and hanging connections, and every thread."""
    before = threading.active_count()
    with CredentialsService() as service:
        idle = HTTPConnection("127.0.0.1", service.port, timeout=5)
        idle.request("GET", "/health/")
        idle.getresponse().read()
        hung = HTTPConnection("127.0.0.1", service.port, timeout=5)
        service.faults.add(hanging())
        hung.request("GET", GRADES)
        during = threading.active_count()
    idle.close()
    hung.close()

    assert during > before
    assert threading.active_count() == before


def test_a_service_can_be_started_again() -> None:
    """A service that was stopped keeps what it stored for the next start."""
    service = CredentialsService()
    with service:
        Client(service).post()
    with service:
        assert Client(service).post("other")[0] == 201

    assert len(service.grades) == 2


def test_is_not_running_before_it_is_entered() -> None:
    """Asking for the address of a service that does not run is an error that says what to do."""
    with pytest.raises(RuntimeError, match="enter its context"):
        assert CredentialsService().url


def test_a_fault_happens_so_many_times(service: CredentialsService) -> None:
    """A fault with a number of times happens so often, then never again."""
    service.faults.add(html_error(), times=2)

    assert [Client(service).post()[0] for _ in range(4)] == [500, 500, 201, 201]


def test_a_fault_is_for_chosen_keys(service: CredentialsService) -> None:
    """A fault for one key spares the others, for ever."""
    service.faults.add(html_error(), key=ORD)

    assert [Client(service).post(name)[0] for name in ("ord", "other", "ord")] == [500, 201, 500]


def test_faults_can_be_cleared(service: CredentialsService) -> None:
    """After clearing the plan everything goes right."""
    service.faults.add(html_error())
    service.faults.clear()

    assert Client(service).post()[0] == 201


@pytest.mark.parametrize(
    ("where", "hit"),
    [
        ({}, [GRADES, "/api/v2/credentials/"]),
        ({"path": "/health/"}, ["/health/"]),
        ({"path": "/oauth2/"}, ["/oauth2/access_token"]),
        ({"path": "/api/v2/credentials/", "method": "GET"}, []),
    ],
)
def test_a_fault_is_for_chosen_addresses(where: dict[str, str], hit: list[str]) -> None:
    """A rule is for the APIs' addresses, unless it names another path or a method."""
    plan = FaultPlan()
    plan.add(html_error(), **where)  # type: ignore[arg-type] # mypy takes the values for all parameters at once
    paths = [GRADES, "/api/v2/credentials/", "/health/", "/oauth2/access_token"]

    assert [path for path in paths if plan.fault_for("POST", path, None)] == hit


def test_the_first_rule_decides(service: CredentialsService) -> None:
    """Of two rules for one request the one that was added first decides."""
    service.faults.add(html_error(), times=1)
    service.faults.add(gateway_failure(503))

    assert [Client(service).post()[0] for _ in range(2)] == [500, 503]


def faulted(plan: FaultPlan, numbers: range) -> list[str | None]:
    """Try a key for each number once, and name what goes wrong."""
    faults = {number: plan.fault_for("POST", GRADES, ("grade", str(number), RUN)) for number in numbers}
    return [fault.name if (fault := faults[number]) else None for number in sorted(numbers)]


def test_chance_takes_its_share_of_every_kind() -> None:
    """A share of the requests goes wrong, each kind about equally often."""
    plan = FaultPlan()
    plan.add_at_random([html_error(), reset()], share=0.2, seed=1)
    names = faulted(plan, range(4000))

    assert 700 < len(names) - names.count(None) < 900
    assert 300 < names.count("reset") < 500


def test_chance_does_not_depend_on_the_order() -> None:
    """The same keys go wrong in the same way in whatever order they come, and others with another seed."""
    plans = []
    for seed in (1, 1, 2):
        plan = FaultPlan()
        plan.add_at_random([html_error(), reset()], share=0.2, seed=seed)
        plans.append(plan)
    forwards = faulted(plans[0], range(200))
    backwards = faulted(plans[1], range(199, -1, -1))

    assert forwards == backwards
    assert forwards != faulted(plans[2], range(200))


def test_chance_can_be_kept_from_a_row_of_faults() -> None:
    """With a bound the tries of one key go wrong so often in a row at most."""
    plan = FaultPlan()
    plan.add_at_random([html_error()], share=1, seed=1, in_a_row=2)
    went_wrong = [plan.fault_for("POST", GRADES, ORD) is not None for _ in range(6)]

    assert went_wrong == [True, True, False, True, True, False]


def test_a_bug_of_the_double_is_not_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    """An error in the double itself breaks the connection and shows on stderr, lest a test takes it for a 500."""

    def broken(_key: str) -> bool:
        raise LookupError("a bug in the test's own predicate")

    with CredentialsService(course_runs=broken) as service, pytest.raises((RemoteDisconnected, ConnectionResetError)):
        Client(service).post()

    assert "a bug in the test's own predicate" in capfd.readouterr().err


def test_a_client_that_goes_away_makes_no_noise(service: CredentialsService, capfd: pytest.CaptureFixture[str]) -> None:
    """A client that leaves in the middle of its own request is no error of the double."""
    connection = HTTPConnection("127.0.0.1", service.port, timeout=5)
    connection.putrequest("POST", GRADES)
    connection.putheader("Content-Length", "100")
    connection.endheaders(b"half")
    connection.close()
    service.__exit__(None, None, None)

    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("make", [outage, html_error, hanging, reset, truncated, tokens_revoked])
def test_a_fault_has_a_name(make: Callable[[], Fault]) -> None:
    """Each fault has a name for the log, and another one after the write."""
    assert make().name
    assert make().after_write().name != make().name
