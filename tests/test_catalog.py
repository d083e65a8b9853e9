"""Programs: read from the catalog's JSON shape, found by course run, and completed by the rule."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from credsync.catalog import (
    Course,
    CourseRun,
    Program,
    ProgramIndex,
    completed_programs,
    is_course_run_in_a_program,
)
from credsync.errors import AdapterError, ConfigurationError
from credsync.model import Certificate, CourseMode, Learner, parse_course_key

UUID = "6883080f-0000-4000-8000-000000000001"
OTHER_UUID = "6883080f-0000-4000-8000-000000000002"
ADA = Learner(id=7, username="ada")


def run_key(name: str) -> str:
    """The key of a course run."""
    return f"course-v1:DemoX+Intro+{name}"


def day(number: int) -> datetime:
    """Some day of January."""
    return datetime(2024, 1, number, tzinfo=UTC)


def certificate(
    name: str,
    mode: str = "verified",
    status: str = "downloadable",
    modified: datetime | None = None,
    override: datetime | None = None,
) -> Certificate:
    """Ada's certificate for a course run."""
    return Certificate(
        user=ADA, course_id=run_key(name), mode=mode, status=status, modified_date=modified, date_override=override
    )


def course(*runs: tuple[str, str | None]) -> Course:
    """A course by the names and types of its runs."""
    return Course(course_runs=tuple(CourseRun(key=run_key(name), type=mode) for name, mode in runs))


def program(*courses: Course, uuid: str = UUID) -> Program:
    """A program of some courses."""
    return Program(uuid=uuid, courses=courses)


def course_json(*names: str) -> dict[str, Any]:
    """A course as the catalog serves it."""
    runs = [{"key": run_key(name), "type": "verified", "status": "published", "start": None} for name in names]
    return {"key": "DemoX+Intro", "title": "Intro", "course_runs": runs, "owners": [{"key": "DemoX"}]}


def program_json(**fields: Any) -> dict[str, Any]:
    """A program as the catalog serves it."""
    return {
        "uuid": UUID,
        "title": "Demo",
        "type": "MicroMasters",
        "status": "active",
        "authoring_organizations": [{"key": "DemoX"}],
        "courses": [course_json("2023", "2024")],
        "marketing_slug": "demo",
        "price_ranges": [{"currency": "USD", "min": 1}],
        **fields,
    }


def keys_of(program: Program) -> list[str]:
    """The course runs that a program lists, by name."""
    return [run.key.rpartition("+")[2] for run in program.iter_course_runs()]


