"""A run's timeline as the bars of a chart: minutes, or longer spans where the minutes would be too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, count

from attrs import frozen

__all__ = ["MAX_BINS", "Bin", "bin_timeline", "iter_marks", "scale_of", "width_of"]

MAX_BINS = 120
"""Bars that stand side by side and can still be told apart."""

DAY = 1_440
SPANS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, DAY)
"""Minutes that divide a day, so that the bars begin where a clock's hands stand straight."""

Timeline = Mapping[tuple[datetime, str], int]


@frozen
class Bin:
    """What ended in some span of time.

    Attributes:
        start: Its first moment.
        end: The first moment after it.
        counts: Records by verdict.
    """

    start: datetime
    end: datetime
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many records ended in it."""
        return sum(self.counts.values())


def bin_timeline(timeline: Timeline, most: int = MAX_BINS) -> list[Bin]:
    """Return a timeline as bins of one width without gaps: where nothing ended, an empty one.

    Args:
        timeline: Records by minute (its first moment, aware) and verdict.
        most: How many bins there may be at most.
    """
    if not timeline:
        return []
    minutes = [_minute_of(moment) for moment, _ in timeline]
    span = width_of(min(minutes), max(minutes), most)
    counts: dict[int, Counter[str]] = {}
    for (moment, verdict), records in timeline.items():
        counts.setdefault(_minute_of(moment) // span, Counter())[verdict] += records
    places = range(min(counts), max(counts) + 1)
    return [Bin(_moment_of(place * span), _moment_of((place + 1) * span), counts.get(place, {})) for place in places]


def width_of(first: int, last: int, most: int) -> int:
    """Return the narrowest span, in minutes, of which few enough reach from one minute to another, both included."""
    spans = chain(SPANS, count(2 * DAY, DAY))
    return next(span for span in spans if last // span - first // span < most)


def iter_marks(bins: Sequence[Bin], most: int) -> Iterator[tuple[int, str]]:
    """Yield where the time axis is marked, as places between the bins, and the labels.

    The first mark tells the day, and so does each later one that is on another day.
    """
    step = (bins[0].end - bins[0].start) // timedelta(minutes=1)
    first = _minute_of(bins[0].start)
    widest = width_of(first, first + step * (len(bins) - 1), most)
    apart = -(-widest // step) * step
    told = ""
    for place, one in enumerate(bins):
        if _minute_of(one.start) % apart == 0:
            day, hour = f"{one.start.day} {one.start:%b}", f"{one.start:%H:%M}"
            yield place, day if apart % DAY == 0 else hour if day == told else f"{day} {hour}"
            told = day


def scale_of(highest: int, steps: int = 4) -> list[int]:
    """Return the marks of a scale from 0 to just above a number: round ones, evenly apart.

    Example:
        >>> scale_of(3), scale_of(870)
        ([0, 1, 2, 3], [0, 250, 500, 750, 1000])
    """
    size = 1
    while True:
        for factor in (1, 2, 2.5, 5):
            apart = int(factor * size)
            if apart == factor * size and apart * steps >= highest:
                marks = max(1, -(-highest // apart))
                return [apart * place for place in range(marks + 1)]
        size *= 10


def _minute_of(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def _moment_of(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
