"""Running a command and seeing what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

from attrs import frozen

__all__ = ["Cost", "run_python", "side_by_side"]


@frozen
class Cost:
    """What a process took.

    Attributes:
        seconds: From start to end.
        peak: Bytes of memory it held at the most.
    """

    seconds: float
    peak: int


def run_python(*arguments: object, **environment: str) -> Cost:
    """Run this Python with some arguments and environment variables, and raise if it does not end well."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdout=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))} ended with {process.returncode}")
    return Cost(seconds=seconds, peak=usage.ru_maxrss * 1024)


def side_by_side(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> float:
    """Measure two things in turn, so that what else the machine does hits both, and return the ratio of the medians."""
    pairs: Sequence[tuple[float, float]] = [(ours(), theirs()) for _ in range(rounds)]
    return median(one for one, _ in pairs) / median(other for _, other in pairs)
