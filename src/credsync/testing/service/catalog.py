"""What the service knows of courses and programs, and the course catalog's own API over the same programs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl
from uuid import NAMESPACE_URL, UUID, uuid5

from credsync.testing.service.exchange import Answer, Request, json_answer, refuse

__all__ = [
    "CatalogCourse",
    "CatalogProgram",
    "CourseRuns",
    "ProgramJson",
    "Programs",
    "ServiceCatalog",
    "course_run_uuid",
    "course_uuid",
    "list_programs",
    "show_program",
]

ProgramJson = Mapping[str, object]
"""A program in the course catalog's JSON shape."""

CourseRuns = Literal["any"] | Container[str] | Callable[[str], bool]
Programs = Literal["any"] | Iterable[ProgramJson]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogCourse:
    """A course of a program, with the keys of its runs."""

    key: str
    title: str
    course_run_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogProgram:
    """A program with a program certificate."""

    credential_id: int
    uuid: str
    title: str
    organizations: tuple[str, ...] = ()
    courses: tuple[CatalogCourse, ...] = ()
    json: ProgramJson = field(default_factory=dict, repr=False)

    def has_course_run(self, key: str) -> bool:
        """Say whether one of the courses has this run."""
        return any(key in course.course_run_keys for course in self.courses)


class ServiceCatalog:
    """The service's copy of the catalog.

    Args:
        course_runs: The run keys it knows: a container, a predicate, or "any". What the caller changes in his container
            shows at once, as a run does that arrives with the next copy of the catalog.
        programs: The programs it knows in the catalog's JSON shape; with "any" every UUID is one, without courses.
    """

    def __init__(self, course_runs: CourseRuns = "any", programs: Programs = "any") -> None:
        self.course_runs: CourseRuns = course_runs
        self.inactive_programs: set[str] = set()
        self._takes_any_program = programs == "any"
        self._programs: dict[str, CatalogProgram] = {}
        if not isinstance(programs, str):
            for program in programs:
                self.add_program(program)

    def add_program(self, program: ProgramJson) -> None:
        """Add a program, or replace the one with its UUID."""
        uuid = str(UUID(str(program["uuid"])))
        known = self._programs.get(uuid)
        credential_id = known.credential_id if known else len(self._programs) + 1
        self._programs[uuid] = _program_from_json(uuid, credential_id, program)

    def deactivate_program(self, uuid: str) -> None:
        """Take the certificate of a program out of use: the service then refuses its credentials."""
        self.inactive_programs.add(str(UUID(uuid)))

    def has_course_run(self, key: str) -> bool:
        """Say whether the catalog knows a run, by its exact key, which has 1 to 255 characters."""
        if not 0 < len(key) <= 255:
            return False
        if self.course_runs == "any":
            return True
        if isinstance(self.course_runs, Container):
            return key in self.course_runs
        return self.course_runs(key)

    def find_program(self, uuid: str) -> CatalogProgram | None:
        """Find a program by its dashed UUID, whether its certificate is active or not."""
        if uuid not in self._programs and self._takes_any_program:
            self.add_program({"uuid": uuid})
        return self._programs.get(uuid)

    def find_active_program(self, uuid: str) -> CatalogProgram | None:
        """Find a program whose certificate may be awarded."""
        return None if uuid in self.inactive_programs else self.find_program(uuid)

    def programs(self) -> list[CatalogProgram]:
        """List all programs."""
        return list(self._programs.values())


def _program_from_json(uuid: str, credential_id: int, program: ProgramJson) -> CatalogProgram:
    return CatalogProgram(
        credential_id=credential_id,
        uuid=uuid,
        title=str(program.get("title", "")),
        organizations=tuple(str(org.get("key", "")) for org in _objects(program.get("authoring_organizations"))),
        courses=tuple(_course_from_json(course) for course in _objects(program.get("courses"))),
        json=program,
    )


def _course_from_json(course: Mapping[str, object]) -> CatalogCourse:
    keys = tuple(str(run["key"]) for run in _objects(course.get("course_runs")))
    return CatalogCourse(key=str(course.get("key", "")), title=str(course.get("title", "")), course_run_keys=keys)


def _objects(value: object) -> list[Mapping[str, object]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list | tuple) else []


def course_run_uuid(course_run_key: str) -> str:
    """Name the UUID that the double gives a run: the same for the same key, always."""
    return str(uuid5(NAMESPACE_URL, course_run_key))


def course_uuid(course_run_key: str) -> str:
    """Name the UUID that the double gives the course of a run."""
    separator = "+" if "+" in course_run_key else "/"
    course = course_run_key.removeprefix("course-v1:").rpartition(separator)[0]
    return str(uuid5(NAMESPACE_URL, course))


def list_programs(catalog: ServiceCatalog, request: Request) -> Answer:
    """Answer the course catalog's `GET programs/`: those of the asked statuses; bare ids with `uuids_only`."""
    asked = {value for name, value in parse_qsl(request.raw_query) if name == "status"}
    found = [program for program in catalog.programs() if not asked or program.json.get("status", "active") in asked]
    if request.query.get("uuids_only") in {"1", "true", "True"}:
        return json_answer(200, [program.uuid for program in found])
    results = [program.json for program in found]
    return json_answer(200, {"count": len(results), "next": None, "previous": None, "results": results})


def show_program(catalog: ServiceCatalog, uuid: str) -> Answer:
    """Answer the course catalog's `GET programs/UUID/`.

    Raises:
        RefusalError: If there is none: a 404.
    """
    program = next((program for program in catalog.programs() if program.uuid == uuid), None)
    if program is None:
        raise refuse(404, "Not found.")
    return json_answer(200, program.json)
