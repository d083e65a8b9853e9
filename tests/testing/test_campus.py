"""The sample campus: the same every time, messy in every way it promises, and whole on disk or not there."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from credsync.model import CertificateStatus, CourseMode, parse_course_key
from credsync.testing.campus import Campus, catalog_path, write_sample

SMALLEST_COMPLETE = Campus(learners=18, courses=8, programs=9)
DJANGO_TIME = re.compile(r"202[34]-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?")

small_campuses = st.builds(
    Campus,
    learners=st.integers(1, 700),
    courses=st.integers(1, 12),
    programs=st.integers(1, 15),
    seed=st.integers(0, 2**40),
)
some_campuses = pytest.mark.parametrize(
    "campus",
    [SMALLEST_COMPLETE, *(replace(SMALLEST_COMPLETE, seed=seed) for seed in range(3)), Campus()],
    ids=["smallest complete", "seed 0", "seed 1", "seed 2", "default"],
)


def rows_of(campus: Campus) -> dict[str, list[tuple[Any, ...]]]:
    """All rows by table."""
    return {
        "auth_user": list(campus.iter_learners()),
        "certificates_generatedcertificate": list(campus.iter_certificates()),
        "certificates_certificatedateoverride": list(campus.iter_date_overrides()),
        "grades_persistentcoursegrade": list(campus.iter_grades()),
        "django_site": list(campus.sites()),
        "site_configuration_siteconfiguration": list(campus.site_configurations()),
    }


def run_keys(program: dict[str, Any]) -> list[str]:
    """The course runs that a program lists."""
    return [run["key"] for course in program["courses"] for run in course["course_runs"]]


class TestOptions:
    @pytest.mark.parametrize("name", ["learners", "courses", "programs"])
    @pytest.mark.parametrize("value", [0, -1, 2.0, "3", None, True])
    def test_refuses_what_is_no_positive_whole_number(self, name: str, value: object) -> None:
        """The error names the option and the value."""
        with pytest.raises(ValueError, match=f"{name} .* not {re.escape(repr(value))}"):
            Campus(**{name: value})  # type: ignore[arg-type]  # the point of the test

    def test_takes_any_seed_from_zero(self) -> None:
        """Zero is a seed like another; a negative one is a mistake."""
        assert Campus(seed=0).seed == 0
        with pytest.raises(ValueError, match="seed must be a whole number of at least 0, not -1"):
            Campus(seed=-1)


class TestDeterminism:
    def test_equal_options_make_equal_rows_and_catalog(self) -> None:
        """Nothing depends on when or how often one asks."""
        assert rows_of(Campus(learners=300)) == rows_of(Campus(learners=300))
        assert json.dumps(Campus().catalog()) == json.dumps(Campus().catalog())

    def test_rows_are_the_same_on_every_machine(self) -> None:
        """Other tests and examples count on what the default campus holds, whatever the Python version."""
        campus, run = Campus(), "course-v1:CampusX+CS111.1x+3T2023"
        passed, modified = "2023-12-01 10:37:46.616338", "2023-12-20 22:44:55.666676"
        assert [row for row in campus.iter_grades() if row[1:3] == (33, run)] == [
            (2147483748, 33, run, 0.72, "Pass", passed, "2023-11-20 18:19:48.401520", modified),
        ]
        assert [row for row in campus.iter_certificates() if row[1:3] == (33, run)] == [
            (70, 33, run, "professional", "downloadable", passed, modified, "93e3adaacf168b2a470bd37cf2505201", "0.72"),
        ]

    def test_another_seed_makes_another_campus(self) -> None:
        """Grades, certificates and the programs' uuids all differ."""
        one, other = Campus(learners=300), Campus(learners=300, seed=1)
        assert list(one.iter_grades()) != list(other.iter_grades())
        assert list(one.iter_certificates()) != list(other.iter_certificates())
        assert not {p["uuid"] for p in one.catalog()} & {p["uuid"] for p in other.catalog()}

    def test_rows_come_one_by_one(self) -> None:
        """The first rows of a billion learners cost no more than those of ten."""
        huge, small = Campus(learners=10**9), Campus(learners=10)
        assert list(islice(huge.iter_grades(), 10)) == list(islice(small.iter_grades(), 10))
        assert next(huge.iter_learners()) == next(small.iter_learners())


