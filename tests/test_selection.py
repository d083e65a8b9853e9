"""Selections: no condition is not an empty one, windows are half-open and UTC, and the JSON form is stable."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from attrs import evolve, fields
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from credsync.errors import ConfigurationError, InvalidRecordError
from credsync.model import parse_course_key
from credsync.selection import Selection

INTRO = "course-v1:DemoX+Intro+2024"
LEGACY = "DemoX/Old/2012"
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
IN_KATHMANDU = timezone(timedelta(hours=5, minutes=45))
CONDITIONS = [field.name for field in fields(Selection)]

moments = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001  # Hypothesis wants naive bounds beside its zones
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001  # likewise
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


class TestConditions:
    def test_without_conditions_it_is_everything(self) -> None:
        """Nothing asked for, nothing filtered out."""
        assert Selection().is_everything

    @pytest.mark.parametrize("condition", ["course_runs", "user_ids", "orgs"])
    def test_an_empty_condition_is_not_none(self, condition: str) -> None:
        """No course run at all is another thing than any course run."""
        empty = Selection(**{condition: []})  # type: ignore[arg-type]  # mypy cannot see which condition it is
        assert getattr(empty, condition) == frozenset()
        assert not empty.is_everything
        assert empty.as_dict()[condition] == []

    @pytest.mark.parametrize("condition", ["start", "end"])
    def test_one_bound_is_a_condition(self, condition: str) -> None:
        """A window that is open at one end filters."""
        assert not Selection(**{condition: NEW_YEAR}).is_everything  # type: ignore[arg-type]  # likewise

    def test_course_runs_are_strings_however_they_were_given(self) -> None:
        """Keys and strings of one course run are one course run."""
        assert Selection(course_runs=[parse_course_key(INTRO), INTRO, LEGACY]).course_runs == frozenset({INTRO, LEGACY})

    @pytest.mark.parametrize("text", ["nope", "", "course-v1:X+Y", INTRO + "\x00", "course-v1:X+Y+" + "Z" * 300])
    def test_refuses_what_is_no_course_key(self, text: str) -> None:
        """A mistyped course run does not silently select nothing."""
        with pytest.raises(InvalidRecordError) as refused:
            Selection(course_runs=[INTRO, text])
        assert refused.value.field == "course_id"
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 150

    def test_one_org_may_be_a_string(self) -> None:
        """A string is one organisation, not its letters."""
        assert Selection(orgs="DemoX") == Selection(orgs=["DemoX"])

    def test_takes_generators(self) -> None:
        """Any iterable of conditions will do, read once."""
        selection = Selection(user_ids=(user_id for user_id in (7, 8, 7)), orgs=iter(["DemoX"]))
        assert selection.user_ids == frozenset({7, 8})
        assert selection.orgs == frozenset({"DemoX"})

    def test_is_a_frozen_value(self) -> None:
        """Equal conditions make equal selections, whatever their order, and none changes."""
        selection = Selection(user_ids=[8, 7], course_runs=[LEGACY, INTRO])
        assert {selection} == {Selection(user_ids=[7, 8], course_runs=[INTRO, LEGACY])}
        with pytest.raises(FrozenInstanceError):
            selection.orgs = frozenset()  # type: ignore[misc]  # the point of the test
        assert not hasattr(selection, "__dict__")
        with pytest.raises(TypeError, match="takes 1 positional argument"):
            Selection([INTRO])  # type: ignore[call-arg]  # likewise


class TestWindow:
    @pytest.mark.parametrize(
        ("start", "end", "inside"),
        [
            (None, None, True),
            (NEW_YEAR, None, True),
            (None, NEW_YEAR, False),
            (NEW_YEAR + timedelta(microseconds=1), None, False),
            (None, NEW_YEAR + timedelta(microseconds=1), True),
            (NEW_YEAR, NEW_YEAR + timedelta(microseconds=1), True),
            (NEW_YEAR - timedelta(days=1), NEW_YEAR, False),
        ],
    )
    def test_is_half_open(self, start: datetime | None, end: datetime | None, inside: bool) -> None:
        """The start belongs to the window, the end to the next one."""
        assert Selection(start=start, end=end).is_in_window(NEW_YEAR) is inside

    @given(bounds=st.lists(moments, min_size=3, max_size=3, unique=True).map(sorted), moment=moments)
    def test_two_windows_that_meet_hold_each_moment_once(self, bounds: list[datetime], moment: datetime) -> None:
        """No gap and no overlap where one window ends and the next begins."""
        start, cut, end = bounds
        halves = [Selection(start=start, end=cut), Selection(start=cut, end=end)]
        whole = Selection(start=start, end=end)
        assert sum(half.is_in_window(moment) for half in halves) == whole.is_in_window(moment)

    def test_can_be_left_out(self) -> None:
        """The same records, whenever they changed."""
        conditions = Selection(user_ids=[7], orgs="DemoX", course_runs=[INTRO])
        windowed = evolve(conditions, start=NEW_YEAR, end=NEW_YEAR + timedelta(days=1))
        assert windowed.without_window() == conditions
        assert Selection(start=NEW_YEAR).without_window().is_everything

    def test_bounds_are_told_in_utc(self) -> None:
        """A bound in another zone is the same moment in UTC."""
        selection = Selection(start=datetime(2024, 1, 1, 5, 45, tzinfo=IN_KATHMANDU))
        assert selection == Selection(start=NEW_YEAR)
        assert selection.start is not None
        assert selection.start.tzinfo is UTC

    @pytest.mark.parametrize("bound", ["start", "end"])
    def test_refuses_a_bound_without_a_zone(self, bound: str) -> None:
        """Nobody guesses what time it is meant to be."""
        naive = NEW_YEAR.replace(tzinfo=None)
        with pytest.raises(ConfigurationError, match="2024-01-01T00:00:00 has no time zone"):
            Selection(**{bound: naive})  # type: ignore[arg-type]  # mypy cannot see which bound it is

    @pytest.mark.parametrize(
        "bound",
        [
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        ],
    )
    def test_refuses_a_bound_beyond_the_years_of_utc(self, bound: datetime) -> None:
        """The last evening of the year 9999 in New York is a wrong argument, not a crash."""
        with pytest.raises(ConfigurationError, match="outside the years of UTC"):
            Selection(end=bound)

    @pytest.mark.parametrize("length", [timedelta(0), timedelta(microseconds=-1), timedelta(days=-400)])
    def test_refuses_a_window_without_a_moment(self, length: timedelta) -> None:
        """A start at or after the end is a mistake that the error shows, both bounds in it."""
        with pytest.raises(ConfigurationError, match="the window is empty") as refused:
            Selection(start=NEW_YEAR, end=NEW_YEAR + length)
        assert (NEW_YEAR + length).isoformat() in str(refused.value)
        assert NEW_YEAR.isoformat() in str(refused.value)


class TestAsDict:
    def test_names_every_condition(self) -> None:
        """The JSON form of nothing is nothing, condition by condition."""
        assert Selection().as_dict() == dict.fromkeys(CONDITIONS)

    def test_is_readable(self) -> None:
        """Sets come sorted, moments in ISO form."""
        selection = Selection(
            course_runs=[LEGACY, INTRO],
            start=NEW_YEAR,
            end=NEW_YEAR + timedelta(hours=4),
            user_ids=[30, 7],
            orgs=["OtherX", "DemoX"],
        )
        assert selection.as_dict() == {
            "course_runs": [LEGACY, INTRO],
            "start": "2024-01-01T00:00:00+00:00",
            "end": "2024-01-01T04:00:00+00:00",
            "user_ids": [7, 30],
            "orgs": ["DemoX", "OtherX"],
        }

    @given(
        user_ids=st.none() | st.lists(st.integers(0, 2**63 - 1), max_size=5),
        orgs=st.none() | st.lists(st.text(max_size=5), max_size=5),
        start=st.none() | moments,
    )
    def test_goes_through_json_and_back(
        self, user_ids: list[int] | None, orgs: list[str] | None, start: datetime | None
    ) -> None:
        """The JSON form tells a selection whole: reading it gives the same selection, and the same text."""
        selection = Selection(user_ids=user_ids, orgs=orgs, start=start)
        form = json.loads(json.dumps(selection.as_dict()))
        form["start"] = form["start"] and datetime.fromisoformat(form["start"])
        again = Selection(**form)
        assert again == selection
        assert json.dumps(again.as_dict()) == json.dumps(selection.as_dict())
