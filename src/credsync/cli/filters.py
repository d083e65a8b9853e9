"""Which records a run is to read: the filters of the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from attrs import astuple, frozen

from credsync.catalog import ProgramIndex
from credsync.cli.inputs import read_course_run, read_org, read_program_uuid, read_time, read_user_id
from credsync.cli.options import option
from credsync.errors import ConfigurationError
from credsync.ports import SiteOrgs
from credsync.selection import Selection

__all__ = ["FILTER_NAMES", "WHICH", "Filters", "filter_options"]

C = TypeVar("C", bound=Callable[..., Any])

WHICH = "Which records: those that meet all filters"

FILTER_NAMES = "--courses, --program-uuids, --orgs, --user-ids, --start-date, --end-date or --site"


def filter_options(command: C) -> C:
    """Declare the options that `Filters` is made from."""
    for declare in reversed(
        (
            option(
                "--courses", section=WHICH, each=read_course_run, metavar="KEY...", help="Those of these course runs."
            ),
            option(
                "--program-uuids",
                section=WHICH,
                each=read_program_uuid,
                metavar="UUID...",
                help="Those of the course runs of these programs, too.",
            ),
            option("--orgs", section=WHICH, each=read_org, metavar="ORG...", help="Those of these organisations."),
            option("--user-ids", section=WHICH, each=read_user_id, metavar="ID...", help="Those of these learners."),
            option(
                "--start-date",
                section=WHICH,
                type=read_time,
                metavar="TIME",
                help="Those that changed at this time or later. Without a zone, it is UTC.",
            ),
            option(
                "--end-date",
                section=WHICH,
                type=read_time,
                metavar="TIME",
                help="Those that changed before this time; a mere date is its first moment.",
            ),
        )
    ):
        command = declare(command)
    return command


@frozen(kw_only=True)
class Filters:
    """The filters as they were given; None for those that were not.

    Attributes:
        courses: Course runs.
        program_uuids: Programs whose course runs are wanted beside those of `courses`.
        orgs: Organisations of course runs.
        user_ids: Learners.
        start_date: The first moment of the window, aware.
        end_date: The first moment after the window, aware.
    """

    courses: frozenset[str] | None
    program_uuids: frozenset[str] | None
    orgs: frozenset[str] | None
    user_ids: frozenset[int] | None
    start_date: datetime | None
    end_date: datetime | None

    @property
    def are_given(self) -> bool:
        """Whether there is any."""
        return any(given is not None for given in astuple(self))

    @property
    def have_window(self) -> bool:
        """Whether one of them says when a record changed."""
        return self.start_date is not None or self.end_date is not None

    def selection(self, index: ProgramIndex, site: SiteOrgs | None) -> Selection:
        """Return what to read.

        Args:
            index: The programs that `program_uuids` names.
            site: The site to keep to; None keeps to none.

        Raises:
            ConfigurationError: If a program is unknown, the window is empty, or no organisation is left.
            InvalidRecordError: If a program lists a course run whose key does not parse.
        """
        return Selection(
            course_runs=self._course_runs(index),
            start=self.start_date,
            end=self.end_date,
            user_ids=self.user_ids,
            orgs=self._orgs(site),
        )

    def _course_runs(self, index: ProgramIndex) -> frozenset[str] | None:
        if self.program_uuids is None:
            return self.courses
        # Programs without course runs leave an empty set, which selects nothing: never None, which selects everything.
        return (self.courses or frozenset()).union(_iter_course_runs(self.program_uuids, index))

    def _orgs(self, site: SiteOrgs | None) -> frozenset[str] | None:
        if site is None or self.orgs is None:
            return self.orgs if site is None else site.orgs
        shared = self.orgs & site.orgs
        if not shared:
            raise ConfigurationError(f"--orgs names none of the site's organisations: {', '.join(sorted(site.orgs))}")
        return shared


def _iter_course_runs(uuids: frozenset[str], index: ProgramIndex) -> Iterator[str]:
    programs = {program.uuid: program for program in index.programs()}
    for uuid in sorted(uuids):
        if uuid not in programs:
            raise ConfigurationError(f"--program-uuids: the catalog has no program {uuid}")
        for run in programs[uuid].iter_course_runs():
            yield run.key
