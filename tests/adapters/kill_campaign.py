"""Runs from a campus to an outbox, killed at random instants and resumed; prints what came of it as JSON.

A process of its own, because each run is a fork of it: the imports are paid once, and nothing else runs in it. The
arguments are the campus, its catalog, an empty database for outbox and ledger, the number of kills, and a seed.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, text

from credsync import Host, Program, ProgramIndex, RunOptions, Selection, notify
from credsync.adapters.sql import SqlOutbox, SqlSource
from credsync.adapters.sql.ledger import SqlLedger

PAGE_SIZE = 10

State = dict[tuple[str, int, str], str]


def run(campus: str, catalog: str, out: str, *, resume: bool) -> bool:
    """Run until the end, and say whether there was an end; a run that was killed too early to be known starts anew."""
    programs = [Program.from_dict(program) for program in json.loads(Path(catalog).read_text("utf-8"))]
    with closing(SqlSource(campus)) as source, closing(SqlOutbox(out)) as outbox, closing(SqlLedger(out)) as ledger:
        host = Host(
            catalog=ProgramIndex(programs),
            sink=outbox,
            learners=source,
            certificates=source,
            grades=source,
            ledger=ledger,
        )
        is_known = resume and ledger.find_resumable() is not None
        options = RunOptions(resume=is_known)
        report = notify(source, Selection(), page_size=PAGE_SIZE, notify_programs=True, host=host, options=options)
    return report.status == "complete" and not report.unaccounted


def run_in_a_fork(campus: str, catalog: str, out: str, seconds: float, *, resume: bool) -> bool:
    """Run in a child, kill it after some seconds, and say whether it had come to its end before."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if run(campus, catalog, out, resume=resume) else 1)
        finally:
            os._exit(2)
    handle = os.pidfd_open(pid)
    select.select([handle], [], [], seconds)
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)
    status = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a run ended with {os.WEXITSTATUS(status)}")
    return os.WIFEXITED(status)


def held(out: str) -> tuple[State, int]:
    """Return the last payload for each key, and how many records were delivered; awards come on top of a page's."""
    engine = create_engine(out)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT kind, user_id, target, payload FROM credsync_outbox ORDER BY id")).all()
    engine.dispose()
    records = sum(kind != "program" for kind, *_ in rows)
    return {(kind, user_id, target): payload for kind, user_id, target, payload in rows}, records


def clear(out: str) -> None:
    """Forget everything, so that the next run is a first one."""
    engine = create_engine(out)
    with engine.begin() as connection:
        for table in ("outbox", "entries", "runs", "counts", "timeline", "failures"):
            connection.execute(text(f"DELETE FROM credsync_{table}"))
    engine.dispose()


def main(campus: str, catalog: str, out: str, wanted: int, seed: int) -> dict[str, object]:
    """Kill as often as is wanted, and return what must hold after each run that was undisturbed in the end."""
    chance = random.Random(seed)
    begun = time.monotonic()
    if not run_in_a_fork(campus, catalog, out, 60, resume=False):
        raise SystemExit("an undisturbed run takes more than a minute")
    whole = time.monotonic() - begun
    truth, deliveries = held(out)
    kills = rounds = wrong = repeated_too_often = 0
    while kills < wanted:
        clear(out)
        killed = 0
        while not run_in_a_fork(
            campus, catalog, out, chance.uniform(0, whole) if killed < 12 else 60, resume=killed > 0
        ):
            killed += 1
        state, sent = held(out)
        wrong += state != truth
        repeated_too_often += sent - deliveries > killed * PAGE_SIZE
        kills += killed
        rounds += 1
    return {
        "kills": kills,
        "rounds": rounds,
        "deliveries": deliveries,
        "wrong": wrong,
        "repeated_too_often": repeated_too_often,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))))
