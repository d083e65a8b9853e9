"""How long trouble is put up with, and how to wait so that a run can still be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import frozen
from tenacity import wait_exponential, wait_random
from tenacity.wait import wait_base

from credsync.errors import ConfigurationError

__all__ = ["Patience"]

GLANCE = 0.25
"""Seconds after which a wait looks up whether the run is to stop."""


def _never() -> bool:
    return False


@frozen(kw_only=True)
class Patience:
    """How long trouble is put up with, in tries and in time. One may serve a sink, its tokens and its catalog.

    tenacity does the retrying and not stamina, which stands on it: a wait of stamina's can be neither given a `sleep`
    nor cut short.

    Attributes:
        tries: How often a request is sent at most while the trouble is the service's; where it is the update's, the
            service's table of answers says how often.
        seconds: How long a request is tried again at most, and the longest pause that is waited for.
        first_wait: Seconds before the second try, about; each wait is twice the one before.
        longest_wait: Seconds of the longest wait between two tries, about.
        stop: Asked between requests and while waiting; once it says yes, nothing new is sent.
        sleep: Waits some seconds, by the stopwatch; called from many threads.
        stopwatch: A monotonic clock, in seconds.

    Raises:
        ConfigurationError: If there is not a single try, or a time is negative.

    Example:
        >>> Patience(tries=3).longest_wait
        30.0
    """

    tries: int = 6
    seconds: float = 300.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    stop: Callable[[], bool] = _never
    sleep: Callable[[float], None] = time.sleep
    stopwatch: Callable[[], float] = time.monotonic

    def __attrs_post_init__(self) -> None:
        """Refuse bounds that bound nothing."""
        if self.tries < 1:
            raise ConfigurationError(f"{self.tries} tries: at least 1 is needed")
        if min(self.seconds, self.first_wait, self.longest_wait) < 0:
            raise ConfigurationError("patience: a time cannot be negative")

    @property
    def backoff(self) -> wait_base:
        """How long to wait before the next try: twice as long each time, and never twice the same for two workers."""
        return wait_exponential(multiplier=self.first_wait, max=self.longest_wait) + wait_random(0, self.first_wait)

    def wait(self, seconds: float, is_over: Callable[[], bool] = _never) -> None:
        """Wait, in small portions, until the time has passed or there is no use in waiting any more.

        Args:
            seconds: How long.
            is_over: Asked beside `stop` before each portion.
        """
        until = self.stopwatch() + seconds
        while (left := until - self.stopwatch()) > 0 and not self.stop() and not is_over():
            self.sleep(min(left, GLANCE))
