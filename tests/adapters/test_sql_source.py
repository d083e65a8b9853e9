"""The source over a database: what it selects, page by page, and what one bad row costs."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from attrs import evolve

from credsync.adapters.sql import SqlSource
from credsync.errors import InvalidRecordError
from credsync.model import Certificate, Grade, GradeContext
from credsync.paging import PageSource, iter_pages
from credsync.ports import CertificateStore, GradeStore, LearnerDirectory, RecordKey, RecordSource
from credsync.selection import Selection
from credsync.testing.campus import Campus
from tests.adapters.edx_database import BASE, CERTIFICATE_INDEX, OTHER_RUN, RUN, EdxDatabase
from tests.adapters.walking import keys, meets, moment, walk

R = TypeVar("R")

CAMPUS = Campus(learners=150)
POPULAR = "course-v1:CampusX+CS111.1x+3T2023"
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)


def expected_certificates(campus: Campus, selection: Selection) -> list[tuple[int, str]]:
    """Select a campus's certificates the slow way."""
    overridden = {row[1]: moment(row[6]) for row in campus.iter_date_overrides()}
    return sorted(
        (user, run)
        for id_, user, run, _, _, _, modified, _, _ in campus.iter_certificates()
        if meets(selection, user, run)
        and (
            selection.is_in_window(moment(modified)) or (id_ in overridden and selection.is_in_window(overridden[id_]))
        )
    )


def expected_grades(campus: Campus, selection: Selection) -> list[tuple[int, str]]:
    """Select a campus's grades the slow way."""
    certified = {(row[1], row[2]): moment(row[6]) for row in campus.iter_certificates()}
    return sorted(
        (user, run)
        for _, user, run, _, _, _, _, modified in campus.iter_grades()
        if meets(selection, user, run)
        and (
            selection.is_in_window(moment(modified))
            or ((user, run) in certified and selection.is_in_window(certified[user, run]))
        )
    )


AUTUMN = Selection(start=datetime(2023, 11, 1, tzinfo=UTC), end=datetime(2024, 3, 15, tzinfo=UTC))

SELECTIONS = {
    "everything": Selection(),
    "since": Selection(start=datetime(2024, 2, 1, tzinfo=UTC)),
    "until": Selection(end=datetime(2024, 2, 1, tzinfo=UTC)),
    "window": AUTUMN,
    "runs": Selection(course_runs=[POPULAR, "ArchiveX/HIS129/1T2023"]),
    "orgs": evolve(AUTUMN, orgs=["ArchiveX", "ScienceX"]),
    "learners": Selection(user_ids=range(20, 120)),
    "learners in a window": evolve(AUTUMN, user_ids=range(20, 120)),
    "all conditions": evolve(AUTUMN, user_ids=range(90), course_runs=[POPULAR], orgs="CampusX"),
    "no run": Selection(course_runs=[]),
    "no learner": Selection(user_ids=[]),
    "no org": Selection(orgs=[]),
    "unknown org": Selection(orgs=["Campus"]),
}


