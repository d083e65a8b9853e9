"""The filters of the command line become the selection they mean, and never a wider one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from credsync.catalog import Course, CourseRun, Program, ProgramIndex
from credsync.cli.filters import Filters
from credsync.errors import ConfigurationError
from credsync.ports import SiteOrgs
from credsync.selection import Selection

UUID, BARE_UUID = "6883080f-0000-4000-8000-000000000001", "6883080f-0000-4000-8000-000000000002"
RUN = CourseRun(key="course-v1:X+Y+Z")
INDEX = ProgramIndex([Program(uuid=UUID, courses=(Course(course_runs=(RUN,)),)), Program(uuid=BARE_UUID)])
NONE: dict[str, Any] = dict.fromkeys(["courses", "program_uuids", "orgs", "user_ids", "start_date", "end_date"])


def selected(site: SiteOrgs | None = None, **given: object) -> Selection:
    """Return what some filters select."""
    return Filters(**{**NONE, **given}).selection(INDEX, site)


def test_no_filter_is_no_filter() -> None:
    """Without a filter, everything is selected, and the filters say that there are none."""
    assert selected().is_everything
    assert not Filters(**NONE).are_given


@pytest.mark.parametrize("name", NONE)
def test_each_filter_counts_as_one(name: str) -> None:
    """Any of the filters counts as one, even one that selects nothing."""
    assert Filters(**{**NONE, name: frozenset()}).are_given


def test_filters_join() -> None:
    """Filters of different kinds are all in the selection."""
    start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
    assert selected(
        courses=frozenset({"course-v1:X+Y+Z"}),
        user_ids=frozenset({7}),
        orgs=frozenset({"X"}),
        start_date=start,
        end_date=end,
    ) == Selection(course_runs=["course-v1:X+Y+Z"], user_ids=[7], orgs=["X"], start=start, end=end)


def test_programs_add_their_course_runs() -> None:
    """The course runs of programs come beside those that are named."""
    both = selected(courses=frozenset({"course-v1:A+B+C"}), program_uuids=frozenset({UUID}))
    assert both == Selection(course_runs=["course-v1:A+B+C", "course-v1:X+Y+Z"])


def test_a_program_without_course_runs_selects_nothing() -> None:
    """A program that lists no course run does not turn into every course run."""
    assert selected(program_uuids=frozenset({BARE_UUID})).course_runs == frozenset()


def test_an_unknown_program_is_refused() -> None:
    """A program that the catalog does not have is named."""
    unknown = "6883080f-0000-4000-8000-00000000000f"
    with pytest.raises(ConfigurationError, match=f"the catalog has no program {unknown}"):
        selected(program_uuids=frozenset({UUID, unknown}))


def test_a_site_keeps_to_its_organisations() -> None:
    """A site selects its organisations, and --orgs narrows them."""
    site = SiteOrgs(["X", "Y"])
    assert selected(site).orgs == frozenset({"X", "Y"})
    assert selected(site, orgs=frozenset({"Y", "Z"})).orgs == frozenset({"Y"})


def test_organisations_of_another_site_are_refused() -> None:
    """Organisations that the site does not have are an error, not an empty run."""
    with pytest.raises(ConfigurationError, match="--orgs names none of the site's organisations: X, Y"):
        selected(SiteOrgs(["X", "Y"]), orgs=frozenset({"Z"}))


def test_an_empty_window_is_refused() -> None:
    """A window that ends before it starts is refused."""
    with pytest.raises(ConfigurationError, match="the window is empty"):
        selected(start_date=datetime(2024, 2, 1, tzinfo=UTC), end_date=datetime(2024, 1, 1, tzinfo=UTC))