class TestEveryCampus:
    @given(campus=small_campuses)
    @example(campus=Campus(learners=17)).via("the last before the first that is gone")
    @example(campus=Campus(learners=18)).via("the first after it")
    @example(campus=Campus(learners=316)).via("the last before the second")
    def test_keys_are_unique_and_refer_to_something(self, campus: Campus) -> None:
        """As many accounts as asked for; one grade and at most one certificate per learner and course run."""
        rows = rows_of(campus)
        learners = {learner for learner, _ in rows["auth_user"]}
        certificates = [row[1:3] for row in rows["certificates_generatedcertificate"]]
        grades = [row[1:3] for row in rows["grades_persistentcoursegrade"]]
        overridden = [row[1] for row in rows["certificates_certificatedateoverride"]]
        assert len(learners) == campus.learners
        assert len({username for _, username in rows["auth_user"]}) == campus.learners
        assert max(user for user, _ in grades) == campus.last_user_id == max(learners)
        assert len(set(certificates)) == len(certificates)
        assert len(set(grades)) == len(grades)
        assert set(certificates) <= set(grades)
        assert {user for user, _ in certificates} <= learners
        assert len(set(overridden)) == len(overridden)
        assert set(overridden) <= {row[0] for row in rows["certificates_generatedcertificate"]}

    @given(campus=small_campuses)
    def test_values_are_valid(self, campus: Campus) -> None:
        """Percents lie in 0..1, times run forward within the two years, keys parse, uuids are 32 hex digits."""
        for _, _, course_id, percent, letter, passed, created, modified in campus.iter_grades():
            assert parse_course_key(course_id)
            assert 0 <= percent <= 1
            assert bool(letter) == (passed is not None) == (percent >= 0.6)
            assert created <= (passed or created) <= modified
            assert all(DJANGO_TIME.fullmatch(time) for time in (created, modified, passed or created))
        for _, _, _, _, _, created, modified, verify_uuid, grade in campus.iter_certificates():
            assert created <= modified
            assert all(DJANGO_TIME.fullmatch(time) for time in (created, modified))
            assert re.fullmatch("[0-9a-f]{32}", verify_uuid)
            assert len(grade) <= 5
        for _, _, date, _, _, created, modified in campus.iter_date_overrides():
            assert created <= modified
            assert all(DJANGO_TIME.fullmatch(time) for time in (date, created, modified))


