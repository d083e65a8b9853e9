"""Programs, the course runs in them, and who has completed one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from attrs import Factory, field, frozen
from opaque_keys.edx.keys import CourseKey

from credsync.errors import ConfigurationError
from credsync.model import Certificate, CourseMode

__all__ = [
    "Course",
    "CourseRun",
    "Program",
    "ProgramCatalog",
    "ProgramIndex",
    "completed_programs",
    "is_course_run_in_a_program",
]

JSONObject: TypeAlias = Mapping[str, Any]


@frozen(kw_only=True)
class CourseRun:
    """One run of a course, as a program lists it.

    Attributes:
        key: The course run's key, as the catalog writes it.
        type: The course mode that counts for the program; None where the catalog leaves it out: such a run is in
            its programs, and completes none.
    """

    key: str
    type: str | None = None


@frozen(kw_only=True)
class Course:
    """A course in a program: passing one of its runs passes it.

    Attributes:
        key: The course's own key, as the catalog writes it; empty where it leaves it out.
        course_runs: Its runs.
    """

    key: str = ""
    course_runs: tuple[CourseRun, ...] = ()


@frozen(kw_only=True)
class Program:
    """A program: courses that together earn a credential.

    Attributes:
        uuid: The program's UUID, lower case with dashes.
        title: Its title.
        status: `active`, `retired`, `unpublished` or `deleted`; unknown ones pass through.
        type: What kind of program it is, `MicroMasters` for one; None where unknown.
        courses: The courses that must be completed.
        curriculum_courses: Courses that only its curricula name, those of child programs included. Their runs are in
            the program; completing the program does not take them.

    Example:
        >>> program = Program.from_dict(
        ...     {
        ...         "uuid": "6883080f-0000-4000-8000-000000000001",
        ...         "courses": [
        ...             {
        ...                 "key": "DemoX+Intro",
        ...                 "course_runs": [{"key": "course-v1:DemoX+Intro+2024", "type": "verified"}],
        ...             }
        ...         ],
        ...     }
        ... )
        >>> [run.key for run in program.iter_course_runs()]
        ['course-v1:DemoX+Intro+2024']
    """

    uuid: str
    title: str = ""
    status: str = "active"
    type: str | None = None
    courses: tuple[Course, ...] = ()
    curriculum_courses: tuple[Course, ...] = ()

    @classmethod
    def from_dict(cls, program: JSONObject, *, where: str = "program") -> Program:
        """Read a program in the catalog's JSON shape; fields it does not know are passed over.

        Args:
            program: The program.
            where: Names the program in errors.

        Raises:
            ConfigurationError: If something is missing or of the wrong shape; the message says where.
        """
        shape = _Shape(program, where)
        return cls(
            uuid=shape.uuid("uuid"),
            title=shape.text("title") or "",
            status=shape.text("status") or "active",
            type=shape.text("type"),
            courses=tuple(_iter_courses(shape)),
            curriculum_courses=tuple(_iter_curriculum_courses(shape)),
        )

    def iter_course_runs(self) -> Iterator[CourseRun]:
        """Yield the runs of all its courses, those of its curricula included; one may come twice."""
        for course in (*self.courses, *self.curriculum_courses):
            yield from course.course_runs


class ProgramCatalog(Protocol):
    """Knows all programs."""

    def programs(self) -> Iterable[Program]:
        """Return all programs of all sites, or raise; never some of them as if they were all.

        Raises:
            AdapterError: If the programs cannot be had.
        """
        ...


def _to_tuple(programs: Iterable[Program]) -> tuple[Program, ...]:
    return tuple(programs)


def _index(programs: Iterable[Program]) -> Mapping[str, tuple[Program, ...]]:
    found: defaultdict[str, dict[str, Program]] = defaultdict(dict)
    for program in programs:
        for run in program.iter_course_runs():
            found[run.key][program.uuid] = program
    return {key: tuple(by_uuid.values()) for key, by_uuid in found.items()}


@frozen
class ProgramIndex:
    """All programs, found by their course runs; itself a `ProgramCatalog`. Built once a run.

    Example:
        >>> run = CourseRun(key="course-v1:DemoX+Intro+2024")
        >>> demo = Program(uuid="6883080f-0000-4000-8000-000000000001", courses=(Course(course_runs=(run,)),))
        >>> len(ProgramIndex([demo]).programs_of("course-v1:DemoX+Intro+2024"))
        1
    """

    _programs: tuple[Program, ...] = field(converter=_to_tuple)
    course_runs: Mapping[str, tuple[Program, ...]] = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: _index(self.programs()), takes_self=True)
    )

    @classmethod
    def from_catalog(cls, catalog: ProgramCatalog) -> ProgramIndex:
        """Index a catalog's programs; an index comes back as it is."""
        return catalog if isinstance(catalog, ProgramIndex) else cls(catalog.programs())

    def programs(self) -> Sequence[Program]:
        """Return all programs."""
        return self._programs

    def programs_of(self, course_run_key: CourseKey | str) -> Sequence[Program]:
        """Return the programs that list a course run, each once; none for an unknown run."""
        return self.course_runs.get(str(course_run_key), ())


