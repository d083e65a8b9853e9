"""Costs with databases: the command beside a loop written by hand, memory, statements, depth, and the ledger."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from statistics import median

from sqlalchemy import event

from bench.processes import Cost, run_python, side_by_side
from credsync import Host, Program, ProgramIndex, RunOptions, Selection, send_notifications
from credsync.adapters.sql import SqlOutbox, SqlSource
from credsync.adapters.sql.engine import open_database
from credsync.adapters.sql.tables import certificates, grades
from credsync.paging import PageSource, iter_pages
from credsync.testing.campus import Campus, catalog_path, write_sample

__all__ = [
    "measure_depth",
    "measure_ledger",
    "measure_memory",
    "measure_notify",
    "measure_second_run",
    "measure_statements",
    "sample",
    "sent_sample",
]

RECORDS_OF_A_LEARNER = 3.96
"""Certificates and grades of a sample campus, for each of its learners."""

SHARE_SENT = 0.6
"""What part of a sample campus is sent; the rules skip the rest, or something beside it is missing."""


def sample(folder: Path, records: int) -> Path:
    """Return a sample campus with about so many certificates and grades, written once."""
    path = folder / f"campus-{records}.db"
    if not path.exists():
        write_sample(path, Campus(learners=round(records / RECORDS_OF_A_LEARNER)))
    return path


def sent_sample(folder: Path, records: int) -> Path:
    """Return a campus with about so many certificates and grades, each of which is sent, written once.

    It is a sample without the records of which a run sends nothing.
    """
    path = folder / f"sent-{records}.db"
    if not path.exists():
        whole, outbox = sample(folder, round(records / SHARE_SENT)), folder / "sent.db"
        _notify(whole, outbox, "--no-ledger")
        shutil.copy(catalog_path(whole), catalog_path(path))
        shutil.copy(whole, path)
        with closing(sqlite3.connect(path)) as campus:
            campus.execute("ATTACH ? AS delivered", (str(outbox),))
            for kind, table in (("certificate", certificates.name), ("grade", grades.name)):
                campus.execute(
                    f"DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM credsync_outbox AS sent"
                    f" WHERE sent.kind = ? AND sent.user_id = {table}.user_id AND sent.target = {table}.course_id)",
                    (kind,),
                )
            campus.commit()
            campus.execute("VACUUM")
    return path


def measure_notify(folder: Path, records: int = 200_000) -> float:
    """Bring a campus to an outbox with `credsync notify`, against the loop written by hand."""
    source = sample(folder, records)
    run_python("-m", "bench.by_hand", source, catalog_path(source), folder / "warm.db")

    def theirs() -> float:
        outbox = _fresh(folder / "by-hand.db")
        return run_python("-m", "bench.by_hand", source, catalog_path(source), outbox).seconds

    ratio = side_by_side(lambda: _notify(source, folder / "ours.db", "--no-ledger").seconds, theirs, rounds=3)
    _compare(folder / "ours.db", folder / "by-hand.db")
    return ratio


def measure_memory(folder: Path, few: int = 50_000, many: int = 1_000_000) -> float:
    """Compare the peaks of memory of `credsync notify` over many records and over few; with a ledger."""
    peaks = [_notify(sample(folder, records), folder / "memory.db").peak for records in (many, few)]
    return peaks[0] / peaks[1]


def measure_statements(folder: Path) -> float:
    """Count the SQL statements for each page of 100 grades, over 10,000: the source's and the outbox's."""
    path = sample(folder, 20_000)
    source, engine = SqlSource(path), open_database(_fresh(folder / "statements.db"))
    outbox = SqlOutbox(engine)
    host = Host(catalog=_catalog(path), sink=outbox, learners=source, certificates=source, grades=source)
    statements: list[object] = []
    for database in (source.engine, engine):
        event.listen(database, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    report = send_notifications(
        [],
        source.grades(Selection()),
        host=host,
        options=RunOptions(on_progress=lambda _: None, should_stop=_after(100)),
    )
    source.close()
    engine.dispose()
    return len(statements) / (report.read["grade"] / 100)


def _after(pages: int) -> Callable[[], bool]:
    """Make what stops a run after some pages."""
    taken = count()
    return lambda: next(taken) > pages


def measure_depth(folder: Path, records: int = 1_000_000) -> Sequence[tuple[str, float]]:
    """Compare the last tenth of each walk's pages with the first: with the stock indexes, and with one added."""
    stock = sample(folder, records)
    indexed = folder / f"indexed-{records}.db"
    if not indexed.exists():
        shutil.copy(stock, indexed)
        with closing(sqlite3.connect(indexed)) as database:
            database.execute("CREATE INDEX added ON certificates_generatedcertificate (modified_date)")
    ratios = []
    for name, path in (("stock indexes", stock), ("one added", indexed)):
        source = SqlSource(path)
        ratios.append((f"certificates, {name}", _last_tenth_to_first(source.certificates(Selection()))))
        ratios.append((f"grades, {name}", _last_tenth_to_first(source.grades(Selection()))))
        source.close()
    return ratios


