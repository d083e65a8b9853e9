"""Ending a run on SIGINT and SIGTERM: after the page in hand, or at once when asked twice."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX
from types import FrameType

from attrs import define, field

__all__ = ["Interruption"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@define
class Interruption:
    """Whether a run is to end, and a sleep that ends with it.

    Attributes:
        is_wanted: Whether the run is to end.
    """

    is_wanted: bool = False
    # A signal may come at any instruction, one that holds an Event's own lock included: setting it would then wait for
    # ever. A SimpleQueue may be put to from anywhere.
    _wakeup: SimpleQueue[None] = field(factory=SimpleQueue, init=False)

    @contextmanager
    def listening(self, announce: Callable[[], None]) -> Iterator[None]:
        """Let the first signal ask for the end, and the next one end the process.

        Args:
            announce: Called with the first signal, from within whatever it interrupts.
        """

        def ask_for_the_end(_signal: int, _frame: FrameType | None) -> None:
            for number in heard:
                # The system's own way, which does not wait for a database call to come back.
                signal.signal(number, signal.SIG_DFL)
            self.is_wanted = True
            self._wakeup.put(None)
            announce()

        # What is ignored from the start, as SIGINT is in a script's background job, stays ignored.
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, ask_for_the_end) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def sleep(self, seconds: float) -> None:
        """Wait some seconds, or until the run is to end."""
        if not self.is_wanted:
            with suppress(Empty):
                self._wakeup.get(timeout=min(seconds, TIMEOUT_MAX))
