"""What can go wrong with a request, as values, and the plan that says with which."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from enum import Enum, auto
from hashlib import blake2b
from threading import Lock

from credsync.testing.service.exchange import Answer, empty_answer, html_answer, json_answer
from credsync.testing.service.gate import outage_answer
from credsync.testing.service.request_log import Key

__all__ = [
    "Ending",
    "Fault",
    "FaultPlan",
    "gateway_failure",
    "hanging",
    "html_error",
    "outage",
    "redirect",
    "reset",
    "slow",
    "throttled",
    "tokens_revoked",
    "truncated",
]

LONGEST_HANG = 30.0
"""Seconds after which a hanging answer ends by itself."""


class Ending(Enum):
    """What becomes of the connection."""

    ANSWERED = auto()
    TRUNCATED = auto()
    """The headers promise a whole body, half of it comes."""
    RESET = auto()
    """The connection is reset, nothing comes."""
    HANGING = auto()
    """Nothing comes, until the client or the double gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way for a request to go wrong.

    Attributes:
        name: What the request log calls it.
        answer: Makes the answer that goes out instead of the service's own, from the username in the token and the time
            in seconds since the epoch; None leaves the service's own.
        delay: Seconds before anything happens. A client that is gone by then has not written anything.
        ending: What becomes of the connection.
        is_after_write: Whether the service does its work before it goes wrong: what was sent is stored, and only the
            answer is lost. Otherwise nothing is stored.
        revokes_tokens: Whether every token becomes invalid first.
    """

    name: str
    answer: Callable[[str, float], Answer] | None = None
    delay: float = 0.0
    ending: Ending = Ending.ANSWERED
    is_after_write: bool = False
    revokes_tokens: bool = False

    @property
    def spares_the_service(self) -> bool:
        """Whether the service never gets to see the request."""
        replaced = self.answer is not None or self.ending in {Ending.RESET, Ending.HANGING}
        return replaced and not self.is_after_write

    def after_write(self) -> Fault:
        """Return the same fault, but happening when the service has done its work."""
        return replace(self, name=f"{self.name} after write", is_after_write=True)


def outage() -> Fault:
    """Answer 401, as the service does while its database is away."""
    return Fault(name="outage", answer=lambda username, _now: outage_answer(username).answer)


def throttled(retry_after: int, *, as_date: bool = False) -> Fault:
    """Answer 429 with a Retry-After of some seconds, or with the date at which they have passed."""

    def answer(_username: str, now: float) -> Answer:
        until = formatdate(math.ceil(now + retry_after), usegmt=True)
        content = {"detail": f"Request was throttled. Expected available in {retry_after} seconds."}
        return json_answer(429, content, ("Retry-After", until if as_date else str(retry_after)))

    return Fault(name="throttled", answer=answer)


def html_error(status: int = 500) -> Fault:
    """Answer with the HTML page of a status, 500 unless told otherwise."""
    return Fault(name=f"html {status}", answer=lambda _username, _now: html_answer(status))


def gateway_failure(status: int) -> Fault:
    """Answer 502, 503 or 504, as a proxy before the service does."""
    return Fault(name=f"gateway {status}", answer=lambda _username, _now: html_answer(status))


def redirect(location: str, *, status: int = 302) -> Fault:
    """Answer with a redirect to another path or host."""
    return Fault(name="redirect", answer=lambda _username, _now: empty_answer(status, ("Location", location)))


def slow(seconds: float) -> Fault:
    """Answer as always, but so much later."""
    return Fault(name="slow", delay=seconds)


def hanging() -> Fault:
    """Answer nothing for as long as the client waits, or the double does (half a minute)."""
    return Fault(name="hanging", ending=Ending.HANGING)


def reset() -> Fault:
    """Reset the connection instead of answering."""
    return Fault(name="reset", ending=Ending.RESET)


def truncated() -> Fault:
    """Do the work, and break off in the middle of the answer's body."""
    return Fault(name="truncated", ending=Ending.TRUNCATED, is_after_write=True)


