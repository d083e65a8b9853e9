"""One request, one answer, through whatever client the host has: requests', httpx's, or another of their kind."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any, Protocol

import requests
from attrs import define, field, frozen
from typing_extensions import override

from credsync.errors import isolated

__all__ = [
    "Answer",
    "Authorize",
    "Connection",
    "Connections",
    "HttpClient",
    "Query",
    "Request",
    "Silence",
    "Timeouts",
    "mask_usernames_in_logs",
]

Authorize = Callable[[Any], Any]
"""Takes a client's request before it goes out, puts its token in, and returns it; requests and httpx both want that."""

Query = Mapping[str, str | Sequence[str]]
"""The parameters behind an address; one that is a sequence is repeated."""


class HttpClient(Protocol):
    """Any HTTP client that asks as requests or httpx do: a `Session`, a `Client`, Open edX's `OAuthAPIClient`."""

    def request(self, method: str, url: str, /, *args: Any, **kwargs: Any) -> Any:
        """Send a request and return its answer, with `status_code`, `headers` and `content`."""
        ...


@frozen(kw_only=True)
class Timeouts:
    """How long a request waits.

    Attributes:
        connect: Seconds for the connection to stand.
        read: Seconds for the next bytes to come. What is given up may still be carried out, so this should be longer
            than the service's own limit: a newer update could otherwise be overtaken by it.

    Example:
        >>> Timeouts(read=90).connect
        5.0
    """

    connect: float = 5.0
    read: float = 60.0


@frozen(kw_only=True)
class Request:
    """What is asked. Its repr shows no more than where: names stand in the query and in the body.

    Attributes:
        method: The HTTP method.
        url: The address, without a query.
        query: The parameters behind it.
        json: The JSON body; None for none.
        form: The form-encoded body; None for none.
    """

    method: str
    url: str
    query: Query | None = field(default=None, repr=False)
    json: object = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        body: The body, in full.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@frozen
class Silence:
    """No answer came, or only a part of one: whether the request arrived is not known.

    Attributes:
        reason: Why; the type of the client's error and no more, since its text holds addresses with their queries.
    """

    reason: str


@frozen
class Connection:
    """A client, and the manners in which it wants to be asked. One thread uses it at a time, unless it is shared."""

    client: HttpClient = field(repr=False)
    manners: Mapping[str, object]

    @classmethod
    def through(cls, client: HttpClient, timeouts: Timeouts) -> Connection:
        """Find out a client's manners. No redirect is ever followed: a POST would turn into a GET without a body."""
        connect, read = timeouts.connect, timeouts.read
        if "follow_redirects" in signature(client.request).parameters:
            return cls(client, {"follow_redirects": False, "timeout": (connect, read, read, read)})
        return cls(client, {"allow_redirects": False, "timeout": (connect, read)})

    def exchange(self, request: Request, authorize: Authorize | None = None) -> Answer | Silence:
        """Send a request and read the whole answer. Raises nothing: whatever a client raises ends as `Silence`.

        Args:
            request: What is asked.
            authorize: Puts the token in; None leaves authorization to the client.
        """
        answer = isolated(self._ask, request, authorize)
        return Silence(f"no answer ({type(answer).__name__})") if isinstance(answer, Exception) else answer

    def _ask(self, request: Request, authorize: Authorize | None) -> Answer:
        bodies = {"json": request.json, "data": request.form, "params": request.query, "auth": authorize}
        given = {name: value for name, value in bodies.items() if value is not None}
        response = self.client.request(
            request.method, request.url, headers={"Accept": "application/json"}, **given, **self.manners
        )
        return Answer(status=response.status_code, headers=response.headers, body=response.content)

    def close(self) -> None:
        """Close the client, if it can be."""
        close = getattr(self.client, "close", None)
        if close is not None:
            close()


@define(kw_only=True)
class Connections:
    """The connections of workers, each lent to one of them at a time, and kept between two batches.

    Attributes:
        client: A client that is safe to share between threads; it stays its owner's, and is not closed here. None has
            each worker open one of its own.
        open_client: Opens one.
        timeouts: How long a request waits.
    """

    client: HttpClient | None = field(default=None, repr=False)
    open_client: Callable[[], HttpClient] = requests.Session
    timeouts: Timeouts = field(factory=Timeouts)
    _idle: deque[Connection] = field(factory=deque, init=False, repr=False)

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """Lend a connection that nobody else has."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            client = self.open_client() if self.client is None else self.client
            return Connection.through(client, self.timeouts)

    def close(self) -> None:
        """Close the clients that were opened here. A later request opens new ones."""
        while self._idle:
            connection = self._idle.pop()
            if connection.client is not self.client:
                connection.close()


class _UsernameMask(logging.Filter):
    """Hides usernames in the addresses that HTTP clients write to their logs: httpx at level INFO, others at DEBUG."""

    pattern = re.compile(r"(username=)[^&\s\"']+")

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(self._mask(arg) for arg in record.args)
        record.msg = self._mask(record.msg)
        return True

    def _mask(self, part: object) -> object:
        text = str(part)
        return self.pattern.sub(r"\1***", text) if "username=" in text else part


_MASK = _UsernameMask()


def mask_usernames_in_logs() -> None:
    """Keep usernames out of the clients' own logs. Whoever asks for a learner's credentials calls this first."""
    for name in ("urllib3.connectionpool", "httpx", "httpcore.http11", "httpcore.http2"):
        logging.getLogger(name).addFilter(_MASK)