class TestSelection:
    def test_meets_the_ports(self, sqlite_edx: EdxDatabase) -> None:
        """One object is the source and all three look-ups."""
        source = SqlSource(sqlite_edx.url)
        records: RecordSource = source
        learners: LearnerDirectory = source
        certificates: CertificateStore = source
        grades: GradeStore = source
        assert isinstance(records.certificates(Selection()), PageSource)
        assert {id(port) for port in (learners, certificates, grades)} == {id(source)}

    @pytest.mark.parametrize("index", [False, True], ids=["stock", "with an index on modified_date"])
    def test_gives_each_selected_record_once(self, edx: EdxDatabase, source: SqlSource, index: bool) -> None:
        """Each selection gives what a filter over all rows gives, whatever the page size and the walk."""
        edx.add_campus(CAMPUS)
        if index:
            edx.execute(CERTIFICATE_INDEX)
        for name, selection in SELECTIONS.items():
            for limit in (7, 100):
                certificates = walk(source.certificates(selection), limit)
                assert sorted(keys(certificates)) == expected_certificates(CAMPUS, selection), name
                grades = walk(source.grades(selection), limit)
                assert sorted(keys(grades)) == expected_grades(CAMPUS, selection), name

    def test_counts_what_it_would_give(self, edx: EdxDatabase, source: SqlSource) -> None:
        """Each selection has as many records as its walks give, or as many as somebody wants to know of."""
        edx.add_campus(CAMPUS)
        for name, selection in SELECTIONS.items():
            walked = {
                "certificate": len(expected_certificates(CAMPUS, selection)),
                "grade": len(expected_grades(CAMPUS, selection)),
            }
            assert source.count(selection) == walked, name
        assert source.count(Selection(), at_most=20) == {"certificate": 20, "grade": 20}

    def test_a_changed_certificate_brings_its_grade_once(self, edx: EdxDatabase, source: SqlSource) -> None:
        """In the window by itself, by its certificate, or by both: a grade comes once."""
        inside, outside = "2024-04-01 00:00:00", "2024-01-01 00:00:00"
        for number, (graded, certified) in enumerate(
            [(inside, inside), (inside, outside), (outside, inside), (outside, outside), (inside, None)], start=1
        ):
            edx.add_grade(number, number, modified=graded)
            if certified:
                edx.add_certificate(number + 10, number, modified=certified)
        selection = Selection(start=NOON + SECOND)
        for limit in (1, 2, 3, 4):
            assert sorted(keys(walk(source.grades(selection), limit))) == [(1, RUN), (2, RUN), (3, RUN), (5, RUN)]
        assert sorted(keys(walk(source.grades(evolve(selection, user_ids=range(10)))))) == [
            (1, RUN),
            (2, RUN),
            (3, RUN),
            (5, RUN),
        ]

    @pytest.mark.parametrize("edx", ["mysql"], indirect=True)
    @pytest.mark.parametrize(
        "way",
        [
            "utf8mb4 COLLATE utf8mb4_unicode_ci",
            "utf8mb4 COLLATE utf8mb4_bin",
            "utf8mb3 COLLATE utf8mb3_general_ci",
            "latin1 COLLATE latin1_swedish_ci",
        ],
    )
    @pytest.mark.parametrize("table", ["certificates_generatedcertificate", "grades_persistentcoursegrade"])
    def test_takes_tables_of_different_collations(
        self, edx: EdxDatabase, source: SqlSource, way: str, table: str
    ) -> None:
        """MySQL refuses to compare them as they are; a platform that was upgraded in parts may have both."""
        edx.add_grade(1, 1, modified="2024-01-01 00:00:00")
        edx.add_certificate(1, 1, modified="2024-04-01 00:00:00")
        edx.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET {way}")
        try:
            for window in (Selection(), Selection(start=NOON + SECOND)):
                for selection in (window, evolve(window, user_ids=[1])):
                    (one,) = walk(source.grades(selection))
                    assert isinstance(one, Grade)
                    assert one.context == GradeContext(username=None, mode="verified", status="downloadable")
                    assert source.count(selection)["grade"] == 1
        finally:
            edx.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")

    @pytest.mark.parametrize("edx", ["postgresql"], indirect=True)
    def test_takes_columns_of_different_collations(self, edx: EdxDatabase, source: SqlSource) -> None:
        """PostgreSQL knows no better than to ask which of the two is meant."""
        edx.add_grade(1, 1)
        edx.add_certificate(1, 1)
        tables = {"certificates_generatedcertificate": "C", "grades_persistentcoursegrade": "POSIX"}
        for table, collation in tables.items():
            edx.execute(f'ALTER TABLE {table} ALTER course_id TYPE varchar(255) COLLATE "{collation}"')
        try:
            (one,) = walk(source.grades(Selection()))
        finally:
            for table in tables:
                edx.execute(f'ALTER TABLE {table} ALTER course_id TYPE varchar(255) COLLATE "default"')
        assert isinstance(one, Grade)
        assert one.context is not None

    @pytest.mark.parametrize("page_size", [1, 2, 3, 4])
    def test_a_grade_beside_which_there_are_two_certificates_comes_once(
        self, sqlite_edx: EdxDatabase, page_size: int
    ) -> None:
        """A platform's unique index may be missing; which of the two counts, a look-up says, as for any host."""
        sqlite_edx.execute("DROP INDEX certificates_user_course")
        for user_id in (1, 2, 3):
            sqlite_edx.add_grade(user_id, user_id)
            sqlite_edx.add_certificate(user_id, user_id)
        sqlite_edx.add_certificate(4, 2, status="notpassing")
        with closing(SqlSource(sqlite_edx.url)) as source:
            pages = list(iter_pages(source.grades(Selection()), page_size))
        found = [record for page in pages for record in page.records]
        assert keys(found) == [(1, RUN), (2, RUN), (3, RUN)]
        if len(pages) == 1:
            assert [one.context is None for one in found if isinstance(one, Grade)] == [False, True, False]

    def test_ends_with_the_last_full_page(self, edx: EdxDatabase, source: SqlSource) -> None:
        """A page that takes the last record has no next one, also when it is full."""
        for number in range(1, 5):
            edx.add_grade(number, number)
        page = source.grades(Selection()).fetch(None, 2)
        assert page.next is not None
        last = source.grades(Selection()).fetch(page.next, 2)
        assert (len(last.records), last.next) == (2, None)

    def test_gives_nothing_of_an_empty_database(self, source: SqlSource) -> None:
        """No rows, one empty page."""
        page = source.certificates(Selection(start=NOON)).fetch(None, 10)
        assert (list(page.records), page.next) == ([], None)

    def test_takes_more_values_than_a_statement_has_parameters(self, edx: EdxDatabase, source: SqlSource) -> None:
        """SQLite takes 32,766 parameters, PostgreSQL 65,535; a selection may hold more of each."""
        edx.add_grade(1, 1)
        edx.add_grade(2, 70_000, OTHER_RUN)
        edx.add_grade(3, 70_001)
        runs = [RUN, OTHER_RUN, *(f"course-v1:TestX+C{number}+R" for number in range(66_000))]
        assert sorted(keys(walk(source.grades(Selection(course_runs=runs))))) == [
            (1, RUN),
            (70_000, OTHER_RUN),
            (70_001, RUN),
        ]
        assert keys(walk(source.grades(Selection(user_ids=range(70_001))), 1)) == [(1, RUN), (70_000, OTHER_RUN)]

    @pytest.mark.parametrize("org", ["testx", "Test_", "Test%", "TestX+Intro", "Te"])
    def test_holds_orgs_to_the_letter(self, edx: EdxDatabase, source: SqlSource, org: str) -> None:
        """Neither case nor wildcards nor the beginning of another one's name make an organisation."""
        edx.add_grade(1, 1)
        assert walk(source.grades(Selection(orgs=[org]))) == []
        assert len(walk(source.grades(Selection(orgs=["TestX"])))) == 1

    def test_knows_the_orgs_of_all_kinds_of_course_keys(self, edx: EdxDatabase, source: SqlSource) -> None:
        """Legacy keys and those of CCX courses have organisations, too."""
        for number, run in enumerate((RUN, "TestX/Intro/2013", "ccx-v1:TestX+Intro+2024+ccx@3"), start=1):
            edx.add_grade(number, number, run)
        assert len(walk(source.grades(Selection(orgs="TestX")))) == 3

    def test_holds_course_runs_to_the_letter(self, edx: EdxDatabase, source: SqlSource) -> None:
        """A database that takes A for a is not asked for an opinion."""
        edx.add_grade(1, 1)
        assert walk(source.grades(Selection(course_runs=[RUN.replace("Intro", "INTRO")]))) == []


