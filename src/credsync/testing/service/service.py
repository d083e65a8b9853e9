"""The test double as one object: a server to point a client at, its state and log to look at, its faults to plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from random import Random
from threading import RLock, Thread
from types import MappingProxyType, TracebackType
from typing import Self

from credsync.testing.service.accounts import DEFAULT_ACCOUNT, Account, User
from credsync.testing.service.catalog import CourseRuns, Programs, ServiceCatalog
from credsync.testing.service.credentials import credential_json
from credsync.testing.service.desk import Desk
from credsync.testing.service.exchange import Answer, Request, html_answer, json_answer
from credsync.testing.service.faults import LONGEST_HANG, Ending, FaultPlan
from credsync.testing.service.gate import Gate
from credsync.testing.service.request_log import RequestLog
from credsync.testing.service.routes import TOKEN_PATH, Application
from credsync.testing.service.rows import CredentialRow, GradeRow
from credsync.testing.service.server import Connection, Server
from credsync.testing.service.tables import Tables
from credsync.testing.service.throttle import Throttle
from credsync.testing.service.tokens import Mint

__all__ = ["BUDGETS", "CredentialsService"]

BUDGETS: Mapping[str, int] = MappingProxyType({"grades": 90, "credentials": 15})
"""The requests a minute of an account that is not staff."""


class CredentialsService:
    """A real HTTP server on loopback that behaves as the Credentials service was measured to.

    Entering the context starts it, leaving it ends every connection and thread. The LMS's token endpoint and the course
    catalog's program endpoints are on the same server.

    Args:
        course_runs: The run keys its catalog knows: a container, a predicate, or "any".
        programs: The programs it knows, in the catalog's JSON shape; with "any" every UUID is one.
        accounts: The clients that get tokens.
        token_lifetime: Seconds a token is valid.
        throttle: The requests a minute by scope of accounts that are not staff; None does not throttle.
        records_enabled: Whether learner records are on; then a learner's first program credential needs a user row.
        emails_on_completion: Whether program completion sends e-mails; it needs the user row too.
        latency: Seconds that every answer takes at least.
        longest_hang: Seconds after which a hanging answer ends by itself.
        shuffle_seed: Given one, each list page is cut from another order, so that paging repeats and skips rows.
        lms: Another double whose tokens this one trusts, as services do that share an LMS; None trusts its own.
        port: The port; 0 takes a free one.
        clock: The time in seconds since the epoch: of tokens, throttle and rows.
        stopwatch: The monotonic clock of the request log.

    Attributes:
        faults: The plan of what goes wrong; empty at first.
        requests: The log of all requests.
        catalog: What the service knows of course runs and programs.
        mint: Makes and knows its tokens.

    Example:
        >>> from http.client import HTTPConnection
        >>> with CredentialsService() as service:
        ...     connection = HTTPConnection("127.0.0.1", service.port)
        ...     connection.request("GET", "/health/")
        ...     answer = connection.getresponse()
        ...     print(answer.status, answer.read().decode())
        ...     connection.close()
        200 {"overall_status":"OK","detailed_status":{"database_status":"OK"}}
    """

    def __init__(
        self,
        *,
        course_runs: CourseRuns = "any",
        programs: Programs = "any",
        accounts: Iterable[Account] = (DEFAULT_ACCOUNT,),
        token_lifetime: float = 3600,
        throttle: Mapping[str, int] | None = BUDGETS,
        records_enabled: bool = True,
        emails_on_completion: bool = False,
        latency: float = 0.0,
        longest_hang: float = LONGEST_HANG,
        shuffle_seed: int | None = None,
        lms: CredentialsService | None = None,
        port: int = 0,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self.catalog = ServiceCatalog(course_runs, programs)
        self.faults = FaultPlan()
        self.requests = RequestLog()
        self._tables = Tables(self.catalog, clock=clock)
        self._tables.records_enabled = records_enabled
        self._tables.emails_on_completion = emails_on_completion
        known_accounts = list(accounts)
        for account in known_accounts:
            self._tables.users.add(_user_of(account))
        self.mint: Mint = lms.mint if lms else Mint(known_accounts, clock=clock, lifetime=token_lifetime)
        self._gate = Gate(self.mint, self._tables.users, Throttle(throttle, clock=clock) if throttle else None)
        shuffle = None if shuffle_seed is None else Random(shuffle_seed)
        self._lock = RLock()
        self._desk = Desk(
            application=Application(self._tables, self._gate, self.mint.answer, shuffle),
            mint=self.mint,
            faults=self.faults,
            requests=self.requests,
            lock=self._lock,
            latency=latency,
            longest_hang=longest_hang,
            clock=clock,
            stopwatch=stopwatch,
        )
        self._port = port
        self._clock = clock
        self._stopwatch = stopwatch
        self._server: Server | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        server = Server(self._port, self._serve, clock=self._clock, stopwatch=self._stopwatch)
        self._server = server
        self._thread = Thread(target=server.serve_forever, args=(0.01,), name="credentials-service-double")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.stop()

    @property
    def port(self) -> int:
        """The port it listens on, once entered."""
        if self._server is None:
            raise RuntimeError("the service is not running: enter its context first")
        return self._server.server_port

    @property
    def url(self) -> str:
        """The address of the service, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_url(self) -> str:
        """The address of the token endpoint."""
        return self.url + TOKEN_PATH

    @property
    def catalog_url(self) -> str:
        """The root of the course catalog's API, with a slash at its end."""
        return f"{self.url}/api/v1/"

    @property
    def grades(self) -> dict[tuple[str, str], GradeRow]:
        """The stored grades by username and course run: a copy."""
        with self._lock:
            return dict(self._tables.grades)

    @property
    def credentials(self) -> dict[tuple[str, str], CredentialRow]:
        """The stored credentials by username and run key or program UUID: a copy."""
        with self._lock:
            return dict(self._tables.credentials)

    @property
    def usernames(self) -> list[str]:
        """Who has a row in the user table."""
        with self._lock:
            return self._tables.users.usernames()

    @property
    def tokens_minted(self) -> int:
        """How many tokens were handed out."""
        return self.mint.minted

    @property
    def is_database_down(self) -> bool:
        """Whether the database is away; may be set. Then every API request gets the 401 of an outage, health a 503."""
        return self._gate.is_database_down

    @is_database_down.setter
    def is_database_down(self, is_down: bool) -> None:
        self._gate.is_database_down = is_down

    def add_user(self, user: User) -> None:
        """Add a row to the user table, as if the user had been there before."""
        with self._lock:
            self._tables.users.add(user)

    def token_for(self, username: str, /, **claims: object) -> str:
        """Mint a token for anybody, say a learner; claims replace the usual ones, and a None leaves one out."""
        with self._lock:
            return self.mint.token_for(username, claims)

    def revoke_tokens(self) -> None:
        """Make all tokens so far invalid, as when they have expired."""
        with self._lock:
            self.mint.revoke_all()

    def state_json(self) -> dict[str, object]:
        """Write all that is stored, as the answers write it."""
        with self._lock:
            tables = self._tables
            return {
                "grades": [row.as_json() for row in tables.grades.values()],
                "credentials": [credential_json(tables, row, self.url) for row in tables.credentials.values()],
                "users": tables.users.usernames(),
                "tokens_minted": self.mint.minted,
            }

    def _serve(self, request: Request, started: float, connection: Connection) -> tuple[Answer, Ending]:
        if request.path.startswith("/_double/"):
            return self._inspect(request), Ending.ANSWERED
        return self._desk.serve(request, started, connection)

    def _inspect(self, request: Request) -> Answer:
        """Answer what another process wants to see of the double; neither logged nor faulted."""
        if request.path == "/_double/state":
            return json_answer(200, self.state_json())
        if request.path == "/_double/requests":
            return json_answer(200, [entry.as_json() for entry in self.requests.entries()])
        return html_answer(404)


def _user_of(account: Account) -> User:
    return User(username=account.username, staff=account.staff, active=account.active, permissions=account.permissions)
