"""The job written by hand, as fast as plain Python does it: what credsync is measured against.

No library, no values, no report, nothing to go on from: raw rows, the same reads, the same rules inlined, the same rows
written in the same transactions. `python -m bench.by_hand SOURCE CATALOG OUTBOX`.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

PAGE_SIZE = 100

CERTIFICATES = """
    SELECT c.id, c.user_id, u.username, c.course_id, c.mode, c.status, c.modified_date, c.created_date, o.date
    FROM certificates_generatedcertificate c
    LEFT JOIN auth_user u ON u.id = c.user_id
    LEFT JOIN certificates_certificatedateoverride o ON o.generated_certificate_id = c.id
    WHERE c.id > ? ORDER BY c.id LIMIT ?
"""
GRADES = """
    SELECT id, user_id, course_id, percent_grade, letter_grade, modified
    FROM grades_persistentcoursegrade
    WHERE (modified, course_id, id) > (?, ?, ?) ORDER BY modified, course_id, id LIMIT ?
"""
OUTBOX = """
    CREATE TABLE IF NOT EXISTS credsync_outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, user_id BIGINT, target TEXT, payload TEXT,
        source_time TEXT, state TEXT, created TEXT
    );
    CREATE INDEX IF NOT EXISTS credsync_outbox_key ON credsync_outbox (kind, user_id, target);
"""
INSERT = """
    INSERT INTO credsync_outbox (kind, user_id, target, payload, source_time, state, created)
    VALUES (?, ?, ?, ?, ?, 'pending', datetime('now'))
"""
RELEVANT = {
    "credit",
    "verified",
    "professional",
    "no-id-professional",
    "executive-education",
    "paid-executive-education",
    "paid-bootcamp",
    "masters",
}
QUANTUM = Decimal("0.0001")


def run(source: str, catalog: str, outbox: str) -> None:
    """Do the job."""
    reader = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    writer = sqlite3.connect(outbox)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("PRAGMA synchronous = FULL")
    writer.executescript(OUTBOX)
    programs = json.loads(Path(catalog).read_text(encoding="utf-8"))
    in_programs = {run["key"] for program in programs for run in _iter_runs(program)}
    disabled = _disabled_orgs(reader)
    for rows in _pages(reader, CERTIFICATES, (0,), lambda row: (row[0],)):
        _write(writer, [_certificate(row) for row in rows if row[2] is not None])
    for rows in _pages(reader, GRADES, ("", "", 0), lambda row: (row[5], row[2], row[0])):
        _write(writer, list(_iter_grades(reader, rows, in_programs, disabled)))


def _pages(
    reader: sqlite3.Connection, statement: str, after: tuple[Any, ...], key: Callable[[Any], tuple[Any, ...]]
) -> Iterator[list[Any]]:
    while rows := reader.execute(statement, (*after, PAGE_SIZE)).fetchall():
        yield rows
        after = key(rows[-1])


def _certificate(row: Sequence[Any]) -> tuple[Any, ...]:
    _, user_id, username, course_id, mode, status, modified, _, override = row
    payload = {
        "username": username,
        "credential": {"type": "course-run", "course_run_key": course_id, "mode": mode},
        "status": "awarded" if status == "downloadable" else "revoked",
        "date_override": {"date": _utc(override)} if override else None,
        "lms_user_id": str(user_id),
    }
    return "certificate", user_id, course_id, json.dumps(payload), modified


def _iter_grades(
    reader: sqlite3.Connection, rows: Sequence[Any], in_programs: set[str], disabled: set[str]
) -> Iterator[tuple[Any, ...]]:
    rows = [row for row in rows if _org(row[2]) not in disabled]
    user_ids = list({row[1] for row in rows})
    marks = ",".join("?" * len(user_ids))
    learners = dict(reader.execute(f"SELECT id, username FROM auth_user WHERE id IN ({marks})", user_ids))
    held = {
        (user_id, course_id): (mode, status)
        for user_id, course_id, mode, status in reader.execute(
            "SELECT user_id, course_id, mode, status FROM certificates_generatedcertificate"
            f" WHERE user_id IN ({marks})",
            user_ids,
        )
    }
    incomplete = list({row[1] for row in rows if row[4] is None or row[3] is None or row[5] is None})
    complete = {
        (row[0], row[1]): row[2:]
        for row in reader.execute(
            "SELECT user_id, course_id, percent_grade, letter_grade, modified FROM grades_persistentcoursegrade"
            f" WHERE user_id IN ({','.join('?' * len(incomplete))})",
            incomplete,
        )
    }
    for _, user_id, course_id, *graded in rows:
        percent, letter, modified = graded
        mode, status = held.get((user_id, course_id), (None, None))
        if mode is None or status not in ("notpassing", "downloadable") or (mode not in RELEVANT and mode == "audit"):
            continue
        if course_id not in in_programs:
            continue
        if letter is None or percent is None or modified is None:
            percent, letter, modified = complete[user_id, course_id]
        if user_id not in learners:
            continue
        payload = {
            "username": learners[user_id],
            "course_run": course_id,
            "letter_grade": letter or "",
            "percent_grade": str(Decimal(repr(percent)).quantize(QUANTUM, ROUND_HALF_UP)),
            "verified": True,
            "lms_last_updated_at": _utc(modified),
        }
        yield "grade", user_id, course_id, json.dumps(payload), modified


def _write(writer: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    with writer:
        writer.executemany(INSERT, rows)


def _utc(stored: str) -> str:
    return stored.replace(" ", "T") + "Z"


def _org(course_id: str) -> str:
    return course_id.split(":", 1)[1].split("+", 1)[0] if ":" in course_id else course_id.split("/", 1)[0]


def _iter_runs(program: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for holder in (program, *program.get("curricula", ())):
        for course in holder.get("courses", ()):
            yield from course.get("course_runs", ())
        for child in holder.get("programs", ()):
            yield from _iter_runs(child)


def _disabled_orgs(reader: sqlite3.Connection) -> set[str]:
    disabled: set[str] = set()
    for (text,) in reader.execute("SELECT site_values FROM site_configuration_siteconfiguration WHERE enabled"):
        values = json.loads(text)
        if not values.get("ENABLE_LEARNER_RECORDS", True):
            orgs = values.get("course_org_filter", ())
            disabled |= {orgs} if isinstance(orgs, str) else set(orgs)
    return disabled


if __name__ == "__main__":
    run(*sys.argv[1:])
