"""What a page costs: by the database's own account of how it runs the statements of a walk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from sqlalchemy import event

from credsync.adapters.sql import SqlSource
from credsync.paging import PageSource
from credsync.ports import RecordKey
from credsync.selection import Selection
from credsync.testing.campus import Campus
from tests.adapters.edx_database import CERTIFICATE_INDEX, EdxDatabase, Statement, explain, recorded
from tests.adapters.edx_database import TABLES as TABLES_OF_A_PLATFORM

CAMPUS = Campus(learners=300)
SINCE = datetime(2023, 11, 1, tzinfo=UTC)
POPULAR = "course-v1:CampusX+CS111.1x+3T2023"

SELECTIONS = [
    Selection(),
    Selection(start=SINCE),
    Selection(start=SINCE, end=datetime(2024, 6, 1, tzinfo=UTC)),
    Selection(course_runs=[POPULAR]),
    Selection(course_runs=[POPULAR], start=SINCE),
    Selection(orgs=["CampusX", "MathX"], start=SINCE),
    Selection(user_ids=range(1, 25)),
    Selection(user_ids=range(1, 25), course_runs=[POPULAR], start=SINCE),
]

TABLES = {
    "certificates": "certificates_generatedcertificate",
    "overrides": "certificates_certificatedateoverride",
    "grades": "grades_persistentcoursegrade",
}


@pytest.fixture
def campus(edx: EdxDatabase) -> EdxDatabase:
    """A campus, as a database that has not looked at its statistics yet sees it."""
    edx.add_campus(CAMPUS)
    return edx


@pytest.fixture
def source(campus: EdxDatabase) -> Iterator[SqlSource]:
    """The source over it."""
    source = SqlSource(campus.url)
    yield source
    source.close()


def statements_of(source: SqlSource, pages: PageSource[Any], limit: int) -> list[Statement]:
    """Walk, and return each statement that was run."""
    pages.fetch(None, 1)  # the first fetch also looks at the indexes
    with recorded(source.engine) as statements:
        cursor: object = None
        while True:
            cursor = pages.fetch(cursor, limit).next
            if cursor is None:
                return statements


def check_plan(source: SqlSource, statement: Statement, followed: dict[str, str]) -> None:
    """Hold a plan to what a page may cost: it follows the walk's index, and neither sorts nor scans a table.

    Args:
        source: Ran the statement.
        statement: What is explained.
        followed: The index to follow (a pattern), by the table that may lead.
    """
    plan = explain(source.engine, statement)
    judge: dict[str, Callable[[list[str], dict[str, str]], bool]] = {
        "sqlite": is_cheap_on_sqlite,
        "postgresql": is_cheap_on_postgresql,
        "mysql": is_cheap_on_mysql,
    }
    assert judge[source.engine.dialect.name](plan, followed), "\n".join([statement.text, *plan])


def is_cheap_on_sqlite(plan: list[str], followed: dict[str, str]) -> bool:
    """Each table is searched; the first page of all, which has nothing to search for, reads along the order instead."""
    first = plan[0].split(maxsplit=3)[3]
    table, index = next((table, index) for table, index in followed.items() if table in first)
    return (
        not any("TEMP B-TREE" in line or "AUTOMATIC" in line for line in plan)
        and not any(" SCAN " in line for line in plan[1:])
        and (re.search(index, first) is not None or (index == "PRIMARY KEY" and first == f"SCAN {table}"))
    )


def is_cheap_on_postgresql(plan: list[str], followed: dict[str, str]) -> bool:
    """The index is read in its order. Equal keys of an index without the id may be put in order among themselves."""
    text = "\n".join(plan)
    names = {"PRIMARY KEY": "{}_pkey"}
    indexes = [names.get(index, index).format(table)[:40] for table, index in followed.items()]
    return not re.search(r"(?<!Incremental )Sort  |Seq Scan|Hash|Merge", text) and any(
        re.search(f"using {index}", text) for index in indexes
    )


def is_cheap_on_mysql(plan: list[str], followed: dict[str, str]) -> bool:
    """The index is read in its order, and the joins look rows up."""
    first, *joined = (line.split() for line in plan)
    table, access, key = first[2], first[3], first[5]
    return (
        not any("filesort" in line or "temporary" in line for line in plan)
        and access in {"range", "index"}
        and re.fullmatch(followed[table].removesuffix(" KEY"), key) is not None
        and all(line[3] in {"eq_ref", "ref"} for line in joined)
    )


class TestPlans:
    @pytest.mark.parametrize("analyzed", [False, True], ids=["no statistics", "statistics"])
    def test_no_page_of_grades_sorts_or_scans(self, campus: EdxDatabase, source: SqlSource, analyzed: bool) -> None:
        """Stock grades have an index in order of time: a walk follows it from the last key."""
        if analyzed:
            analyze(campus)
        for selection, limit in product(SELECTIONS, (8, 300)):
            # The learners of one course run stand in order in its index, too, and PostgreSQL may see that.
            index = "grades_modified_course" if selection.user_ids is None else "grades_(course_)?user"
            statements = statements_of(source, source.grades(selection), limit)
            for statement in [*statements[:3], *statements[-2:]]:
                check_plan(source, statement, {TABLES["grades"]: index, TABLES["certificates"]: "PRIMARY KEY"})

    @pytest.mark.parametrize("indexed", [False, True], ids=["stock", "with an index on modified_date"])
    @pytest.mark.parametrize("analyzed", [False, True], ids=["no statistics", "statistics"])
    def test_no_page_of_certificates_sorts_or_scans(
        self, campus: EdxDatabase, source: SqlSource, indexed: bool, analyzed: bool
    ) -> None:
        """Stock certificates have none: a walk goes by primary key; where somebody has made one, it is followed."""
        if indexed:
            campus.execute(CERTIFICATE_INDEX)
        if analyzed:
            analyze(campus)
        for selection, limit in product(SELECTIONS, (8, 300)):
            index = "certificates_modified" if indexed else "PRIMARY KEY"
            if selection.user_ids is not None:
                index = "certificates_user"
            statements = statements_of(source, source.certificates(selection), limit)
            for statement in [*statements[:3], *statements[-2:]]:
                check_plan(source, statement, {TABLES["certificates"]: index, TABLES["overrides"]: "PRIMARY KEY"})

    def test_look_ups_search(self, source: SqlSource) -> None:
        """Each is one statement, which finds its rows by index, and nobody else's on the way."""
        keys = [RecordKey(row[1], row[2]) for row in CAMPUS.iter_grades()][:100]
        with recorded(source.engine) as statements:
            source.find_certificates(keys)
            source.find_grades(keys)
            source.find_learners({key.user_id for key in keys})
        assert len(statements) == 3
        for statement in statements:
            plan = "\n".join(explain(source.engine, statement))
            assert not re.search(r"SCAN |Seq Scan|\bALL\b|Hash|Merge", plan), plan