def measure_ledger(folder: Path, records: int = 100_000) -> float:
    """Run `credsync notify` with a ledger, against the same run without."""
    source = sample(folder, records)
    return side_by_side(
        lambda: _notify(source, folder / "with.db").seconds,
        lambda: _notify(source, folder / "without.db", "--no-ledger").seconds,
        rounds=7,
    )


def measure_second_run(source: Path, outbox: Path) -> tuple[float, int]:
    """Run `credsync notify` twice, a few times, and say how many times faster the second was, and what it delivered."""
    sent: list[int] = []

    def second() -> float:
        before = _count(outbox)
        seconds = _notify(source, outbox, keep=True).seconds
        sent.append(_count(outbox) - before)
        return seconds

    faster = side_by_side(lambda: _notify(source, outbox).seconds, second, rounds=3)
    return faster, sum(sent)


def _notify(source: Path, outbox: Path, *options: str, keep: bool = False) -> Cost:
    if not keep:
        _fresh(outbox)
    return run_python("-m", "credsync", "notify", source, "--all", "--out", outbox, *options)


def _fresh(path: Path) -> Path:
    for stale in path.parent.glob(f"{path.name}*"):
        stale.unlink()
    return path


def _count(outbox: Path) -> int:
    with closing(sqlite3.connect(outbox)) as database:
        return int(database.execute("SELECT count(*) FROM credsync_outbox").fetchone()[0])


def _compare(ours: Path, theirs: Path) -> None:
    """Make sure that both did the same job, to the letter of each payload's facts."""
    rows = "SELECT kind, user_id, target, json_extract(payload, '$.username', '$.status', '$.percent_grade') FROM"
    with closing(sqlite3.connect(ours)) as database:
        database.execute("ATTACH ? AS other", (str(theirs),))
        for one, other in (("main", "other"), ("other", "main")):
            differing = database.execute(
                f"SELECT count(*) FROM ({rows} {one}.credsync_outbox EXCEPT {rows} {other}.credsync_outbox)"
            ).fetchone()[0]
            if differing:
                raise SystemExit(f"the loop written by hand does another job: {differing} rows only in {one}")


def _catalog(source: Path) -> ProgramIndex:
    return ProgramIndex(Program.from_dict(one) for one in json.loads(catalog_path(source).read_text("utf-8")))


def _last_tenth_to_first(source: PageSource[object]) -> float:
    times: list[float] = []
    started = time.perf_counter()
    for _page in iter_pages(source, 1000):
        ended = time.perf_counter()
        times.append(ended - started)
        started = ended
    tenth = len(times) // 10
    return median(times[-tenth - 1 : -1]) / median(times[1 : tenth + 1])
