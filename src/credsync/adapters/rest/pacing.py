"""The pace at which requests go to one endpoint, and what holds them up: a throttle, an outage, the end of the run."""

from __future__ import annotations

from threading import Lock

from attrs import define, field, frozen

from credsync.adapters.rest.patience import Patience
from credsync.delivery import INTERRUPTED
from credsync.updates import Deferred
from credsync.wire import Pause

__all__ = ["Lane", "Shut"]

FAILURES_OF_AN_OUTAGE = 2
"""Requests in a row that came to nothing, all their tries included, before the whole endpoint is taken to be away. One
would let a single poisoned update stop every run."""


@frozen(kw_only=True)
class Shut:
    """Nothing goes to the endpoint for now.

    Attributes:
        reason: Why, without personal data.
        retry_after: Seconds until it makes sense to try again; None where nobody knows.
    """

    reason: str
    retry_after: float | None = None


@define(kw_only=True)
class Lane:
    """The way to one endpoint of one service, shared by all workers. Safe for threads.

    Attributes:
        url: Where it leads.
        patience: Pauses longer than its seconds are not waited for.
        rate: Requests a minute, at even distances; None does not limit them.
        requests: How many were sent.
        pauses: How often the service asked for a pause.
        first_sent: When the first one was sent, by the stopwatch; None before.
    """

    url: str
    patience: Patience
    rate: float | None = None
    requests: int = field(default=0, init=False)
    pauses: int = field(default=0, init=False)
    first_sent: float | None = field(default=None, init=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)
    _next_turn: float = field(default=float("-inf"), init=False)
    _paused_until: float = field(default=float("-inf"), init=False)
    _pause_reason: str = field(default="", init=False)
    _failures: int = field(default=0, init=False)
    _shut: Shut | None = field(default=None, init=False)

    def enter(self) -> Shut | Deferred | None:
        """Wait for a turn to send one request; return None when it has come, or why it will not."""
        while True:
            if obstacle := self.find_obstacle():
                return obstacle
            seconds = self._claim_turn()
            if seconds <= 0:
                return None
            self.patience.wait(seconds, self.is_shut)

    def find_obstacle(self) -> Shut | Deferred | None:
        """Return why nothing is to be sent any more; None while there is no such reason."""
        if shut := self.find_shut():
            return shut
        return Deferred(reason=INTERRUPTED) if self.patience.stop() else None

    def _claim_turn(self) -> float:
        """Take the next turn if it has come and return 0; otherwise return the seconds to wait before asking again."""
        with self._lock:
            now = self.patience.stopwatch()
            wait = max(self._paused_until, self._next_turn) - now
            if wait <= 0:
                self.requests += 1
                self.first_sent = now if self.first_sent is None else self.first_sent
                self._next_turn = now + 60 / self.rate if self.rate else now
            return wait

    def pause(self, pause: Pause) -> None:
        """Let no worker send anything for a while. A pause never shortens another."""
        with self._lock:
            self.pauses += 1
            until = self.patience.stopwatch() + pause.seconds
            if until > self._paused_until:
                self._paused_until, self._pause_reason = until, pause.otherwise.reason

    @property
    def paused_for(self) -> float:
        """Seconds that are left of the pause; 0 while requests may go."""
        return max(0.0, self._paused_until - self.patience.stopwatch())

    def find_shut(self) -> Shut | None:
        """Return why nothing goes to the endpoint, if so: it was shut, or its pause is longer than anybody waits."""
        left = self.paused_for
        if left > self.patience.seconds:
            return Shut(reason=f"{self.url}: {self._pause_reason}", retry_after=left)
        return self._shut

    def is_shut(self) -> bool:
        """Whether nothing goes to the endpoint."""
        return self.find_shut() is not None

    def shut(self, reason: str) -> None:
        """Let nothing through from now on."""
        self._shut = self._shut or Shut(reason=reason)

    def reopen(self) -> None:
        """Let requests through again; a pause goes on."""
        self._shut = None

    def count_success(self) -> None:
        """Take note that the service works."""
        self._failures = 0

    def count_failure(self, reason: str) -> None:
        """Take note that a request came to nothing, through no fault of its own; the second in a row shuts the lane."""
        with self._lock:
            self._failures += 1
        if self._failures >= FAILURES_OF_AN_OUTAGE:
            self.shut(f"{self.url}: {reason}")