class TestWindow:
    @pytest.mark.parametrize("spelling", [BASE, f"{BASE}.000000"])
    def test_takes_in_its_start_and_not_its_end(self, edx: EdxDatabase, source: SqlSource, spelling: str) -> None:
        """A row exactly on a bound falls on the right side, however its time is spelled."""
        edx.add_grade(1, 1, modified=spelling)
        edx.add_certificate(1, 1, modified=spelling)
        for read in (source.grades, source.certificates):
            assert len(walk(read(Selection(start=NOON)))) == 1
            assert len(walk(read(Selection(start=NOON, end=NOON + MICROSECOND)))) == 1
            assert walk(read(Selection(end=NOON))) == []
            assert walk(read(Selection(start=NOON + MICROSECOND))) == []

    @pytest.mark.parametrize("spelling", [f"{BASE}.500000", f"{BASE}.5", f"{BASE}.500"])
    def test_compares_fractions(self, edx: EdxDatabase, source: SqlSource, spelling: str) -> None:
        """Half a second is half a second, with zeros behind it or without."""
        edx.add_grade(1, 1, modified=spelling)
        half = NOON + SECOND / 2
        assert len(walk(source.grades(Selection(start=half, end=half + MICROSECOND)))) == 1
        assert len(walk(source.grades(Selection(start=NOON, end=NOON + SECOND)))) == 1
        assert walk(source.grades(Selection(end=half))) == []
        assert walk(source.grades(Selection(start=half + MICROSECOND))) == []

    def test_takes_bounds_of_any_zone(self, edx: EdxDatabase, source: SqlSource) -> None:
        """A bound is a moment, wherever its clock hangs."""
        edx.add_grade(1, 1)
        in_tokyo = datetime.fromisoformat("2024-03-01T21:00:00+09:00")
        assert len(walk(source.grades(Selection(start=in_tokyo)))) == 1
        assert walk(source.grades(Selection(end=in_tokyo))) == []


