"""The double's addresses, methods, media types and throttle are as the page on the service's API says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from socket import create_connection

import pytest
import requests

from credsync.testing.service import DEFAULT_ACCOUNT, Account, CredentialsService

GRADES = "/api/v2/grades/"
CREDENTIALS = "/api/v2/credentials/"
SERVICE_USER = DEFAULT_ACCOUNT.username
NOT_STAFF = Account(client_id="c", client_secret="s", username=SERVICE_USER, staff=False)
GRADE = {"username": "ord", "course_run": "course-v1:TestX+C1+R1", "percent_grade": "0.5", "verified": True}
CREDENTIAL = {"username": "ord", "credential": {"course_run_key": "course-v1:TestX+C1+R1", "mode": "verified"}}


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that a test moves."""
    return Clock()


@pytest.fixture
def service(clock: Clock) -> Iterator[CredentialsService]:
    """A double with that clock."""
    with CredentialsService(clock=clock) as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[CredentialsService]:
    """A double for tests that leave nothing behind."""
    with CredentialsService() as running:
        yield running


def call(service: CredentialsService, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
    """Send a request with a token of the service user."""
    sent = {"Authorization": f"JWT {service.token_for(SERVICE_USER)}", **headers}
    return requests.request(method, f"{service.url}{path}", json=body, headers=sent, timeout=5, allow_redirects=False)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
def test_methods_that_are_not_allowed(shared: CredentialsService, method: str) -> None:
    """The collection of grades takes POST only, and says so."""
    answer = call(shared, method, GRADES)

    assert (answer.status_code, answer.json()) == (405, {"detail": f'Method "{method}" not allowed.'})
    assert answer.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(("path", "status"), [(GRADES, 405), (CREDENTIALS, 200)])
def test_head_has_no_body(shared: CredentialsService, path: str, status: int) -> None:
    """A HEAD is answered like a GET, and nothing comes behind the headers."""
    lines = [f"HEAD {path} HTTP/1.1", "Connection: close", f"Authorization: JWT {shared.token_for(SERVICE_USER)}"]
    with create_connection(("127.0.0.1", shared.port), timeout=5) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        with connection.makefile("rb") as stream:
            answer = stream.read()

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/api/v2/grades", "/api/v2/grades/"),
        ("/api/v2/credentials?username=a%2Bb", "/api/v2/credentials/?username=a%2Bb"),
        ("/health", "/health/"),
    ],
)
def test_a_missing_slash_is_a_redirect(shared: CredentialsService, path: str, location: str) -> None:
    """An address without its last slash is a 301 with a relative Location, which keeps the query."""
    answer = call(shared, "POST", path, GRADE)

    assert (answer.status_code, answer.headers["Location"]) == (301, location)


def test_following_the_redirect_of_a_post_writes_nothing(service: CredentialsService) -> None:
    """A client that follows the redirect of a POST comes back with a GET, and gets a 405."""
    headers = {"Authorization": f"JWT {service.token_for(SERVICE_USER)}"}
    answer = requests.post(f"{service.url}/api/v2/grades", json=GRADE, headers=headers, timeout=5)

    assert (answer.status_code, service.grades) == (405, {})


@pytest.mark.parametrize("path", ["/", "/api/v1/grades/", "/api/v2/nothing", "/_double/nothing"])
def test_unknown_addresses(shared: CredentialsService, path: str) -> None:
    """An unknown address is an HTML 404."""
    answer = call(shared, "GET", path)

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("accept", "status", "content_type"),
    [
        ("application/json", 201, "application/json"),
        ("*/*", 201, "application/json"),
        ("text/html, */*", 201, "text/html; charset=utf-8"),
        ("text/html", 201, "text/html; charset=utf-8"),
        ("text/*", 201, "text/html; charset=utf-8"),
        ("application/xml", 406, "application/json"),
        ("image/png", 406, "application/json"),
    ],
)
def test_negotiates(shared: CredentialsService, accept: str, status: int, content_type: str) -> None:
    """Who asks for a page gets one, and the row is written; who takes neither gets a 406."""
    answer = call(shared, "POST", GRADES, GRADE, Accept=accept)

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)


def test_options_tell_the_limits(shared: CredentialsService) -> None:
    """OPTIONS on a collection tells the fields of a POST."""
    fields = call(shared, "OPTIONS", GRADES).json()["actions"]["POST"]

    assert (fields["username"]["max_length"], fields["letter_grade"]["max_length"]) == (150, 255)


def test_options_tell_a_post_only_to_those_who_may() -> None:
    """An account without the permission is told which methods there are, and no fields."""
    reader = Account(client_id="c", client_secret="s", username=SERVICE_USER, permissions=frozenset())
    with CredentialsService(accounts=[reader]) as service:
        answer = call(service, "OPTIONS", GRADES)

    assert (answer.status_code, "actions" in answer.json()) == (200, False)