class TestIndexes:
    """Which index a walk follows, as its cursors name it."""

    @pytest.mark.parametrize(
        ("definition", "walk"),
        [
            ("(modified_date)", "modified_date,id"),
            ("(modified_date, course_id)", "modified_date,course_id,id"),
            ("(modified_date, id)", "modified_date,id"),
            ("(course_id, modified_date)", "id"),
            ("(modified_date, grade)", "id"),
            ("(modified_date) WHERE status = 'downloadable'", "id"),
            ("(modified_date, lower(course_id))", "id"),
            ("(lower(course_id))", "id"),
        ],
    )
    def test_only_one_that_carries_every_row_in_order_of_time(
        self, sqlite_edx: EdxDatabase, definition: str, walk: str
    ) -> None:
        """One of some rows, of other columns or of expressions carries no walk: it would lose rows, or sort them."""
        sqlite_edx.execute(f"CREATE INDEX candidate ON certificates_generatedcertificate {definition}")
        assert walk_of_certificates(sqlite_edx) == walk

    def test_the_shortest_of_several(self, sqlite_edx: EdxDatabase) -> None:
        """The fewer columns, the less there is to compare."""
        for name, columns in (("a", "modified_date, course_id"), ("b", "modified_date"), ("c", "modified_date, mode")):
            sqlite_edx.execute(f"CREATE INDEX {name} ON certificates_generatedcertificate ({columns})")
        assert walk_of_certificates(sqlite_edx) == "modified_date,id"

    def test_none_whose_time_may_be_missing(self, sqlite_url: str) -> None:
        """Nothing is greater than a NULL: behind it, a walk in order of time would end."""
        edx = EdxDatabase.create(
            sqlite_url, tables=TABLES_OF_A_PLATFORM.replace("modified_date {time} NOT NULL", "modified_date {time}")
        )
        edx.execute(CERTIFICATE_INDEX)
        assert walk_of_certificates(edx) == "id"
        edx.engine.dispose()

    def test_a_prefix_of_a_text_carries_no_order(self, mysql_edx: EdxDatabase) -> None:
        """MySQL may index the first characters only."""
        mysql_edx.execute("CREATE INDEX prefixed ON certificates_generatedcertificate (modified_date, course_id(20))")
        try:
            assert walk_of_certificates(mysql_edx) == "id"
        finally:
            mysql_edx.execute("DROP INDEX prefixed ON certificates_generatedcertificate")
            mysql_edx.clear()

    def test_a_descending_index_is_left_alone(self, postgresql_edx: EdxDatabase) -> None:
        """Its second column would run against the first."""
        table = "certificates_generatedcertificate"
        postgresql_edx.execute(f"CREATE INDEX descending ON {table} (modified_date DESC, course_id)")
        try:
            assert walk_of_certificates(postgresql_edx) == "id"
        finally:
            postgresql_edx.execute("DROP INDEX descending")
            postgresql_edx.clear()

    def test_a_view_is_walked_without_any(self, edx_views: EdxDatabase) -> None:
        """Where an operator shows views in the place of tables, everything is read all the same."""
        with closing(SqlSource(edx_views.url)) as source:
            source.check()
            for read in (source.certificates, source.grades):
                for selection in (Selection(), Selection(start=SINCE), Selection(user_ids=[1, 2])):
                    assert sum(1 for _ in iter_pages(read(selection), 1)) == 2


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def edx_views(request: pytest.FixtureRequest) -> Iterator[EdxDatabase]:
    """Views in the place of the tables of a platform, on each kind of database in turn."""
    edx = EdxDatabase.create(request.getfixturevalue(f"{request.param}_url"))
    for number in (1, 2):
        edx.add_certificate(number, number)
        edx.add_grade(number, number)
    for table in TABLES.values():
        edx.execute(f"ALTER TABLE {table} RENAME TO hidden_{table[:40]}")
        edx.execute(f"CREATE VIEW {table} AS SELECT * FROM hidden_{table[:40]}")
    yield edx
    edx.engine.dispose()


