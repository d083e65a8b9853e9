"""Walking through page sources in tests, and what a walk is to give: found the slow way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, TypeVar

from credsync.errors import InvalidRecordError
from credsync.paging import PageSource
from credsync.selection import Selection

R = TypeVar("R")


def walk(pages: PageSource[R], limit: int = 7) -> list[R | InvalidRecordError]:
    """Walk through all pages, each cursor brought through JSON as a ledger does."""
    records: list[R | InvalidRecordError] = []
    cursor: object = None
    seen = set()
    while True:
        page = pages.fetch(cursor, limit)
        assert len(page.records) <= limit
        records += page.records
        if page.next is None:
            return records
        assert len(page.records) == limit, "only the last page may have room left"
        text = json.dumps(page.next)
        assert text not in seen, "the walk goes in circles"
        seen.add(text)
        cursor = json.loads(text)


def keys(records: list[Any]) -> list[tuple[int, str]]:
    """Name records by learner and course run, in their order."""
    return [(record.user_id, str(record.course_id)) for record in records]


def moment(text: str) -> datetime:
    """Read a time as Django writes it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def meets(selection: Selection, user: int, run: str) -> bool:
    """Whether a record meets all conditions but the window."""
    org = run.removeprefix("course-v1:").replace("/", "+").split("+")[0]
    return (
        (selection.user_ids is None or user in selection.user_ids)
        and (selection.course_runs is None or run in selection.course_runs)
        and (selection.orgs is None or org in selection.orgs)
    )