def is_course_run_in_a_program(course_run_key: CourseKey | str, catalog: ProgramCatalog) -> bool:
    """Say whether any program of any site lists a course run.

    Args:
        course_run_key: The course run.
        catalog: The programs. Pass a `ProgramIndex` to ask often: any other catalog is read and indexed for each
            question.

    Raises:
        AdapterError: If the catalog cannot answer: then nothing is known, and that is not a "no".

    Example:
        >>> from credsync import Program, ProgramIndex, is_course_run_in_a_program
        >>> is_course_run_in_a_program("course-v1:DemoX+Intro+2024", ProgramIndex([]))
        False
    """
    index = catalog if isinstance(catalog, ProgramIndex) else ProgramIndex.from_catalog(catalog)
    key = course_run_key if isinstance(course_run_key, str) else str(course_run_key)
    return key in index.course_runs


def completed_programs(
    certificates: Iterable[Certificate], programs: Collection[Program]
) -> dict[str, datetime | None]:
    """Find the programs that one learner has completed, and when each award becomes visible.

    A program is completed when every one of its courses has a run for which the learner holds a passing certificate in
    the mode of that run. A program without courses is never completed.

    Args:
        certificates: The learner's certificates.
        programs: The programs in question.

    Returns:
        By the UUID of each completed program, the date of the award: per course the earliest date among its matching
        certificates, then the latest over the courses; None where no certificate has a date.

    Example:
        >>> completed_programs([], [Program(uuid="6883080f-0000-4000-8000-000000000001")])
        {}
    """
    passed = {str(cert.course_id): cert for cert in certificates if cert.is_passing}
    completed: dict[str, datetime | None] = {}
    for program in programs:
        matching = [
            [passed[run.key] for run in course.course_runs if _counts_for(run, passed)] for course in program.courses
        ]
        if matching and all(matching):
            dates = [min(filter(None, map(_date_of, certs)), default=None) for certs in matching]
            completed[program.uuid] = max(filter(None, dates), default=None)
    return completed


_EARNED_IN: Mapping[str | None, str] = {
    CourseMode.CREDIT: CourseMode.VERIFIED,
    CourseMode.NO_ID_PROFESSIONAL: CourseMode.PROFESSIONAL,
}
"""The mode in which a run of some type is earned, where that is another: credit is bought on top of a verified
certificate, and the professional certificates with and without an ID check are one."""


def _counts_for(run: CourseRun, passed: Mapping[str, Certificate]) -> bool:
    certificate = passed.get(run.key)
    if certificate is None or run.type is None:
        return False
    mode = certificate.mode
    earned = CourseMode.PROFESSIONAL if mode == CourseMode.NO_ID_PROFESSIONAL else mode
    return earned == _EARNED_IN.get(run.type, run.type)


def _date_of(certificate: Certificate) -> datetime | None:
    return certificate.date_override or certificate.modified_date


def _iter_courses(shape: _Shape) -> Iterator[Course]:
    for course in shape.objects("courses"):
        runs = (CourseRun(key=run.key("key"), type=run.text("type") or None) for run in course.objects("course_runs"))
        yield Course(key=course.text("key") or "", course_runs=tuple(runs))


def _iter_curriculum_courses(shape: _Shape) -> Iterator[Course]:
    for curriculum in shape.objects("curricula"):
        yield from _iter_courses(curriculum)
        for program in curriculum.objects("programs"):
            yield from _iter_courses(program)
            yield from _iter_curriculum_courses(program)


@frozen
class _Shape:
    """A JSON object that knows where it stands, so that a wrong shape is told by its place."""

    value: JSONObject
    where: str

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.value, Mapping):
            raise ConfigurationError(f"{self.where}: an object is wanted here, not {type(self.value).__name__}")

    def text(self, name: str) -> str | None:
        value = self.value.get(name)
        if value is None or isinstance(value, str):
            return value
        raise ConfigurationError(f"{self.where}.{name}: text is wanted here, not {type(value).__name__}")

    def key(self, name: str) -> str:
        if value := self.text(name):
            return value
        raise ConfigurationError(f"{self.where}.{name}: missing")

    def uuid(self, name: str) -> str:
        try:
            return str(UUID(self.key(name)))
        except ValueError as exc:
            raise ConfigurationError(f"{self.where}.{name}: {self.value[name]!r} is not a UUID") from exc

    def objects(self, name: str) -> Iterator[_Shape]:
        values = self.value.get(name)
        if values is None:
            return
        if not isinstance(values, list | tuple):
            raise ConfigurationError(f"{self.where}.{name}: a list is wanted here, not {type(values).__name__}")
        for index, value in enumerate(values):
            yield _Shape(value, f"{self.where}.{name}[{index}]")
