"""Runs `credsync notify` in children that are killed at random instants, until all of the work is done.

A script of its own: the process that forks has everything imported, so that a child is born in milliseconds. It is told
what to do as JSON on its standard input, and writes how many children it killed in each job, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

import credsync.adapters.sql  # noqa: F401  # the command imports it when it needs it; here every child would
from credsync.cli import main

EARLIEST, LATEST = 0.2, 0.9
"""When a child is killed at the earliest and the latest, as shares of what an undisturbed run takes."""

FIRST = 0.4
"""How much of that counts for the first child of a run: other load may have made the undisturbed run a long one."""

PATIENCE = 1.05
"""By how much longer the next child of a run may live, so that each run comes to its end."""

GOES_ON = ("there is no run to resume", "is complete")
"""What a child says that was to resume a run which had not begun yet, or was over: then it begins one."""

WAITS = "another run holds the ledger"
"""What a child says that is faster than a database server, which has not noticed yet that the last one is dead."""


def carry_out(jobs: Sequence[Sequence[Sequence[str]]], kills: int, seed: int) -> list[int]:
    """Do the first job undisturbed, then the others, until so many children were killed.

    Args:
        jobs: Each a list of runs, one after the other; a run is the arguments of the command.
        kills: The job in which the last of so many children is killed is the last job.
        seed: Of the instants.

    Returns:
        How many children were killed in each job that was begun.
    """
    durations = [measure(run) for run in jobs[0]]
    chance = random.Random(seed)
    killed = [0]
    for job in jobs[1:]:
        killed.append(sum(run_to_the_end(run, duration, chance) for run, duration in zip(job, durations, strict=True)))
        if sum(killed) >= kills:
            break
    return killed


def measure(run: Sequence[str]) -> float:
    """Do a run undisturbed, and return the seconds that it took."""
    begun = time.monotonic()
    status, said = live(run)
    expect(status in (0, 1), said)
    return time.monotonic() - begun


def run_to_the_end(run: Sequence[str], duration: float, chance: random.Random) -> int:
    """Do a run, and go on with it as often as it is killed; return how often that was."""
    killed, resume, duration = 0, False, FIRST * duration
    while True:
        status, said = live([*run, "--resume"] if resume else run, chance.uniform(EARLIEST, LATEST) * duration)
        if status == -signal.SIGKILL:
            killed, resume = killed + 1, True
            duration *= PATIENCE
        elif status in (0, 1):
            return killed
        else:
            expect(status == 2 and (WAITS in said or (resume and any(reason in said for reason in GOES_ON))), said)
            resume = resume and WAITS in said


def live(run: Sequence[str], seconds: float = 0) -> tuple[int, str]:
    """Do a run in a child that may live for so long, and return its status and what it said; 0 lets it live."""
    with tempfile.TemporaryFile() as said:
        child = os.fork() or be(run, said.fileno())
        signal.signal(signal.SIGALRM, kill(child))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        _, status = os.waitpid(child, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        said.seek(0)
        return os.waitstatus_to_exitcode(status), said.read().decode()


def kill(child: int) -> Callable[..., None]:
    """Make what kills a child when its time has come."""

    def kill_child(*_: object) -> None:
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(child, signal.SIGKILL)

    return kill_child


def be(run: Sequence[str], said: int) -> NoReturn:
    """Be the child: do the run, and exit with its status."""
    status = 99
    try:
        os.dup2(said, sys.stdout.fileno())
        os.dup2(said, sys.stderr.fileno())
        main(["notify", *run])
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(status)


def expect(is_so: bool, said: str) -> None:
    """Give up, with what a child said, unless something is so."""
    if not is_so:
        sys.exit(f"a run went wrong by itself: {said}")


if __name__ == "__main__":
    print(json.dumps(carry_out(**json.load(sys.stdin))))  # noqa: T201  # its answer
