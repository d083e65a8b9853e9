"""The sink works through whatever client a host has, and leaves no socket behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from django.conf import settings  # type: ignore[import-untyped]  # it ships no types
from edx_rest_api_client.client import OAuthAPIClient  # type: ignore[import-untyped]  # nor does this
from requests.adapters import HTTPAdapter
from typing_extensions import override

from credsync.adapters.rest import HttpClient, JwtTokens, RestSink, Timeouts
from credsync.adapters.rest.exchange import Connection, Connections, Request, Silence
from credsync.errors import SinkUnavailableError
from credsync.testing.service import CredentialsService, hanging, redirect, reset, truncated
from credsync.updates import Deferred, Delivered
from tests.adapters.rest_campaign import PassingTime, certificate, grade, revocation, sink_to, tokens_of


@pytest.fixture
def service() -> Iterator[CredentialsService]:
    """A double."""
    with CredentialsService(longest_hang=0.3) as running:
        yield running


pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # OAuthAPIClient's

if not settings.configured:
    settings.configure()  # OAuthAPIClient keeps its tokens in Django's cache


def _shared_session() -> requests.Session:
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=4))
    return session


Through = Callable[[CredentialsService], tuple[dict[str, Any], Callable[[], None]]]


def _nothing() -> None:
    pass


def _sharing(open_client: Callable[[], Any]) -> Through:
    """Make options that share a client, and what closes it."""

    def make(_service: CredentialsService) -> tuple[dict[str, Any], Callable[[], None]]:
        client = open_client()
        return {"client": client}, client.close

    return make


CLIENTS: dict[str, Through] = {
    "a requests.Session for each worker": lambda _: ({}, _nothing),
    "an httpx.Client for each worker": lambda _: ({"open_client": httpx.Client}, _nothing),
    "a shared requests.Session": _sharing(_shared_session),
    "a shared httpx.Client": _sharing(httpx.Client),
    "an OAuthAPIClient for each worker": lambda service: (
        {"tokens": None, "open_client": lambda: OAuthAPIClient(service.url, "credsync", "not-a-secret")},
        _nothing,
    ),
}


@pytest.fixture(params=CLIENTS)
def through(request: pytest.FixtureRequest, service: CredentialsService) -> Iterator[dict[str, Any]]:
    """The options of a sink through each kind of client in turn."""
    options, close = CLIENTS[request.param](service)
    yield options
    close()


def test_delivers_and_reads(service: CredentialsService, through: dict[str, Any]) -> None:
    """Posts arrive, and the read before a revocation works."""
    with sink_to(service, workers=4, **through) as sink:
        outcomes = sink.deliver([*map(grade, range(20)), *map(certificate, range(20)), revocation()])

    assert outcomes == [Delivered()] * 41
    assert (len(service.grades), len(service.credentials)) == (20, 20)


def test_follows_no_redirect(service: CredentialsService, through: dict[str, Any]) -> None:
    """A redirect is an answer like any other, and stops the sink; the client does not go where it points."""
    service.faults.add(redirect("/api/v2/grades/", status=307), times=1)
    with sink_to(service, workers=1, **through) as sink, pytest.raises(SinkUnavailableError, match="redirected"):
        sink.deliver([grade()])

    assert service.grades == {}


@pytest.mark.parametrize("fault", [reset(), truncated(), hanging()], ids=lambda fault: fault.name)
def test_survives_a_broken_answer(service: CredentialsService, through: dict[str, Any], fault: Any) -> None:
    """What comes of a broken connection, or of none, is another try."""
    service.faults.add(fault, times=1)
    with sink_to(service, PassingTime(), workers=1, timeouts=Timeouts(read=0.1), **through) as sink:
        assert sink.deliver([grade()]) == [Delivered()]


def test_each_worker_keeps_its_connection(service: CredentialsService) -> None:
    """Clients are opened once for each worker, used for all batches, and closed with the sink."""
    opened: list[CountedSession] = []

    def open_client() -> requests.Session:
        opened.append(CountedSession())
        return opened[-1]

    with sink_to(service, workers=3, open_client=open_client) as sink:
        for first in range(0, 60, 20):
            sink.deliver([grade(user) for user in range(first, first + 20)])
        still_open = [client.closed for client in opened]

    assert len(opened) <= 3
    assert still_open == [0] * len(opened)
    assert [client.closed for client in opened] == [1] * len(opened)


class CountedSession(requests.Session):
    """Counts how often it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0

    @override
    def close(self) -> None:
        """Close it."""
        self.closed += 1
        super().close()


def test_a_shared_client_stays_its_owners(service: CredentialsService) -> None:
    """The sink does not close what it did not open."""
    with CountedSession() as session:
        with sink_to(service, client=session) as sink:
            sink.deliver([grade()])
        assert session.closed == 0


def test_nothing_of_the_users_netrc_is_sent(
    service: CredentialsService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session puts a netrc's password in place of a token where it can; here it cannot, at the LMS neither."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    seen: list[str] = []

    class Watched(requests.Session):
        @override
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            seen.append(str(request.headers.get("Authorization", "none")).partition(" ")[0])
            return super().send(request, **kwargs)

    tokens = tokens_of(service)
    tokens = JwtTokens(url=tokens.url, credentials=tokens.credentials, open_client=Watched)
    with sink_to(service, tokens=tokens, open_client=Watched, workers=1) as sink:
        assert sink.deliver([grade()]) == [Delivered()]

    assert seen == ["none", "JWT"]


def test_whatever_a_client_raises_is_no_answer() -> None:
    """An error of the client's own is worth another try, and shows by its type: its text may hold the address."""

    class Failing:
        def request(self, method: str, url: str, **_: object) -> None:
            raise LookupError(f"{method} {url}?username=ada")

    connection = Connection.through(Failing(), Timeouts())
    silence = connection.exchange(Request(method="GET", url="http://localhost/", query={"username": "ada"}))
    time = PassingTime()
    with CredentialsService() as service, sink_to(service, time, open_client=Failing, tokens=None) as sink:
        outcomes = sink.deliver([grade()])

    assert silence == Silence("no answer (LookupError)")
    assert outcomes == [Deferred(reason="no answer (LookupError)")]


def test_a_client_without_close_is_let_go() -> None:
    """A client needs nothing but `request`."""

    class Bare:
        def request(self, method: str, url: str, **_: object) -> Any:
            return httpx.Response(204)

    connections = Connections(open_client=Bare)
    with connections.lend() as first:
        assert first.exchange(Request(method="GET", url="http://localhost/")) != Silence("")
    connections.close()
    with connections.lend() as second:
        assert second.client is not first.client


def test_the_clients_fit_the_protocol() -> None:
    """Type checkers take the three for what the sink wants."""
    clients: list[HttpClient] = []
    with requests.Session() as session, httpx.Client() as client, OAuthAPIClient("http://x", "id", "secret") as oauth:
        clients += [session, client, oauth]
        assert [RestSink(base_url="http://x", client=client).client for client in clients] == clients
