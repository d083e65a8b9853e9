"""A request on its way: its turn, a valid token, and the tries it takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from attrs import define, field, frozen
from tenacity import RetryCallState, Retrying, retry_if_result

from credsync.adapters.rest.exchange import Answer, Authorize, Connection, Request, Silence
from credsync.adapters.rest.pacing import Lane, Shut
from credsync.errors import ConfigurationError, CredsyncError
from credsync.updates import CertificateUpdate, Deferred, Outcome
from credsync.wire import Decision, Pause, RenewToken, Retry, StopRun, decode_response

__all__ = ["Caller", "Ending", "TokenSource", "decode_failure"]

T = TypeVar("T")

Ending: TypeAlias = Outcome | Retry | StopRun | Shut
"""How a call ends that has nothing to read: an outcome, tries used up, the end of the run, an endpoint that is shut."""


class TokenSource(Protocol):
    """Has valid tokens for the service, also when asked by many threads at once."""

    def token(self) -> str:
        """Return a token that is valid for some time yet.

        Raises:
            CredsyncError: If there is none to be had.
        """
        ...

    def renew(self, refused: str) -> str:
        """Return a token other than the refused one. However many ask, one new token is fetched.

        Raises:
            CredsyncError: If there is none to be had.
        """
        ...


def _now() -> datetime:
    return datetime.now(UTC)


@frozen(kw_only=True)
class Caller:
    """Sends requests down a lane, with what they need to arrive.

    Attributes:
        lane: Where they go.
        tokens: Has their tokens; None leaves authorization to the client.
        authorize: What to do to a request where there are no tokens.
        clock: The time, aware; a date in `Retry-After` is measured against it.
    """

    lane: Lane
    tokens: TokenSource | None = None
    authorize: Authorize | None = None
    clock: Callable[[], datetime] = _now

    def call(
        self, connection: Connection, request: Request, decode: Callable[[Answer, datetime], T | Decision]
    ) -> T | Ending:
        """Send a request until its end is known, or its tries are used up. Blocks through pauses and waits.

        Args:
            connection: What to send it through.
            request: What to send.
            decode: Reads an answer, and the time it came.

        Returns:
            What `decode` made of the answer; a `Retry` if it still asked for one when there were no more tries.
        """
        errand = _Errand(caller=self, connection=connection, request=request, decode=decode)
        retrying = Retrying(
            retry=retry_if_result(_wants_another_try),
            stop=errand.is_over,
            wait=self.lane.patience.backoff,
            sleep=lambda seconds: self.lane.patience.wait(seconds, self.lane.is_shut),
            retry_error_callback=errand.resign,
        )
        ending: T | Ending = retrying(errand.attempt)
        return ending


def _wants_another_try(decision: object) -> bool:
    return isinstance(decision, Retry)


def _last_result(state: RetryCallState) -> Any:
    return state.outcome.result() if state.outcome else None


@define(kw_only=True)
class _Errand(Generic[T]):
    """One request, from its first turn to its end."""

    caller: Caller
    connection: Connection
    request: Request
    decode: Callable[[Answer, datetime], T | Decision]
    deadline: float | None = field(default=None, init=False)
    own_tries: int = field(default=0, init=False)

    def attempt(self) -> T | Ending:
        """Send the request, again after each pause, and again with one new token; none of that is a try of its own."""
        refused: str | None = None
        while True:
            token = self._find_token(refused)
            if isinstance(token, StopRun | Shut):
                return token
            if obstacle := self.caller.lane.enter():
                return obstacle
            self._start_counting()
            decision = self._ask(token)
            self.own_tries += isinstance(decision, Retry) and decision.tries is not None
            if isinstance(decision, Pause):
                self.caller.lane.pause(decision)
                if self._is_late():
                    return Retry(otherwise=decision.otherwise)
            elif not isinstance(decision, RenewToken):
                return decision
            elif token is None or refused is not None:
                return decision.otherwise
            else:
                refused = token

    def _start_counting(self) -> None:
        """Begin with the first turn: waiting for it is no trouble."""
        if self.deadline is None:
            patience = self.caller.lane.patience
            self.deadline = patience.stopwatch() + patience.seconds

    def _find_token(self, refused: str | None) -> str | StopRun | Shut | None:
        """Have a token at hand before the turn comes: to fetch one takes time, in which the lane may be paused.

        Where there is none to be had, nothing more goes down the lane for now; a later batch asks again.
        """
        tokens = self.caller.tokens
        if tokens is None or self.caller.lane.find_obstacle():
            return None
        try:
            return tokens.token() if refused is None else tokens.renew(refused)
        except ConfigurationError as exc:
            return StopRun(reason=str(exc), status=401)
        except CredsyncError as exc:
            self.caller.lane.shut(str(exc))
            return Shut(reason=str(exc))

    def _ask(self, token: str | None) -> T | Decision:
        authorize = self.caller.authorize if token is None else _authorization(token)
        answer = self.connection.exchange(self.request, authorize)
        if isinstance(answer, Silence):
            return Retry(otherwise=Deferred(reason=answer.reason))
        return self.decode(answer, self.caller.clock())

    def _is_late(self) -> bool:
        return self.deadline is not None and self.caller.lane.patience.stopwatch() >= self.deadline

    def is_over(self, state: RetryCallState) -> bool:
        """Whether there is to be no other try: they are used up, it is late, or nothing is to be sent any more."""
        return self._has_no_more_tries(state) or self._is_late() or self.caller.lane.find_obstacle() is not None

    def _has_no_more_tries(self, state: RetryCallState) -> bool:
        """Compare with both bounds; a try that failed for the service's sake does not count against the update's."""
        bound = _last_result(state).tries
        are_used_up = bound is not None and self.own_tries >= bound
        return are_used_up or state.attempt_number >= self.caller.lane.patience.tries

    def resign(self, state: RetryCallState) -> Retry:
        """Give the last decision back. Where tries were left, what it says of the update itself is not proven."""
        last: Retry = _last_result(state)
        return last if self._has_no_more_tries(state) else Retry(otherwise=Deferred(reason=last.otherwise.reason))


def _authorization(token: str) -> Authorize:
    """Put a token into a request. An `auth` of our own also keeps requests from taking one out of the user's netrc."""

    def authorize(request: Any) -> Any:
        request.headers["Authorization"] = f"JWT {token}"
        return request

    return authorize


def decode_failure(answer: Answer, now: datetime, username: str = "") -> Decision:
    """Decide what to do about an answer that has nothing to read, whatever was asked.

    A read fails in the ways in which the post of a certificate does, so it is decoded as one.

    Args:
        answer: The answer; its status is not a success.
        now: The time it came, aware.
        username: A username that must not show.
    """
    stand_in = CertificateUpdate(user_id=0, username=username, course_run="", mode="", status="")
    return decode_response(stand_in, answer.status, answer.headers, answer.body, now=now)
