"""Walks while rows change, walks that go on from a cursor, and walks over any rows at all."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from credsync.adapters.sql import SqlSource
from credsync.errors import SourceError
from credsync.model import Certificate, Grade
from credsync.paging import PageSource
from credsync.selection import Selection
from credsync.testing.campus import Campus
from tests.adapters.edx_database import CERTIFICATE_INDEX, OTHER_RUN, RUN, TABLES, EdxDatabase
from tests.adapters.walking import keys, meets, moment, walk

CAMPUS = Campus(learners=150)
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class TestChangesOnTheWay:
    """Rows that come, change and go while a walk is on, after each page."""

    def test_in_order_of_time_a_touched_row_comes_again(self, edx: EdxDatabase, source: SqlSource) -> None:
        """Along the index, nothing is lost, and what changed behind the cursor comes once more."""
        for number in range(1, 41):
            edx.add_grade(number, number)
        pages, cursor, clock, seen = source.grades(Selection()), None, NOON, Counter[int]()
        latest: dict[int, datetime | None] = {}
        deleted: set[int] = set()
        for step in range(1, 100):
            page = pages.fetch(cursor, 4)
            grades = [record for record in page.records if isinstance(record, Grade)]
            seen.update(grade.user_id for grade in grades)
            latest |= {grade.user_id: grade.modified for grade in grades}
            cursor = page.next
            if cursor is None:
                break
            if step < 8:
                clock += SECOND
                now = str(clock.replace(tzinfo=None))
                touched, gone = step, 40 - 2 * step
                edx.execute(f"UPDATE grades_persistentcoursegrade SET modified = '{now}' WHERE user_id = {touched}")
                edx.execute(f"DELETE FROM grades_persistentcoursegrade WHERE user_id = {gone}")
                deleted.add(gone)
                edx.add_grade(100 + step, 100 + step, modified=now)
        left = set(range(1, 41)) - deleted | {100 + step for step in range(1, 8)}
        assert left <= set(seen)
        assert [seen[user] for user in (1, 2, 3, 4)] == [2, 2, 2, 2], "seen on the first page, then touched"
        assert {user: latest[user] for user in range(1, 8)} == {user: NOON + user * SECOND for user in range(1, 8)}

    def test_by_primary_key_each_row_that_stays_comes_once(self, edx: EdxDatabase, source: SqlSource) -> None:
        """Touched, deleted and new rows move nobody else's place."""
        for number in range(1, 41):
            edx.add_certificate(number, number)
        pages, cursor, seen = source.certificates(Selection()), None, Counter[int]()
        for step in range(1, 100):
            page = pages.fetch(cursor, 4)
            seen.update(record.user_id for record in page.records if isinstance(record, Certificate))
            cursor = page.next
            if cursor is None:
                break
            if step < 8:
                modified = f"UPDATE certificates_generatedcertificate SET modified_date = '2024-04-0{step} 00:00:00'"
                edx.execute(f"{modified} WHERE user_id IN ({step}, {step + 20})")
                edx.execute(f"DELETE FROM certificates_generatedcertificate WHERE user_id = {step + 1}")
                edx.add_certificate(100 + step, 100 + step)
        stayed = {1, *range(9, 41)} | {100 + step for step in range(1, 8)}
        assert {user: seen[user] for user in stayed} == dict.fromkeys(stayed, 1)

    def test_a_cursor_outlives_its_source(self, edx: EdxDatabase, source: SqlSource) -> None:
        """A restarted run goes on behind the last page of the one before."""
        edx.add_campus(CAMPUS)
        for read in ("certificates", "grades"):
            first = getattr(source, read)(Selection()).fetch(None, 50)
            again = SqlSource(edx.url)
            rest = walk_on(getattr(again, read)(Selection()), json.loads(json.dumps(first.next)))
            again.close()
            assert keys([*first.records, *rest]) == keys(walk(getattr(source, read)(Selection()), 1000))

    @pytest.mark.parametrize("cursor", [17, "id", ["id"], {"walk": "modified,id", "after": [1]}, {}])
    def test_a_strange_cursor_is_refused(self, sqlite_edx: EdxDatabase, cursor: object) -> None:
        """Better than starting somewhere."""
        source = SqlSource(sqlite_edx.url)
        with pytest.raises(SourceError, match="is of another selection, or other indexes") as caught:
            source.grades(Selection()).fetch(cursor, 10)
        assert caught.value.cursor == cursor
        source.close()


def walk_on(pages: PageSource[Any], cursor: object) -> list[Any]:
    """Walk on from a cursor, in one page."""
    page = pages.fetch(cursor, 1000)
    assert page.next is None
    return list(page.records)


TIMES = st.sampled_from(
    [f"2024-03-01 12:00:0{second}{fraction}" for second in range(4) for fraction in ("", ".5", ".000000")]
)
BOUNDS = st.none() | st.integers(0, 8).map(lambda halves: NOON + halves * SECOND / 2)
RUNS = [RUN, OTHER_RUN, "TestX/Intro/2013"]


class TestAnyRows:
    @given(
        rows=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(RUNS), TIMES, st.none() | TIMES), max_size=25),
        bounds=st.tuples(BOUNDS, BOUNDS),
        user_ids=st.none() | st.sets(st.integers(1, 6)),
        orgs=st.none() | st.sets(st.sampled_from(["TestX", "OtherX"])),
        limit=st.integers(1, 9),
        index=st.booleans(),
    )
    def test_any_selection_of_any_rows_gives_each_once(
        self,
        rows: list[tuple[int, str, str, str | None]],
        bounds: tuple[datetime | None, datetime | None],
        user_ids: set[int] | None,
        orgs: set[str] | None,
        limit: int,
        index: bool,
    ) -> None:
        """With times in every spelling, many of them equal, a walk gives what a filter gives."""
        start, end = bounds
        if start and end and start >= end:
            start, end = end, start + SECOND
        selection = Selection(start=start, end=end, user_ids=user_ids, orgs=orgs)
        rows = list({row[:2]: row for row in rows}.values())
        engine = create_engine("sqlite://", poolclass=StaticPool)
        with engine.begin() as connection:
            for statement in [*TABLES.split(";"), *([CERTIFICATE_INDEX] if index else [])]:
                counted = "integer NOT NULL PRIMARY KEY AUTOINCREMENT"
                connection.exec_driver_sql(statement.format(time="datetime", counted=counted))
        edx = EdxDatabase("", engine)
        for number, (user, run, modified, overridden) in enumerate(rows, start=1):
            edx.add_grade(number, user, run, modified=modified)
            edx.add_certificate(number, user, run, modified=modified)
            if overridden:
                edx.add_override(100 - number, number, modified=overridden)
        source = SqlSource(engine)
        selected = [row for row in rows if meets(selection, row[0], row[1])]
        grades = sorted(row[:2] for row in selected if selection.is_in_window(moment(row[2])))
        certificates = sorted(
            row[:2]
            for row in selected
            if selection.is_in_window(moment(row[2])) or (row[3] and selection.is_in_window(moment(row[3])))
        )
        assert sorted(keys(walk(source.grades(selection), limit))) == grades
        assert sorted(keys(walk(source.certificates(selection), limit))) == certificates
        engine.dispose()
