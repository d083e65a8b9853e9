"""Reading from a JSON API over HTTP: the service's own, or the course catalog's."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import requests
from attrs import define, field, frozen

from credsync.adapters.rest.addresses import to_root
from credsync.adapters.rest.calling import Caller, Ending, TokenSource, decode_failure
from credsync.adapters.rest.exchange import (
    Answer,
    Connections,
    HttpClient,
    Query,
    Request,
    Timeouts,
    mask_usernames_in_logs,
)
from credsync.adapters.rest.pacing import Lane, Shut
from credsync.adapters.rest.patience import Patience
from credsync.errors import AdapterError
from credsync.updates import Deferred, Rejected
from credsync.wire import Decision, Retry, StopRun

__all__ = ["JSON", "ApiReader", "Rows", "collect_rows", "decode_rows"]

T = TypeVar("T")

JSON: TypeAlias = Any
"""What a JSON document holds."""

READINGS = 4
"""How often a list is read before it is given up."""


@frozen
class _Document:
    content: JSON


@frozen(kw_only=True)
class Rows:
    """A page of a list, or all of it.

    Attributes:
        rows: The rows by their UUID, as the service writes them.
        count: How many there are on all pages together; infinite where the page does not say.
        is_last: Whether no other page follows.
    """

    rows: Mapping[str, Mapping[str, Any]]
    count: float
    is_last: bool = True


def _decode_document(answer: Answer, now: datetime) -> _Document | Decision:
    """Read an answer that is to hold JSON; half of it, or a proxy's page, asks for another try."""
    if not 200 <= answer.status < 300:
        return decode_failure(answer, now)
    try:
        return _Document(json.loads(answer.body))
    except (ValueError, RecursionError):
        return Retry(otherwise=Deferred(reason=f"the answer {answer.status} holds no JSON"))


def decode_rows(answer: Answer, now: datetime) -> Rows | Decision:
    """Read a page of a list. Behind the last page there is an empty one: the list has become shorter meanwhile."""
    if answer.status == 404 and b"Invalid page" in answer.body:
        return Rows(rows={}, count=math.inf)
    document = _decode_document(answer, now)
    if not isinstance(document, _Document):
        return document
    try:
        rows = {str(row["uuid"]): row for row in document.content["results"]}
        count, following = float(document.content["count"]), document.content["next"]
    except (TypeError, KeyError, ValueError):
        return Retry(otherwise=Deferred(reason=f"the answer {answer.status} holds no page of a list"))
    return Rows(rows=rows, count=count, is_last=following is None or not rows)


def collect_rows(ask: Callable[[int], Rows | Ending]) -> Rows | Ending:
    """Read all pages of a list, and all of them again if rows are missing.

    The service cuts its pages from a list in no order, which changes while it is read: a row may come twice, and
    another not at all. It counts them, so that shows.

    Args:
        ask: Reads a page by its number, from 1. The address that the service gives for the next page is not used: it
            may be one that no token is meant for.

    Returns:
        All rows; an `Ending` if a page could not be read, or if they never came to the number that the service counts.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for _ in range(READINGS):
        number, is_last, count = 1, False, math.inf
        while not is_last:
            page = ask(number)
            if not isinstance(page, Rows):
                return page
            found |= page.rows
            number, is_last, count = number + 1, page.is_last, page.count
        if len(found) >= count:
            return Rows(rows=found, count=len(found))
    return Retry(otherwise=Deferred(reason="the list changes too fast to be read in full"))


@define(kw_only=True, eq=False)
class ApiReader:
    """Reads a JSON API at its pace, with its tokens. Safe for threads; leaving its context closes what it opened.

    Attributes:
        base_url: What the paths are below.
        tokens: Has the tokens; None leaves authorization to the client.
        client: A client that is safe to share between threads, and stays its owner's; None has each thread that reads
            open one of its own.
        open_client: Opens one.
        timeouts: How long a request waits.
        patience: How long trouble is put up with.
        rate: Requests a minute; None does not limit them.

    Raises:
        ConfigurationError: If the URL is none.

    Example:
        >>> with ApiReader(base_url="https://discovery.example.com/api/v1/") as reader:
        ...     reader.base_url
        'https://discovery.example.com/api/v1'
    """

    base_url: str = field(converter=to_root)
    tokens: TokenSource | None = field(default=None, repr=False)
    client: HttpClient | None = field(default=None, repr=False)
    open_client: Callable[[], HttpClient] = field(default=requests.Session, repr=False)
    timeouts: Timeouts = field(factory=Timeouts)
    patience: Patience = field(factory=Patience, repr=False)
    rate: float | None = None
    _caller: Caller = field(init=False, repr=False)
    _connections: Connections = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Lay the lane that all reads share."""
        mask_usernames_in_logs()
        self._caller = Caller(lane=Lane(url=self.base_url, patience=self.patience, rate=self.rate), tokens=self.tokens)
        self._connections = Connections(client=self.client, open_client=self.open_client, timeouts=self.timeouts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the clients that were opened here."""
        self._connections.close()

    def get(self, path: str, query: Query | None = None) -> JSON:
        """Read a document.

        Args:
            path: Where it is, below the base URL.
            query: The parameters.

        Raises:
            AdapterError: If it cannot be read, all tries included.
        """
        return self._read(Request(method="GET", url=self._url(path), query=query))

    def ask(self, path: str, question: object) -> JSON:
        """Read what is asked for by a POST, as the service wants it where a question is long; nothing is changed.

        Args:
            path: Where to ask, below the base URL.
            question: The JSON body.

        Raises:
            AdapterError: If there is no answer, all tries included.
        """
        return self._read(Request(method="POST", url=self._url(path), json=question))

    def describe(self, path: str) -> JSON:
        """Read what an address says of itself, in answer to OPTIONS: what the account may do there, for one.

        Args:
            path: Where it is, below the base URL.

        Raises:
            AdapterError: If there is no answer, all tries included.
        """
        return self._read(Request(method="OPTIONS", url=self._url(path)))

    def list_rows(self, path: str, query: Query) -> Collection[Mapping[str, Any]]:
        """Read all pages of a list, each row once, in no order.

        Args:
            path: Where it is, below the base URL.
            query: The parameters.

        Raises:
            AdapterError: If it cannot be read in full, all tries included.
        """

        def ask(page: int) -> Rows | Ending:
            request = Request(method="GET", url=self._url(path), query={**query, "page": str(page)})
            return self._call(request, decode_rows)

        return _content_or_raise(self._url(path), collect_rows(ask), Rows).rows.values()

    def _read(self, request: Request) -> JSON:
        return _content_or_raise(request.url, self._call(request, _decode_document), _Document).content

    def _call(self, request: Request, decode: Callable[[Answer, datetime], T | Decision]) -> T | Ending:
        with self._connections.lend() as connection:
            return self._caller.call(connection, request, decode)

    def _url(self, path: str) -> str:
        return f"{self.base_url}/{path}"


def _content_or_raise(url: str, ending: T | Ending, wanted: type[T]) -> T:
    if isinstance(ending, wanted):
        return ending
    last = ending.otherwise if isinstance(ending, Retry) else ending
    reason = last.reason if isinstance(last, Deferred | Rejected | StopRun | Shut) else "no reason given"
    raise AdapterError(f"{url} cannot be read: {reason}")