class TestFromDict:
    def test_reads_the_catalog_s_shape(self) -> None:
        """What counts is read; fields that are not known are passed over."""
        assert Program.from_dict(program_json()) == Program(
            uuid=UUID,
            title="Demo",
            status="active",
            type="MicroMasters",
            courses=(
                Course(
                    key="DemoX+Intro",
                    course_runs=(
                        CourseRun(key=run_key("2023"), type="verified"),
                        CourseRun(key=run_key("2024"), type="verified"),
                    ),
                ),
            ),
        )

    @pytest.mark.parametrize("missing", [{}, {"title": None, "status": None, "type": None, "courses": None}])
    def test_a_uuid_is_all_it_takes(self, missing: dict[str, None]) -> None:
        """What is missing, or null, is unknown or none."""
        bare = Program.from_dict({"uuid": UUID, **missing})
        assert bare == Program(uuid=UUID, title="", status="active", type=None, courses=(), curriculum_courses=())

    @pytest.mark.parametrize("run", [{}, {"type": None}, {"type": ""}])
    def test_a_run_without_a_type_is_in_its_program(self, run: dict[str, Any]) -> None:
        """It is listed, and its type is unknown."""
        read = Program.from_dict(program_json(courses=[{"course_runs": [{"key": run_key("2024"), **run}]}]))
        assert read.courses == (Course(course_runs=(CourseRun(key=run_key("2024"), type=None),)),)

    @pytest.mark.parametrize("courses", [[{}], [{"key": None, "course_runs": None}], [{"key": "", "course_runs": []}]])
    def test_a_course_may_have_neither_key_nor_runs(self, courses: list[dict[str, Any]]) -> None:
        """A course that is only announced is a course."""
        assert Program.from_dict(program_json(courses=courses)).courses == (Course(),)

    @pytest.mark.parametrize("text", [UUID, UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}"])
    def test_a_uuid_is_told_in_one_form(self, text: str) -> None:
        """Lower case with dashes, however the catalog writes it."""
        assert Program.from_dict({"uuid": text}).uuid == UUID

    @pytest.mark.parametrize("status", ["active", "retired", "unpublished", "deleted", "some-unknown-status"])
    def test_any_status_passes_through(self, status: str) -> None:
        """What it means is not for the reader to say."""
        assert Program.from_dict(program_json(status=status)).status == status

    def test_curricula_bring_their_courses_and_those_of_child_programs(self) -> None:
        """At any depth; a child program's own courses and its curricula's; apart from the program's own."""
        grandchild = {"uuid": UUID, "courses": [course_json("grandchild")]}
        child = {
            "courses": [course_json("child")],
            "curricula": [{"courses": [course_json("childs-curriculum")], "programs": [grandchild]}],
        }
        curricula = [
            {"name": "first", "is_active": True, "courses": [course_json("first")], "programs": [child]},
            {"courses": None, "programs": None},
            {"courses": [course_json("second", "2024")]},
        ]
        read = Program.from_dict(program_json(curricula=curricula))
        assert keys_of(evolve(read, curriculum_courses=())) == ["2023", "2024"]
        assert keys_of(evolve(read, courses=())) == [
            "first",
            "child",
            "childs-curriculum",
            "grandchild",
            "second",
            "2024",
        ]

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            (None, "program: an object is wanted here, not NoneType"),
            ([], "program: an object is wanted here, not list"),
            ("text", "program: an object is wanted here, not str"),
            ({}, "program.uuid: missing"),
            ({"uuid": None}, "program.uuid: missing"),
            ({"uuid": ""}, "program.uuid: missing"),
            ({"uuid": 7}, "program.uuid: text is wanted here, not int"),
            ({"uuid": "7"}, "program.uuid: '7' is not a UUID"),
            (program_json(title=["Demo"]), "program.title: text is wanted here, not list"),
            (program_json(status=1), "program.status: text is wanted here, not int"),
            (program_json(type={"name": "x"}), "program.type: text is wanted here, not dict"),
            (program_json(courses="none"), "program.courses: a list is wanted here, not str"),
            (program_json(courses={}), "program.courses: a list is wanted here, not dict"),
            (program_json(courses=""), "program.courses: a list is wanted here, not str"),
            (program_json(courses=False), "program.courses: a list is wanted here, not bool"),
            (program_json(courses=[course_json(), None]), "program.courses[1]: an object is wanted here, not NoneType"),
            (program_json(courses=[{"key": 7}]), "program.courses[0].key: text is wanted here, not int"),
            (
                program_json(courses=[{"course_runs": {"key": run_key("2024")}}]),
                "program.courses[0].course_runs: a list is wanted here, not dict",
            ),
            (
                program_json(courses=[{"course_runs": [run_key("2024")]}]),
                "program.courses[0].course_runs[0]: an object is wanted here, not str",
            ),
            (
                program_json(courses=[course_json("2024"), {"course_runs": [{"key": run_key("2024")}, {}]}]),
                "program.courses[1].course_runs[1].key: missing",
            ),
            (
                program_json(courses=[{"course_runs": [{"key": run_key("2024"), "type": 3}]}]),
                "program.courses[0].course_runs[0].type: text is wanted here, not int",
            ),
            (program_json(curricula={"courses": []}), "program.curricula: a list is wanted here, not dict"),
            (program_json(curricula=[7]), "program.curricula[0]: an object is wanted here, not int"),
            (
                program_json(curricula=[{"programs": [{"curricula": [{"courses": [{"course_runs": [{}]}]}]}]}]),
                "program.curricula[0].programs[0].curricula[0].courses[0].course_runs[0].key: missing",
            ),
        ],
    )
    def test_a_wrong_shape_is_told_by_its_place(self, shape: Any, message: str) -> None:
        """Whoever wrote the catalog finds the spot."""
        with pytest.raises(ConfigurationError) as refused:
            Program.from_dict(shape)
        assert str(refused.value) == message

    def test_the_caller_says_what_the_place_is_called(self) -> None:
        """A file of many programs says which of them it was."""
        with pytest.raises(ConfigurationError, match=r"^programs\[3\]\.courses\[0\]: an object"):
            Program.from_dict(program_json(courses=[1]), where="programs[3]")

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(UUID),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["uuid", "courses", "course_runs", "curricula", "programs", "key", "type", "title"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )

    @given(shape=json_values)
    def test_no_json_at_all_makes_it_fail_otherwise(self, shape: Any) -> None:
        """Whatever a catalog holds is a program or one clear error."""
        try:
            read = Program.from_dict(shape)
        except ConfigurationError as exc:
            assert str(exc).startswith("program")  # noqa: PT017  # either way is right, if it is this way
        else:
            assert all(run.key for run in read.iter_course_runs())