@some_campuses
class TestMess:
    def test_certificates_have_every_status_and_an_unknown_one(self, campus: Campus) -> None:
        """Rules and reports meet each status that Open edX has, and one that it does not."""
        statuses = {row[4] for row in campus.iter_certificates()}
        assert statuses > set(CertificateStatus)

    def test_certificates_have_every_mode_and_an_unknown_one(self, campus: Campus) -> None:
        """Rules and reports meet each mode that Open edX has, and one that it does not."""
        modes = {row[3] for row in campus.iter_certificates()}
        assert modes > set(CourseMode)

    def test_a_missing_letter_is_null_or_empty(self, campus: Campus) -> None:
        """Both forms are there, and letters too."""
        letters = {row[4] for row in campus.iter_grades()}
        assert {None, "", "Pass"} <= letters

    def test_many_rows_have_exactly_the_same_time(self, campus: Campus) -> None:
        """A bulk regrade leaves a twentieth of a small campus, and more than a page of a usual one, on one instant."""
        grades = Counter(row[7] for row in campus.iter_grades())
        certificates = Counter(row[6] for row in campus.iter_certificates())
        assert max(grades.values()) > min(100, grades.total() / 20)
        assert max(certificates.values()) > min(50, certificates.total() / 20)

    def test_times_come_with_and_without_a_fraction(self, campus: Campus) -> None:
        """Django leaves the fraction out where it is zero."""
        times = {row[7] for row in campus.iter_grades()}
        assert {len(time) for time in times} == {len("2023-01-01 00:00:00"), len("2023-01-01 00:00:00.000001")}

    def test_a_few_grades_belong_to_nobody(self, campus: Campus) -> None:
        """Their learner has no account; in a campus of usual size they are a fraction of a per cent."""
        learners = {learner for learner, _ in campus.iter_learners()}
        grades = [row[1] for row in campus.iter_grades()]
        orphans = [user for user in grades if user not in learners]
        assert orphans
        assert campus.learners < 1000 or len(orphans) < 0.01 * len(grades)

    def test_grades_of_living_learners_lack_a_certificate(self, campus: Campus) -> None:
        """Not every graded enrolment brings a certificate."""
        learners = {learner for learner, _ in campus.iter_learners()}
        certified = {row[1:3] for row in campus.iter_certificates()}
        assert [row for row in campus.iter_grades() if row[1] in learners and row[1:3] not in certified]

    def test_the_seventeenth_learner_has_neither_certificate_nor_program(self, campus: Campus) -> None:
        """Chance could leave a small campus without either, so the first grade of one learner is made so."""
        course_id = next(row[2] for row in campus.iter_grades() if row[1] == 17)
        assert course_id not in {key for program in campus.catalog() for key in run_keys(program)}
        assert (17, course_id) not in {row[1:3] for row in campus.iter_certificates()}

    def test_keys_are_of_both_kinds(self, campus: Campus) -> None:
        """Grades and certificates have legacy keys beside the newer ones."""
        for keys in ({row[2] for row in campus.iter_grades()}, {row[2] for row in campus.iter_certificates()}):
            assert {key.startswith("course-v1:") for key in keys} == {True, False}

    def test_date_overrides_are_newer_and_older_than_their_certificates(self, campus: Campus) -> None:
        """A change of the override does not touch the certificate, and the other way round."""
        modified = {row[0]: row[6] for row in campus.iter_certificates()}
        assert {row[6] > modified[row[1]] for row in campus.iter_date_overrides()} == {True, False}

    def test_percents_have_more_decimals_than_the_service_takes(self, campus: Campus) -> None:
        """Nothing, everything and two thirds are among them."""
        percents = {row[3] for row in campus.iter_grades()}
        assert percents >= {0.0, 2 / 3, 1.0}

    def test_grade_ids_need_64_bits(self, campus: Campus) -> None:
        """The column is a 64-bit one on a stock platform."""
        assert all(row[0] >= 2**31 for row in campus.iter_grades())

    def test_the_catalog_has_every_kind_of_program(self, campus: Campus) -> None:
        """Each status and type, with most of the programs active, and one with curricula and a child program."""
        programs = campus.catalog()
        statuses = Counter(program["status"] for program in programs)
        assert set(statuses) == {"active", "retired", "unpublished", "deleted"}
        assert statuses["active"] > len(programs) / 2
        assert {program["type"] for program in programs} == {"MicroMasters", "Professional Certificate", "XSeries"}
        (curriculum,) = next(program["curricula"] for program in programs if "curricula" in program)
        assert curriculum["courses"]
        assert run_keys(curriculum["programs"][0])

    def test_course_runs_are_in_several_programs_or_in_none(self, campus: Campus) -> None:
        """Grades come of either kind, and some runs have no type."""
        programs = campus.catalog()
        listings = Counter(key for program in programs for key in set(run_keys(program)))
        graded = {row[2] for row in campus.iter_grades()}
        assert any(listings[key] > 1 for key in graded)
        assert sum(listings[key] > 0 for key in graded) > len(graded) / 2
        assert any(listings[key] == 0 for key in graded)
        runs = [run for program in programs for course in program["courses"] for run in course["course_runs"]]
        assert {"type" in run for run in runs} == {True, False}

    def test_every_org_is_of_one_open_site(self, campus: Campus) -> None:
        """The orgs of a site come as text or list, one site keeps no learner records, one configuration is disabled."""
        configurations = [(enabled, json.loads(values)) for _, _, enabled, values in campus.site_configurations()]
        filters = [values["course_org_filter"] for enabled, values in configurations if enabled]
        orgs = [org for orgs in filters for org in ([orgs] if isinstance(orgs, str) else orgs)]
        assert {type(orgs) for orgs in filters} == {str, list}
        assert len(orgs) == len(set(orgs)) == 5
        assert {parse_course_key(row[2]).org for row in campus.iter_grades()} <= set(orgs)
        records = [values.get("ENABLE_LEARNER_RECORDS", True) for enabled, values in configurations if enabled]
        assert records.count(False) == 1
        assert [enabled for enabled, _ in configurations].count(False) == 1