class TestDateOverrides:
    def test_a_changed_override_brings_its_certificate_once(self, edx: EdxDatabase, source: SqlSource) -> None:
        """In the window by itself, by its override, or by both: a certificate comes once."""
        late = "2024-03-02 00:00:00"
        for number, (modified, overridden) in enumerate(
            [(late, None), (BASE, late), (late, late), (BASE, BASE), (BASE, late)], start=1
        ):
            edx.add_certificate(number + 10, number, modified=modified)
            if overridden:
                edx.add_override(number, number + 10, date="2024-05-05 05:05:05", modified=overridden)
        selection = Selection(start=NOON + SECOND)
        for limit in (1, 2, 3, 4):
            found = walk(source.certificates(selection), limit)
            assert sorted(keys(found)) == [(1, RUN), (2, RUN), (3, RUN), (5, RUN)]

    def test_an_override_from_before_the_window_brings_nothing(self, edx: EdxDatabase, source: SqlSource) -> None:
        """The window is half-open for overrides, too."""
        edx.add_certificate(1, 1)
        edx.add_override(1, 1, modified="2024-04-01 00:00:00")
        bound = datetime(2024, 4, 1, tzinfo=UTC)
        assert len(walk(source.certificates(Selection(start=bound)))) == 1
        assert walk(source.certificates(Selection(start=NOON + SECOND, end=bound))) == []

    def test_a_certificate_beside_the_window_comes_with_its_override(self, edx: EdxDatabase, source: SqlSource) -> None:
        """One that changed right at the window's end, or right before its start."""
        edx.add_certificate(1, 1, modified="2024-03-01 12:00:01")
        edx.add_certificate(2, 2, modified="2024-03-01 11:59:59.999999")
        for number in (1, 2):
            edx.add_override(number, number)
        selection = Selection(start=NOON, end=NOON + SECOND)
        assert sorted(keys(walk(source.certificates(selection)))) == [(1, RUN), (2, RUN)]

    def test_the_override_is_part_of_its_certificate(self, edx: EdxDatabase, source: SqlSource) -> None:
        """The date comes along on every walk and in the look-up."""
        edx.add_certificate(1, 1, modified="2024-01-01 00:00:00")
        edx.add_override(1, 1, date="2024-05-05 05:05:05.000005")
        expected = datetime(2024, 5, 5, 5, 5, 5, 5, tzinfo=UTC)
        selections = (Selection(), Selection(start=NOON), Selection(user_ids=[1]))
        found: list[Any] = [cert for selection in selections for cert in walk(source.certificates(selection))]
        found += source.find_certificates([RecordKey(1, RUN)]).values()
        assert [cert.date_override for cert in found] == [expected] * 4