class TestProgram:
    def test_is_a_frozen_value(self) -> None:
        """Programs of the same content are one, and none changes."""
        read, again = Program.from_dict(program_json()), Program.from_dict(json.loads(json.dumps(program_json())))
        assert len({read, again, pickle.loads(pickle.dumps(read))}) == 1
        with pytest.raises(FrozenInstanceError):
            read.status = "deleted"  # type: ignore[misc]  # the point of the test
        assert not hasattr(read, "__dict__")

    @pytest.mark.parametrize("kind", [Program, Course, CourseRun])
    def test_and_its_parts_are_built_by_names(self, kind: type[object]) -> None:
        """A title is not to be mistaken for a status."""
        with pytest.raises(TypeError, match="takes 1 positional argument"):
            kind(UUID)  # type: ignore[call-arg]  # the point of the test

    def test_is_active_and_empty_unless_said_otherwise(self) -> None:
        """What the catalog leaves out and what the caller leaves out are the same."""
        assert Program(uuid=UUID) == Program.from_dict({"uuid": UUID})

    def test_yields_its_runs_in_order_and_as_often_as_they_are_listed(self) -> None:
        """The same run twice in a program comes twice."""
        twice = program(course(("a", None), ("b", None)), course(("a", None)))
        assert keys_of(evolve(twice, curriculum_courses=(course(("c", None)),))) == ["a", "b", "a", "c"]


class ListCatalog:
    """A catalog that reads its programs anew for each question, and counts how often."""

    def __init__(self, *programs: Program) -> None:
        self.listed = programs
        self.read = 0

    def programs(self) -> Iterable[Program]:
        """Give them one by one."""
        self.read += 1
        yield from self.listed


class BrokenCatalog:
    """A catalog that breaks off."""

    def programs(self) -> Iterator[Program]:
        """Give one program, and fail."""
        yield program(course(("2024", "verified")))
        raise AdapterError("the course catalog does not answer")