class TestDistribution:
    def test_most_is_as_on_a_usual_platform(self) -> None:
        """Three in five enrolments bring a certificate, most of them downloadable and verified."""
        campus = Campus()
        grades, certificates = list(campus.iter_grades()), list(campus.iter_certificates())
        assert 0.55 < len(certificates) / len(grades) < 0.65
        assert sum(row[4] == "downloadable" for row in certificates) > 0.7 * len(certificates)
        assert sum(row[3] == "verified" for row in certificates) > 0.5 * len(certificates)
        assert sum(row[4] in {None, ""} for row in grades) > 0.3 * len(grades)
        assert set(Counter(row[1] for row in grades).values()) == {1, 2, 3, 4, 5, 6}


class TestWriting:
    @some_campuses
    def test_the_tables_hold_the_rows(self, tmp_path: Path, campus: Campus) -> None:
        """What a test loads elsewhere and what the file holds are the same rows, by the same count."""
        summary = write_sample(tmp_path / "campus.db", campus)
        rows = rows_of(campus)
        with closing(sqlite3.connect(tmp_path / "campus.db")) as connection:
            for table, expected in rows.items():
                assert connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() == expected
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert (summary.learners, summary.programs) == (campus.learners, campus.programs)
        assert summary.grades == len(rows["grades_persistentcoursegrade"])
        assert summary.certificates == len(rows["certificates_generatedcertificate"])
        assert summary.date_overrides == len(rows["certificates_certificatedateoverride"])

    def test_the_indexes_are_those_of_a_stock_database(self, tmp_path: Path) -> None:
        """Above all there is none on the certificates' modified_date, and the unique ones are unique."""
        write_sample(tmp_path / "campus.db", SMALLEST_COMPLETE)
        query = """
            SELECT list.name, list."unique", group_concat(info.name) FROM pragma_index_list(?) AS list,
            pragma_index_info(list.name) AS info GROUP BY list.name
        """
        with closing(sqlite3.connect(tmp_path / "campus.db")) as connection:

            def indexes(table: str) -> set[tuple[str, int]]:
                return {(columns, unique) for _, unique, columns in connection.execute(query, [table])}

            assert indexes("auth_user") == {("username", 1)}
            assert indexes("certificates_generatedcertificate") == {
                ("user_id,course_id", 1),
                ("user_id", 0),
                ("verify_uuid", 0),
            }
            assert indexes("certificates_certificatedateoverride") == {
                ("generated_certificate_id", 1),
                ("overridden_by_id", 0),
            }
            assert indexes("grades_persistentcoursegrade") == {
                ("course_id,user_id", 1),
                ("user_id", 0),
                ("passed_timestamp,course_id", 0),
                ("modified,course_id", 0),
            }

    def test_the_catalog_lies_beside_the_database(self, tmp_path: Path) -> None:
        """It is the campus's catalog as JSON."""
        summary = write_sample(tmp_path / "campus.db", SMALLEST_COMPLETE)
        assert summary.catalog == catalog_path(tmp_path / "campus.db") == tmp_path / "campus.catalog.json"
        assert json.loads(summary.catalog.read_text(encoding="utf-8")) == SMALLEST_COMPLETE.catalog()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["campus.catalog.json", "campus.db"]

    def test_equal_campuses_make_equal_files(self, tmp_path: Path) -> None:
        """Database and catalog are equal to the byte."""
        one, other = (write_sample(tmp_path / name, SMALLEST_COMPLETE) for name in ("one.db", "other.db"))
        assert one.database.read_bytes() == other.database.read_bytes()
        assert one.catalog.read_bytes() == other.catalog.read_bytes()

    def test_progress_grows_to_the_whole(self, tmp_path: Path) -> None:
        """It counts user ids, of which the last is known from the start."""
        campus, seen = Campus(), list[tuple[int, int]]()
        write_sample(tmp_path / "campus.db", campus, on_progress=lambda done, whole: seen.append((done, whole)))
        assert len(seen) > 1
        assert all(before < after for (before, _), (after, _) in pairwise(seen))
        assert {whole for _, whole in seen} == {seen[-1][0]} == {campus.last_user_id}

    @pytest.mark.parametrize("existing", ["campus.db", "campus.catalog.json"])
    def test_refuses_to_overwrite(self, tmp_path: Path, existing: str) -> None:
        """The error names the file, which stays as it was."""
        (tmp_path / existing).write_text("precious")
        with pytest.raises(FileExistsError, match=f"{re.escape(existing)} exists already"):
            write_sample(tmp_path / "campus.db", SMALLEST_COMPLETE)
        assert (tmp_path / existing).read_text() == "precious"
        assert [path.name for path in tmp_path.iterdir()] == [existing]

    def test_overwrites_when_told_to(self, tmp_path: Path) -> None:
        """What SQLite kept beside the old database goes with it: it would spoil the new one."""
        for name in ("campus.db", "campus.catalog.json", "campus.db-journal", "campus.db-wal", "campus.db-shm"):
            (tmp_path / name).write_text("of the old one")
        write_sample(tmp_path / "campus.db", SMALLEST_COMPLETE, overwrite=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["campus.catalog.json", "campus.db"]
        with closing(sqlite3.connect(tmp_path / "campus.db")) as connection:
            assert connection.execute("SELECT count(*) FROM auth_user").fetchone() == (18,)

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_refuses_a_directory(self, tmp_path: Path, *, overwrite: bool) -> None:
        """A directory is never replaced."""
        (tmp_path / "campus.db").mkdir()
        with pytest.raises(FileExistsError, match=r"campus\.db is a directory"):
            write_sample(tmp_path / "campus.db", SMALLEST_COMPLETE, overwrite=overwrite)

    def test_a_missing_directory_is_named(self, tmp_path: Path) -> None:
        """It is not made: a mistyped path is more likely."""
        with pytest.raises(FileNotFoundError, match="nowhere is not a directory"):
            write_sample(tmp_path / "nowhere" / "campus.db", SMALLEST_COMPLETE)

    def test_an_interrupted_one_leaves_nothing(self, tmp_path: Path) -> None:
        """Neither half a file nor a temporary one."""
        with pytest.raises(KeyboardInterrupt):
            write_sample(tmp_path / "campus.db", SMALLEST_COMPLETE, on_progress=interrupt)
        assert list(tmp_path.iterdir()) == []

    def test_an_interrupted_one_leaves_the_old_one(self, tmp_path: Path) -> None:
        """Until the new one is whole, nothing is replaced."""
        names = ("campus.catalog.json", "campus.db", "campus.db-wal")
        for name in names:
            (tmp_path / name).write_text("precious")
        with pytest.raises(KeyboardInterrupt):
            write_sample(tmp_path / "campus.db", SMALLEST_COMPLETE, overwrite=True, on_progress=interrupt)
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "precious")


def interrupt(_done: int, _whole: int) -> None:
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def test_needs_the_standard_library_alone() -> None:
    """Importing the campus loads nothing that `import credsync` has not, but for the standard library and itself."""
    code = """if True:
        import sys, credsync
        before = set(sys.modules)
        import credsync.testing.campus
        loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
        assert loaded - set(sys.stdlib_module_names) == {"credsync"}, loaded
        assert "sqlalchemy" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