def tokens_revoked() -> Fault:
    """Make all tokens invalid, as if they had expired, and go on; so the request itself gets a 401."""
    return Fault(name="tokens revoked", revokes_tokens=True)


@dataclass(slots=True, kw_only=True)
class _Rule:
    choose: Callable[[Key | None, str, str], Fault | None]
    path: str
    method: str | None
    key: Key | None
    times: int | None

    def fault_for(self, method: str, path: str, key: Key | None) -> Fault | None:
        if self.times == 0 or not path.startswith(self.path):
            return None
        if self.method not in {None, method} or self.key not in {None, key}:
            return None
        fault = self.choose(key, method, path)
        if fault is not None and self.times is not None:
            self.times -= 1
        return fault


class FaultPlan:
    """Says with which requests something goes wrong. The first rule that has a fault for a request decides.

    Rules are for the APIs' addresses (`/api/`) unless they name another path. The plan may be changed at any time.
    """

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._lock = Lock()

    def add(
        self,
        fault: Fault,
        *,
        times: int | None = None,
        path: str = "/api/",
        method: str | None = None,
        key: Key | None = None,
    ) -> None:
        """Let matching requests go wrong.

        Args:
            fault: In which way.
            times: How many of them; None is for ever.
            path: What their path starts with.
            method: Their method; None is any.
            key: The key they write, as the request log has it; None is any.
        """
        self._add(lambda *_: fault, times=times, path=path, method=method, key=key)

    def add_at_random(
        self,
        faults: Sequence[Fault],
        *,
        share: float,
        seed: int,
        in_a_row: int | None = None,
        path: str = "/api/",
        method: str | None = None,
    ) -> None:
        """Let a share of the matching requests go wrong, each in one of the given ways.

        Chance is a function of the seed, the request's key and how often the key was tried. So the same requests go
        wrong in every run, in whatever order threads bring them.

        Args:
            faults: The ways.
            share: How many of the requests, from 0 to 1.
            seed: Another seed, other requests.
            in_a_row: How often at most the tries of one key go wrong one after the other; None is without bound.
            path: What their path starts with.
            method: Their method; None is any.
        """
        dice = _Dice(faults, share=share, seed=seed, in_a_row=in_a_row)
        self._add(dice.choose, times=None, path=path, method=method, key=None)

    def _add(
        self,
        choose: Callable[[Key | None, str, str], Fault | None],
        *,
        times: int | None,
        path: str,
        method: str | None,
        key: Key | None,
    ) -> None:
        with self._lock:
            self._rules.append(_Rule(choose=choose, path=path, method=method, key=key, times=times))

    def clear(self) -> None:
        """Let everything go right from now on."""
        with self._lock:
            self._rules.clear()

    def fault_for(self, method: str, path: str, key: Key | None) -> Fault | None:
        """Decide about a request, which counts against the rule that decides."""
        with self._lock:
            faults = (rule.fault_for(method, path, key) for rule in self._rules)
            return next((fault for fault in faults if fault is not None), None)


class _Dice:
    def __init__(self, faults: Sequence[Fault], *, share: float, seed: int, in_a_row: int | None) -> None:
        self._faults = faults
        self._share = share
        self._seed = seed
        self._in_a_row = in_a_row
        self._tries: Counter[object] = Counter()
        self._row: Counter[object] = Counter()

    def choose(self, key: Key | None, method: str, path: str) -> Fault | None:
        subject = key or (method, path)
        self._tries[subject] += 1
        is_spared = self._in_a_row is not None and self._row[subject] >= self._in_a_row
        throw = self._throw("whether", subject)
        if is_spared or throw >= self._share:
            self._row[subject] = 0
            return None
        self._row[subject] += 1
        return self._faults[int(self._throw("which", subject) * len(self._faults))]

    def _throw(self, question: str, subject: object) -> float:
        """Throw a number from 0 to 1 that depends on nothing but the question, the seed, the subject and its try."""
        text = f"{question} {self._seed} {self._tries[subject]} {subject}"
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).digest()
        return int.from_bytes(digest) / 2**48