class TestProgramIndex:
    one = program(course(("2023", None), ("2024", None)), course(("2024", None)))
    two = program(course(("2024", None)), uuid=OTHER_UUID)

    def test_finds_each_program_of_a_run_once(self) -> None:
        """In the catalog's order, also where a program lists the run twice."""
        index = ProgramIndex([self.one, self.two])
        assert index.programs_of(run_key("2024")) == (self.one, self.two)
        assert index.programs_of(run_key("2023")) == (self.one,)

    def test_finds_a_run_that_only_a_curriculum_names(self) -> None:
        """Being in a curriculum is being in the program."""
        curricular = Program(uuid=UUID, curriculum_courses=(course(("2024", None)),))
        assert ProgramIndex([curricular]).programs_of(run_key("2024")) == (curricular,)

    def test_finds_by_key_and_by_text(self) -> None:
        """A course key and its string are one question."""
        index = ProgramIndex([self.two])
        assert index.programs_of(parse_course_key(run_key("2024"))) == index.programs_of(run_key("2024")) == (self.two,)

    @pytest.mark.parametrize("unknown", ["", "2024", "nope", run_key("2025"), run_key("2024") + " ", "a/b/c"])
    def test_finds_nothing_for_an_unknown_run(self, unknown: str) -> None:
        """Not even for what is no course run."""
        assert list(ProgramIndex([self.one, self.two]).programs_of(unknown)) == []

    def test_is_a_catalog_of_all_programs(self) -> None:
        """A generator is read once, at the start."""
        index = ProgramIndex(program for program in [self.one, self.two])
        assert list(index.programs()) == list(index.programs()) == [self.one, self.two]

    def test_is_made_from_a_catalog_once(self) -> None:
        """A catalog is read once; an index is taken as it is."""
        catalog = ListCatalog(self.one, self.two)
        index = ProgramIndex.from_catalog(catalog)
        assert ProgramIndex.from_catalog(index) is index
        assert catalog.read == 1

    def test_is_not_made_of_half_a_catalog(self) -> None:
        """What breaks off is no catalog: unknown is not "no"."""
        with pytest.raises(AdapterError, match="does not answer"):
            ProgramIndex.from_catalog(BrokenCatalog())

    def test_is_a_value(self) -> None:
        """The same programs make the same index."""
        assert len({ProgramIndex([self.one]), ProgramIndex(iter([self.one])), ProgramIndex([self.two])}) == 2

    @given(
        listed=st.lists(st.lists(st.lists(st.sampled_from("abcdef"), max_size=3), max_size=3), max_size=6),
        asked=st.sampled_from("abcdefg"),
    )
    def test_agrees_with_going_through_everything(self, listed: list[list[list[str]]], asked: str) -> None:
        """The index finds what a scan of program by course by run finds, in the same order."""
        programs = [
            program(*(course(*((name, None) for name in names)) for names in courses), uuid=str(number))
            for number, courses in enumerate(listed)
        ]
        index = ProgramIndex(programs)
        scanned = [p for p, courses in zip(programs, listed, strict=True) if any(asked in names for names in courses)]
        assert list(index.programs_of(run_key(asked))) == scanned
        assert is_course_run_in_a_program(run_key(asked), index) is bool(scanned)


class TestIsCourseRunInAProgram:
    @pytest.mark.parametrize("listed", ["2024", "2025"])
    @pytest.mark.parametrize("kind", [ListCatalog, lambda *programs: ProgramIndex(programs)], ids=["catalog", "index"])
    @pytest.mark.parametrize("ask", [str, parse_course_key], ids=["text", "key"])
    def test_any_catalog_and_any_form_of_the_key_will_do(self, listed: str, kind: Any, ask: Any) -> None:
        """The answer is that of the programs, whoever holds them and however the run is named."""
        catalog = kind(program(course((listed, None))), program(uuid=OTHER_UUID))
        assert is_course_run_in_a_program(ask(run_key("2024")), catalog) is (listed == "2024")

    @pytest.mark.parametrize("text", ["DemoX/Old/2012", "course-v1:DemoX+Intro+2024"])
    def test_legacy_keys_count_too(self, text: str) -> None:
        """A key is compared as the text that it is."""
        index = ProgramIndex([Program(uuid=UUID, courses=(Course(course_runs=(CourseRun(key=text),)),))])
        assert is_course_run_in_a_program(parse_course_key(text), index)

    def test_a_catalog_that_cannot_answer_has_not_said_no(self) -> None:
        """The error goes on to whoever asked."""
        with pytest.raises(AdapterError):
            is_course_run_in_a_program(run_key("2025"), BrokenCatalog())


def completed(certificates: Iterable[Certificate], *programs: Program) -> dict[str, datetime | None]:
    """What Ada has completed."""
    return completed_programs(certificates, programs)