class TestRecords:
    def test_a_certificate_has_all_its_facts(self, edx: EdxDatabase, source: SqlSource) -> None:
        """What the row says, and the learner's name beside it."""
        edx.add_learner(7, "ada")
        edx.add_certificate(1, 7, mode="honor", status="notpassing", modified=f"{BASE}.000001")
        (cert,) = walk(source.certificates(Selection()))
        assert isinstance(cert, Certificate)
        assert (cert.user.id, cert.user.username, str(cert.course_id)) == (7, "ada", RUN)
        assert (cert.mode, cert.status, cert.date_override) == ("honor", "notpassing", None)
        assert (cert.created_date, cert.modified_date) == (NOON, NOON + MICROSECOND)

    def test_a_grade_has_all_its_facts(self, edx: EdxDatabase, source: SqlSource) -> None:
        """What the row says; its id may be beyond 32 bits, and its letter missing."""
        edx.add_grade(2**40, 7, percent=0.8500000000000001, letter=None)
        edx.add_grade(2**40 + 1, 8, letter="")
        expected = Grade(user_id=7, course_id=RUN, percent_grade=0.8500000000000001, letter_grade=None, modified=NOON)
        found = walk(source.grades(Selection()), 1)
        assert found[0] == expected
        assert isinstance(found[1], Grade)
        assert found[1].letter_grade == ""

    def test_a_grade_comes_with_its_learners_context(self, edx: EdxDatabase, source: SqlSource) -> None:
        """On every walk; what is not visible is none."""
        for user_id, name in ((1, "ada"), (2, "bob"), (3, None)):
            edx.add_grade(user_id, user_id)
            if name:
                edx.add_learner(user_id, name)
        edx.add_certificate(1, 1, mode="honor", status="notpassing")
        edx.add_certificate(2, 2, course_id=OTHER_RUN)
        edx.add_certificate(3, 3)
        expected = {
            1: GradeContext(username="ada", mode="honor", status="notpassing"),
            2: GradeContext(username="bob", mode=None, status=None),
            3: GradeContext(username=None, mode="verified", status="downloadable"),
        }
        for selection in (Selection(), Selection(start=NOON), Selection(user_ids=[1, 2, 3])):
            found = walk(source.grades(selection))
            assert {one.user_id: one.context for one in found if isinstance(one, Grade)} == expected
        edx.execute("UPDATE grades_persistentcoursegrade SET modified = '2020-01-01 00:00:00'")
        (one, _) = walk(source.grades(Selection(start=NOON)))  # as certificates changed
        assert isinstance(one, Grade)
        assert one.context == expected[1]

    def test_what_is_odd_beside_a_grade_is_left_for_a_look_up(self, sqlite_edx: EdxDatabase) -> None:
        """The error that it leads to names the record that is broken."""
        sqlite_edx.add_grade(1, 1)
        sqlite_edx.add_certificate(1, 1)
        sqlite_edx.execute("UPDATE certificates_generatedcertificate SET mode = X'00'")
        with closing(SqlSource(sqlite_edx.url)) as source:
            (one,) = walk(source.grades(Selection()))
        assert isinstance(one, Grade)
        assert one.context is None

    @pytest.mark.parametrize("edx", ["mysql"], indirect=True)
    def test_a_certificate_of_another_spelling_is_none(self, edx: EdxDatabase, source: SqlSource) -> None:
        """MySQL joins what differs in upper and lower case; a look-up, which does not, decides."""
        edx.add_grade(1, 1)
        edx.add_certificate(1, 1, course_id=RUN.lower())
        (one,) = walk(source.grades(Selection()))
        assert isinstance(one, Grade)
        assert one.context is None

    def test_a_missing_learner_is_unknown_not_gone(self, edx: EdxDatabase, source: SqlSource) -> None:
        """A certificate whose learner is not visible yet comes without a name."""
        edx.add_certificate(1, 7)
        (cert,) = walk(source.certificates(Selection()))
        assert isinstance(cert, Certificate)
        assert (cert.user.id, cert.user.username) == (7, None)

    @pytest.mark.parametrize("key", ["no key", "course-v1:TestX+" + "x" * 239])
    def test_an_impossible_course_key_costs_one_record(self, edx: EdxDatabase, source: SqlSource, key: str) -> None:
        """The bad row stands in its place as the error that names it, on every walk."""
        edx.add_grade(1, 1)
        edx.add_grade(2, 2, course_id=key)
        edx.add_grade(3, 3)
        for selection in (Selection(), Selection(user_ids=[1, 2, 3])):
            records = sorted(walk(source.grades(selection), 1), key=lambda record: isinstance(record, Exception))
            assert keys(records[:2]) == [(1, RUN), (3, RUN)]
            (error,) = records[2:]
            assert isinstance(error, InvalidRecordError)
            assert (error.field, getattr(error.record, "user_id", None)) == ("course_id", 2)

    @pytest.mark.parametrize("key", ["course-v1:TestX+In\0tro+2024", f"course-v1:TestX+{'x' * 300}+2024"])
    def test_a_key_that_only_sqlite_takes_costs_one_record(self, sqlite_edx: EdxDatabase, key: str) -> None:
        """With a NUL, or longer than its column; a page that ends with it is no end."""
        for number, run in enumerate((RUN, key, OTHER_RUN), start=1):
            sqlite_edx.add_grade(number, number, run)
        source = SqlSource(sqlite_edx.url)
        for limit in (1, 2, 3):
            records = walk(source.grades(Selection()), limit)
            errors = [str(record) for record in records if isinstance(record, InvalidRecordError)]
            assert (len(records), len(errors)) == (3, 1)
            assert "user 2: course_id: " in errors[0]
            assert "\0" not in errors[0]
        source.close()

    def test_an_impossible_percentage_costs_one_record(self, edx: EdxDatabase, source: SqlSource) -> None:
        """Beyond 0 to 1, and where a database can hold it, no number at all."""
        beyond: dict[str, list[object]] = {
            "sqlite": ["abc", b"\xff", float("inf")],
            "postgresql": [float("nan"), float("inf")],
        }
        impossible = [-0.1, 1.2, *beyond.get(edx.dialect, [])]
        for number, percent in enumerate(impossible, start=1):
            edx.add_grade(number, number, percent=percent)
        edx.add_grade(100, 100)
        records = walk(source.grades(Selection()), 2)
        errors = [record for record in records if isinstance(record, InvalidRecordError)]
        assert keys([record for record in records if isinstance(record, Grade)]) == [(100, RUN)]
        assert [error.field for error in errors] == ["percent_grade"] * len(impossible)

    @pytest.mark.parametrize("rubbish", ["yesterday", "", "2024-13-01 00:00:00", "9999-99-99", 20240301, 5.5])
    def test_a_time_that_is_none_costs_one_record(self, sqlite_edx: EdxDatabase, rubbish: str) -> None:
        """SQLite takes any text for a time; the walk over it goes on."""
        for number in range(1, 8):
            sqlite_edx.add_grade(number, number, modified=rubbish if number % 2 else BASE)
            sqlite_edx.add_certificate(number, number, modified=rubbish if number % 2 else BASE)
        source = SqlSource(sqlite_edx.url)
        for read, field in ((source.grades, "modified"), (source.certificates, "modified_date")):
            records = walk(read(Selection()), 2)
            errors = [record for record in records if isinstance(record, InvalidRecordError)]
            assert (len(records), [error.field for error in errors]) == (7, [field] * 4)
        source.close()