def test_the_root_names_the_collections(shared: CredentialsService) -> None:
    """The API's root names its collections by address."""
    assert call(shared, "GET", "/api/v2/").json()["grades"] == f"{shared.url}{GRADES}"


def test_replacing_usernames_is_not_for_us(shared: CredentialsService) -> None:
    """Not even staff may replace usernames."""
    assert call(shared, "POST", "/api/v2/replace_usernames/", {}).status_code == 403


def test_health_needs_no_token(shared: CredentialsService) -> None:
    """Anyone may ask for the health."""
    assert requests.get(f"{shared.url}/health/", timeout=5).status_code == 200


def test_keeps_a_connection_open(shared: CredentialsService) -> None:
    """Requests share a connection, also after one that was refused, and the Date is the service's."""
    connection = HTTPConnection("127.0.0.1", shared.port, timeout=5)
    headers = {"Authorization": f"JWT {shared.token_for(SERVICE_USER)}", "Content-Type": "application/json"}
    sockets = []
    for body in ({}, GRADE):
        connection.request("POST", GRADES, json.dumps(body), headers)
        connection.getresponse().read()
        sockets.append(connection.sock)
    connection.close()

    assert sockets[0] is not None
    assert sockets[0] is sockets[1]


@pytest.mark.parametrize("framing", [{"Transfer-Encoding": "chunked"}, {"Content-Length": "abc"}])
def test_needs_a_length(shared: CredentialsService, framing: dict[str, str]) -> None:
    """A body without a length is refused, and the connection closed, rather than misread."""
    connection = HTTPConnection("127.0.0.1", shared.port, timeout=5)
    connection.putrequest("POST", GRADES)
    for name, value in framing.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()

    assert (answer.status, answer.getheader("Connection")) == (411, "close")


def test_throttles_grades_at_ninety_a_minute(clock: Clock) -> None:
    """The 91st grade of a minute is a 429 whose Retry-After is exact, and the credentials' budget is another one."""
    with CredentialsService(accounts=[NOT_STAFF], clock=clock) as service:
        first = [call(service, "POST", GRADES, GRADE).status_code]
        clock.now += 1
        first += [call(service, "POST", GRADES, GRADE).status_code for _ in range(89)]
        throttled = call(service, "POST", GRADES, GRADE)
        other_scope = call(service, "POST", CREDENTIALS, CREDENTIAL).status_code
        clock.now += 59
        after = call(service, "POST", GRADES, GRADE).status_code

    assert set(first) == {201}
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "59")
    assert throttled.json() == {"detail": "Request was throttled. Expected available in 59 seconds."}
    assert (other_scope, after) == (201, 201)


def test_throttles_credentials_at_fifteen_a_minute(clock: Clock) -> None:
    """Reads and writes share the credentials' budget; what is refused for its content costs of it, a 429 does not."""
    with CredentialsService(accounts=[NOT_STAFF], clock=clock) as service:
        for _ in range(5):
            call(service, "POST", CREDENTIALS, CREDENTIAL)
            call(service, "GET", CREDENTIALS)
            call(service, "POST", CREDENTIALS, {})
        throttled = [call(service, "GET", CREDENTIALS).status_code for _ in range(3)]
        clock.now += 60
        after = [call(service, "GET", CREDENTIALS).status_code for _ in range(16)]

    assert throttled == [429] * 3
    assert after == [200] * 15 + [429]


def test_a_403_costs_nothing(clock: Clock) -> None:
    """Requests without permission do not count against the budget."""
    account = Account(
        client_id="c",
        client_secret="s",
        username=SERVICE_USER,
        staff=False,
        permissions=frozenset({"view_usercredential"}),
    )
    with CredentialsService(accounts=[account], clock=clock, throttle={"grades": 1, "credentials": 1}) as service:
        statuses = [call(service, "POST", CREDENTIALS, CREDENTIAL).status_code for _ in range(3)]
        statuses.append(call(service, "GET", CREDENTIALS).status_code)

    assert statuses == [403, 403, 403, 200]


@pytest.mark.parametrize(
    ("accounts", "throttle"), [([DEFAULT_ACCOUNT], {"grades": 1, "credentials": 1}), ([NOT_STAFF], None)]
)
def test_is_not_throttled(accounts: list[Account], throttle: dict[str, int] | None) -> None:
    """Staff never is, and nobody is with the throttle off."""
    with CredentialsService(accounts=accounts, throttle=throttle) as service:
        assert {call(service, "POST", GRADES, GRADE).status_code for _ in range(5)} == {201}