class TestCompletedPrograms:
    @pytest.mark.parametrize(
        ("run_type", "mode", "counts"),
        [
            *((str(mode), str(mode), mode != "credit") for mode in CourseMode),
            ("some-unknown-mode", "some-unknown-mode", True),
            ("credit", "verified", True),
            ("verified", "credit", False),
            ("professional", "no-id-professional", True),
            ("no-id-professional", "professional", True),
            ("verified", "professional", False),
            ("professional", "verified", False),
            ("verified", "honor", False),
            ("masters", "verified", False),
            ("verified", "Verified", False),
            (None, "verified", False),
            (None, "", False),
        ],
    )
    def test_a_run_counts_in_the_mode_of_its_type(self, run_type: str | None, mode: str, counts: bool) -> None:
        """Credit is earned as verified, the two professional modes are one, and no type is no mode."""
        done = completed([certificate("2024", mode)], program(course(("2024", run_type))))
        assert done == ({UUID: None} if counts else {})

    @pytest.mark.parametrize(
        ("status", "counts"),
        [
            ("downloadable", True),
            ("generating", True),
            ("notpassing", False),
            ("unavailable", False),
            ("audit_passing", False),
            ("honor_passing", False),
            ("some-unknown-status", False),
        ],
    )
    def test_only_a_passing_certificate_counts(self, status: str, counts: bool) -> None:
        """Two statuses are passing, whatever others are called."""
        done = completed([certificate("2024", status=status)], program(course(("2024", "verified"))))
        assert (UUID in done) is counts

    @pytest.mark.parametrize("held", [["a"], ["b"], ["a", "b"]])
    def test_one_run_of_a_course_is_enough(self, held: list[str]) -> None:
        """Which one does not matter."""
        runs = course(("a", "verified"), ("b", "verified"), ("c", None))
        assert UUID in completed([certificate(name) for name in held], program(runs))

    def test_a_run_in_another_mode_does_not_spoil_the_course(self) -> None:
        """The certificate that matches is what counts."""
        runs = course(("a", "verified"), ("b", "professional"))
        assert UUID in completed([certificate("a", "honor"), certificate("b", "professional")], program(runs))

    def test_every_course_takes_one(self) -> None:
        """All courses but one are not the program."""
        three = program(course(("a", "verified")), course(("b", "verified")), course(("c", "verified")))
        held = [certificate("a"), certificate("b")]
        assert completed(held, three) == {}
        assert UUID in completed([*held, certificate("c")], three)

    @pytest.mark.parametrize("courses", [[], [course()], [course(), course(("a", "verified"))]])
    def test_what_has_no_runs_cannot_be_completed(self, courses: list[Course]) -> None:
        """Neither an empty program nor one with an empty course."""
        assert completed([certificate("a")], program(*courses)) == {}

    def test_curriculum_courses_are_not_needed(self) -> None:
        """They are in the program; completing it does not take them."""
        electives = evolve(program(course(("a", "verified"))), curriculum_courses=(course(("b", "verified")),))
        assert UUID in completed([certificate("a")], electives)

    def test_curriculum_courses_alone_complete_nothing(self) -> None:
        """A program that has no other courses is an empty one."""
        assert completed([certificate("a")], Program(uuid=UUID, curriculum_courses=(course(("a", "verified")),))) == {}

    def test_one_run_may_complete_several_programs_and_courses(self) -> None:
        """The same run twice in a program counts at each place."""
        run = ("a", "verified")
        assert completed(
            [certificate("a", modified=day(1))],
            program(course(run), course(run)),
            program(course(run), uuid=OTHER_UUID),
        ) == {UUID: day(1), OTHER_UUID: day(1)}

    @pytest.mark.parametrize(
        ("dates", "visible"),
        [
            ({"a": day(1), "b": None, "c": day(9)}, day(9)),
            ({"a": day(9), "c": day(2)}, day(9)),
            ({"a": day(9), "b": day(1), "c": day(2)}, day(2)),
            ({"a": day(5), "b": day(7), "c": day(5)}, day(5)),
            ({"a": None, "c": day(3)}, day(3)),
            ({"a": None, "b": day(4), "c": day(3)}, day(4)),
            ({"a": None, "b": None, "c": None}, None),
        ],
    )
    def test_is_visible_from_the_day_the_last_course_was_first_passed(
        self, dates: dict[str, datetime | None], visible: datetime | None
    ) -> None:
        """Per course the earliest date, then the latest over the courses; what has no date says nothing."""
        two_courses = program(course(("a", "verified"), ("b", "verified")), course(("c", "verified")))
        held = [certificate(name, modified=date) for name, date in dates.items()]
        assert completed(held, two_courses) == {UUID: visible}

    @pytest.mark.parametrize(
        ("modified", "override", "visible"),
        [(day(5), day(1), day(1)), (day(1), day(5), day(5)), (None, day(5), day(5)), (day(1), None, day(1))],
    )
    def test_a_date_override_is_the_date(
        self, modified: datetime | None, override: datetime | None, visible: datetime
    ) -> None:
        """Earlier or later than the certificate's own, it is the one that shows."""
        held = [certificate("a", modified=modified, override=override)]
        assert completed(held, program(course(("a", "verified")))) == {UUID: visible}

    def test_a_certificate_that_does_not_match_gives_no_date(self) -> None:
        """Only what completes the course says when."""
        held = [certificate("a", "honor", modified=day(1)), certificate("b", modified=day(5))]
        assert completed(held, program(course(("a", "verified"), ("b", "verified")))) == {UUID: day(5)}

    def test_a_generator_of_certificates_is_read_once_for_all_programs(self) -> None:
        """Any iterable of certificates will do."""
        run = ("a", "verified")
        held = (certificate(name) for name in "ab")
        assert set(completed(held, program(course(run)), program(course(run), uuid=OTHER_UUID))) == {UUID, OTHER_UUID}

    runs = st.tuples(
        st.sampled_from("abcdef"),
        st.sampled_from([None, "verified", "credit", "professional", "no-id-professional", "honor"]),
    )
    held_certificates = st.lists(
        st.builds(
            certificate,
            st.sampled_from("abcdef"),
            st.sampled_from(["verified", "credit", "professional", "no-id-professional", "honor"]),
            st.sampled_from(["downloadable", "downloadable", "generating", "notpassing"]),
            st.none() | st.integers(1, 31).map(day),
            st.none() | st.integers(1, 31).map(day),
        ),
        unique_by=lambda cert: cert.course_id,
    )
    courses = st.lists(runs, min_size=1, max_size=4).map(lambda runs: course(*runs))

    @given(held=held_certificates, listed=st.lists(st.lists(courses, max_size=3), max_size=4))
    def test_agrees_with_the_rule_spelt_out(self, held: list[Certificate], listed: list[list[Course]]) -> None:
        """Course by course, run by run, certificate by certificate, the long way round comes to the same."""
        programs = [program(*courses, uuid=str(number)) for number, courses in enumerate(listed)]
        assert completed(held, *programs) == {
            each.uuid: date for each in programs for has_it, date in [spelt_out(held, each)] if has_it
        }


def spelt_out(held: Iterable[Certificate], program: Program) -> tuple[bool, datetime | None]:
    """Say whether a program is completed, and from when, as the rule is worded."""
    earliest_dates: list[datetime] = []
    for course in program.courses:
        matching = []
        for run in course.course_runs:
            for cert in held:
                if cert.status not in ("downloadable", "generating") or str(cert.course_id) != run.key:
                    continue
                earned_in = {
                    "credit": {"verified"},
                    "professional": {"professional", "no-id-professional"},
                    "no-id-professional": {"professional", "no-id-professional"},
                }.get(run.type or "", {run.type})
                if cert.mode in earned_in:
                    matching.append(cert)
        if not matching:
            return False, None
        dates = [cert.date_override or cert.modified_date for cert in matching]
        known = [date for date in dates if date is not None]
        if known:
            earliest_dates.append(min(known))
    return bool(program.courses), max(earliest_dates, default=None)