class TestLookUps:
    def test_finds_what_is_there(self, edx: EdxDatabase, source: SqlSource) -> None:
        """By pair, not by learner or course run alone; what is missing is absent."""
        edx.add_learner(1, "ada")
        for number, (user, run) in enumerate([(1, RUN), (1, OTHER_RUN), (2, RUN), (3, OTHER_RUN)], start=1):
            edx.add_certificate(number, user, run)
            edx.add_grade(number, user, run)
        wanted = [RecordKey(1, RUN), RecordKey(2, OTHER_RUN), RecordKey(3, OTHER_RUN), RecordKey(4, RUN)]
        certificates, grades = source.find_certificates(wanted), source.find_grades(wanted)
        assert set(certificates) == set(grades) == {(1, RUN), (3, OTHER_RUN)}
        assert certificates[RecordKey(1, RUN)].user.username == "ada"
        assert grades[RecordKey(3, OTHER_RUN)].modified == NOON
        learners = source.find_learners([1, 2])
        assert {id_: learner.username for id_, learner in learners.items()} == {1: "ada"}

    def test_finds_keys_to_the_letter(self, edx: EdxDatabase, source: SqlSource) -> None:
        """Another spelling is another course run."""
        edx.add_certificate(1, 1)
        assert source.find_certificates([RecordKey(1, RUN.lower())]) == {}

    def test_finds_ten_thousand_at_once(self, edx: EdxDatabase, source: SqlSource) -> None:
        """A page may be large, and a look-up beyond all parameters, too."""
        edx.add_campus(CAMPUS)
        wanted = {RecordKey(row[1], row[2]) for row in CAMPUS.iter_certificates()}
        many = wanted | {RecordKey(user, POPULAR) for user in range(10**6, 10**6 + 70_000)}
        assert set(source.find_certificates(many)) == wanted
        assert len(source.find_learners(range(70_000))) == CAMPUS.learners

    def test_asks_nothing_for_nothing(self, sqlite_edx: EdxDatabase) -> None:
        """No keys, no statement: a database without tables is none the wiser."""
        sqlite_edx.execute("DROP TABLE grades_persistentcoursegrade")
        source = SqlSource(sqlite_edx.url)
        assert (source.find_learners([]), source.find_certificates([]), source.find_grades([])) == ({}, {}, {})

    def test_a_bad_row_is_there_and_bad(self, sqlite_edx: EdxDatabase) -> None:
        """Were it absent, the run would take it for a certificate that does not exist."""
        sqlite_edx.add_grade(1, 1, percent="abc")
        sqlite_edx.add_certificate(1, 1, modified="yesterday")
        source = SqlSource(sqlite_edx.url)
        key = RecordKey(1, RUN)
        with pytest.raises(InvalidRecordError, match="user 1: percent_grade: 'abc'"):
            Grade.from_record(source.find_grades([key])[key])
        with pytest.raises(InvalidRecordError, match="user 1: modified_date: 'yesterday'"):
            Certificate.from_record(source.find_certificates([key])[key])
        source.close()
