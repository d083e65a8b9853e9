"""The throttle of accounts that are not staff: per user and scope, over a sliding minute."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping

__all__ = ["Throttle"]

WINDOW = 60.0


class Throttle:
    """Counts the admitted requests of the last minute.

    Args:
        budgets: How many requests a minute each scope admits.
        clock: The time in seconds.
    """

    def __init__(self, budgets: Mapping[str, int], *, clock: Callable[[], float]) -> None:
        self._budgets = budgets
        self._clock = clock
        self._admitted: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def wait_for(self, username: str, scope: str) -> int | None:
        """Admit a request and return None, or return the whole seconds until one would be admitted."""
        now = self._clock()
        admitted = self._admitted[username, scope]
        while admitted and admitted[0] <= now - WINDOW:
            admitted.popleft()
        if len(admitted) < self._budgets[scope]:
            admitted.append(now)
            return None
        return math.ceil(admitted[0] + WINDOW - now)
