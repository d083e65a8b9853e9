"""The front desk: takes each request through latency, planned faults and the service, and logs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from threading import RLock

from credsync.testing.service.exchange import Answer, Request, html_answer
from credsync.testing.service.faults import Ending, Fault, FaultPlan
from credsync.testing.service.gate import name_in_token
from credsync.testing.service.request_log import LoggedRequest, RequestLog, subject_of
from credsync.testing.service.routes import Application
from credsync.testing.service.server import Connection
from credsync.testing.service.tokens import Mint

__all__ = ["Desk"]

NO_FAULT = Fault(name="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What came of a request: the answer, if there is one, and when a write took place, if one did."""

    answer: Answer | None = None
    stored_at: float | None = None
    is_abandoned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Serves requests, many at a time; the application sees one after the other.

    Attributes:
        application: The service without its sockets.
        mint: Knows the user of a token, and can revoke all tokens.
        faults: The plan of what goes wrong.
        requests: The log.
        lock: Held while the application works.
        latency: Seconds that every answer takes at least.
        longest_hang: Seconds after which a hanging answer ends by itself.
        clock: The time in seconds since the epoch.
        stopwatch: The monotonic clock of the log.
    """

    application: Application
    mint: Mint
    faults: FaultPlan
    requests: RequestLog
    lock: RLock
    latency: float
    longest_hang: float
    clock: Callable[[], float]
    stopwatch: Callable[[], float]

    def serve(self, request: Request, started: float, connection: Connection) -> tuple[Answer, Ending]:
        """Answer a request as the service would, or as the plan of faults says, and say what becomes of the connection.

        The request is in the log before its answer goes out: who has the answer finds it there.
        """
        subject = subject_of(request)
        fault = self.faults.fault_for(request.method, request.path, subject.key) or NO_FAULT
        outcome = self._outcome(request, fault, connection)
        has_answer = outcome.answer is not None
        entry = LoggedRequest(
            started=started,
            ended=self.stopwatch(),
            method=request.method,
            path=request.path,
            key=subject.key,
            source_time=subject.source_time,
            status=outcome.answer.status if outcome.answer else None,
            retry_after=self._retry_after(outcome.answer),
            fault=fault.name or None,
            stored_at=outcome.stored_at,
            is_abandoned=outcome.is_abandoned,
        )
        self.requests.add(entry)
        return outcome.answer or html_answer(500), fault.ending if has_answer else Ending.RESET

    def _outcome(self, request: Request, fault: Fault, connection: Connection) -> _Outcome:
        """Let the request take its time and its course. A client that left during the wait has written nothing."""
        if connection.is_lost_within(self.latency + fault.delay):
            return _Outcome(is_abandoned=True)
        answer, stored_at = self._work(request, fault)
        if fault.ending is Ending.HANGING:
            return _Outcome(stored_at=stored_at, is_abandoned=connection.is_lost_within(self.longest_hang))
        if fault.ending is Ending.RESET:
            return _Outcome(stored_at=stored_at)
        return _Outcome(answer=answer, stored_at=stored_at)

    def _work(self, request: Request, fault: Fault) -> tuple[Answer, float | None]:
        """Let the service answer, unless the fault keeps the request from it, and put the fault's answer in place."""
        with self.lock:
            if fault.revokes_tokens:
                self.mint.revoke_all()
            username = name_in_token(self.mint, request) if fault.answer else ""
            answer = html_answer(500) if fault.spares_the_service else self.application.answer(request)
            stored_at = self.stopwatch() if _is_write(request, answer) else None
        return fault.answer(username, self.clock()) if fault.answer else answer, stored_at

    def _retry_after(self, answer: Answer | None) -> float | None:
        told = answer.header("Retry-After") if answer else None
        if told is None:
            return None
        return float(told) if told.isdecimal() else parsedate_to_datetime(told).timestamp() - self.clock()


def _is_write(request: Request, answer: Answer) -> bool:
    return request.method != "GET" and request.path.startswith("/api/v2/") and answer.status in {200, 201}
