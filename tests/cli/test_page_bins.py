"""A run's timeline as bars: none is lost, and however long the run, there are not too many."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from credsync.cli.page.bins import MAX_BINS, bin_timeline, iter_marks, scale_of, width_of
from credsync.report import Verdict
from tests.cli.page_reading import BEGIN, MINUTE

timelines = st.dictionaries(
    st.tuples(
        st.integers(0, 60 * 24 * 400).map(lambda minute: BEGIN + minute * MINUTE), st.sampled_from([*map(str, Verdict)])
    ),
    st.integers(1, 10_000),
    min_size=1,
    max_size=50,
)


@given(timelines)
def test_bins_lose_nothing(timeline: Mapping[tuple[datetime, str], int]) -> None:
    """However long a run, its bins stand side by side without gaps, are few enough, and hold all of its records."""
    bins = bin_timeline(timeline)
    assert len(bins) <= MAX_BINS
    assert len({one.end - one.start for one in bins}) == 1
    assert all(one.end == following.start for one, following in pairwise(bins))
    assert sum(one.total for one in bins) == sum(timeline.values())
    assert bins[0].total
    assert bins[-1].total


@given(timelines)
def test_each_minute_is_in_its_bin(timeline: Mapping[tuple[datetime, str], int]) -> None:
    """A bin holds what ended between its first moment and the next one's."""
    for one in bin_timeline(timeline):
        within = [records for (moment, _), records in timeline.items() if one.start <= moment < one.end]
        assert one.total == sum(within)


@given(timelines)
def test_marks_are_few(timeline: Mapping[tuple[datetime, str], int]) -> None:
    """The time axis is marked at least once, and not more often than there is room for."""
    assert 1 <= len(list(iter_marks(bin_timeline(timeline), 7))) <= 7


def test_keeps_minutes_while_they_are_few() -> None:
    """A short run has a bar for every minute, an empty one where nothing ended."""
    bins = bin_timeline({(BEGIN, "sent"): 5, (BEGIN + 3 * MINUTE, "sent"): 7})
    assert [(one.start - BEGIN) // MINUTE for one in bins] == [0, 1, 2, 3]
    assert [one.total for one in bins] == [5, 0, 0, 7]


def test_marks_tell_the_day_once() -> None:
    """The first mark, and the first of another day, say which day it is."""
    late = datetime(2024, 5, 20, 22, tzinfo=UTC)
    bins = bin_timeline({(late + n * 30 * MINUTE, "sent"): 1 for n in range(9)})
    assert [label for _, label in iter_marks(bins, 5)] == ["20 May 22:00", "23:00", "21 May 00:00", "01:00", "02:00"]


@given(st.integers(1, 10**9), st.integers(2, 5))
def test_scales_reach_just_far_enough(highest: int, steps: int) -> None:
    """A scale's marks are evenly apart, few, and the last is the first that is not below the highest bar."""
    scale = scale_of(highest, steps)
    assert len(scale) <= steps + 1
    assert scale[-2] < highest <= scale[-1]
    assert {upper - lower for lower, upper in pairwise(scale)} == {scale[1]}


def test_spans_are_wide_enough_wherever_they_begin() -> None:
    """The spans that reach from one minute to another are few enough, also where the first begins before its minute."""
    for span in (1, 2, 5, 60, 720, 1440, 2 * 1440):
        for first in range(0, 3 * 1440, 7):
            last = first + span * MAX_BINS - 1
            width = width_of(first, last, MAX_BINS)
            assert last // width - first // width < MAX_BINS
            assert width == span or first % span, "a wider span only where this one does not fit"