def walk_of_certificates(edx: EdxDatabase) -> object:
    """Say which walk the certificates of a platform are read in."""
    for number in (1, 2):
        edx.add_certificate(number, number)
    with closing(SqlSource(edx.url)) as source:
        cursor = source.certificates(Selection()).fetch(None, 1).next
    assert isinstance(cursor, dict)
    return cursor["walk"]


def analyze(database: EdxDatabase) -> None:
    """Let the database look at its statistics."""
    for table in TABLES.values():
        database.execute(f"ANALYZE TABLE {table}" if database.dialect == "mysql" else f"ANALYZE {table}")


class TestStatements:
    def test_a_page_costs_one_statement(self, source: SqlSource) -> None:
        """Whatever its size; the second walk of a window adds one in all: it begins on the last page of the first."""
        for read, selection, limit in product(("certificates", "grades"), SELECTIONS, (20, 100)):
            pages: PageSource[Any] = getattr(source, read)(selection)
            statements = statements_of(source, pages, limit)
            count = sum(1 for _ in iter_pages(pages, limit))
            assert count <= len(statements) <= count + 1, selection

    def test_a_page_deep_among_many_learners_costs_one_statement(self, sqlite_edx: EdxDatabase) -> None:
        """Those whose rows lie behind are not asked for again."""
        for user in (1, 700, 1300, 1301):
            sqlite_edx.add_grade(user, user)
        with closing(SqlSource(sqlite_edx.url)) as source:
            pages = source.grades(Selection(user_ids=range(1, 1400)))
            cursor = pages.fetch(None, 3).next
            with recorded(source.engine) as statements:
                assert len(pages.fetch(cursor, 3).records) == 1
            assert len(statements) == 1

    def test_nothing_is_read_before_the_first_page(self, source: SqlSource) -> None:
        """Selecting is not reading."""
        with recorded(source.engine) as statements:
            source.certificates(Selection())
            source.grades(Selection())
        assert statements == []

    def test_indexes_are_looked_at_once(self, source: SqlSource) -> None:
        """Not for each selection."""
        source.check()
        with recorded(source.engine) as statements:
            for _ in range(3):
                source.certificates(Selection(start=SINCE)).fetch(None, 10)
        assert len(statements) == 3

    @pytest.mark.parametrize("read", ["certificates", "grades"])
    @pytest.mark.parametrize("selection", [Selection(), Selection(start=SINCE)], ids=["everything", "since"])
    @pytest.mark.parametrize("indexed", [False, True], ids=["stock", "with an index on modified_date"])
    def test_a_deep_page_costs_what_the_first_costs(
        self, sqlite_edx: EdxDatabase, read: str, selection: Selection, indexed: bool
    ) -> None:
        """Counted in steps of SQLite's machine, which are the same at every run."""
        sqlite_edx.add_campus(CAMPUS)
        if indexed:
            sqlite_edx.execute(CERTIFICATE_INDEX)
        source = SqlSource(sqlite_edx.url)
        steps = count_steps(source)
        pages: PageSource[Any] = getattr(source, read)(selection)
        pages.fetch(None, 1)
        costs = []
        for _ in iter_pages(pages, 20):
            costs.append(len(steps))
            steps.clear()
        early, late = sum(costs[1:4]), max(sum(costs[-5:-2]), sum(costs[-4:-1]))
        assert len(costs) > 15
        assert late <= 1.3 * early
        source.close()


def count_steps(source: SqlSource) -> list[None]:
    """Add an item for every ten steps that SQLite takes."""
    steps: list[None] = []

    @event.listens_for(source.engine, "connect")
    def watch(connection: Any, _record: object) -> None:
        connection.set_progress_handler(lambda: steps.append(None), 10)

    return steps


def iter_pages(pages: PageSource[Any], limit: int) -> Iterator[object]:
    """Yield the pages of a walk."""
    cursor: object = None
    while True:
        page = pages.fetch(cursor, limit)
        yield page
        cursor = page.next
        if cursor is None:
            return
