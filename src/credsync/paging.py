"""Going through records a page at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Generic, Protocol, TypeAlias, TypeGuard, TypeVar, runtime_checkable

from attrs import frozen

from credsync.errors import ConfigurationError, InvalidRecordError, SourceError, isolated

__all__ = ["Cursor", "Page", "PageSource", "Pageable", "check_paging", "iter_pages", "paged_query"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Cursor: TypeAlias = object
"""A place in a page source: opaque to everyone else, JSON-able, and good for going on after a restart."""


@frozen
class Page(Generic[R_co]):
    """Some records in a row.

    Attributes:
        records: The records in their order. A record that the source cannot build stands here as the error that names
            it, so that one bad row costs itself and not its page.
        next: Where the next page starts; None after the last page.
    """

    records: Sequence[R_co | InvalidRecordError]
    next: Cursor | None


@runtime_checkable
class PageSource(Protocol[R_co]):
    """Records in a stable total order, a page at a time.

    An implementation must give each record that does not change exactly once over a walk, must not hold more than the
    page, and should continue after the last key seen rather than count rows. It may raise `SourceError`, nothing else.
    """

    def fetch(self, after: Cursor | None, limit: int) -> Page[R_co]:
        """Return up to `limit` records behind `after`.

        Args:
            after: Where an earlier page ended (its `next`); None is the start.
            limit: Records at most, 1 or more.

        Raises:
            SourceError: If the records cannot be read.
        """
        ...


Pageable: TypeAlias = PageSource[R] | Iterable[R]
"""What can be paged through: a page source, anything sliceable such as a list or a QuerySet, any other iterable."""


def paged_query(source: Pageable[R], delay: float = 0, page_size: int = 100) -> Iterator[tuple[int, R]]:
    """Go through a source a page at a time, and yield each item with its number, counted from 1.

    Lazy: the next page is read when its first item is asked for, and the one before it is let go.

    Args:
        source: A `PageSource`, anything sized (or with `count()`) and sliceable such as a QuerySet, or any other
            iterable; generators may be infinite.
        delay: Seconds to pause between pages, not before the first.
        page_size: Items a page holds, 1 or more.

    Raises:
        ConfigurationError: If the page size is below 1, or the delay negative or endless: at once, with nothing read.
        SourceError: If the source fails; its `cursor` says where to go on from. Items read before it have been yielded.
        InvalidRecordError: If a `PageSource` could not build the item.

    Example:
        >>> list(paged_query("abc", page_size=2))
        [(1, 'a'), (2, 'b'), (3, 'c')]
    """
    check_paging(delay, page_size)
    return _iter_numbered(iter_pages(source, page_size, pause=_pause(delay)))


def check_paging(delay: float, page_size: int) -> None:
    """Refuse a delay and page size that make no sense.

    Raises:
        ConfigurationError: If the page size is below 1, or the delay negative or endless.
    """
    if page_size < 1:
        raise ConfigurationError(f"page size {page_size}: a page holds 1 record or more")
    if not 0 <= delay < math.inf:
        raise ConfigurationError(f"delay {delay}: a pause lasts 0 seconds or more, and ends")


def iter_pages(
    source: Pageable[R],
    page_size: int,
    after: Cursor | None = None,
    pause: Callable[[], None] | None = None,
) -> Iterator[Page[R]]:
    """Yield a source's pages, each when it is asked for.

    Args:
        source: What to go through.
        page_size: Records a page holds at most.
        after: Where to start, as a page's `next` or a `SourceError` named it; None is the start.
        pause: Called between pages.

    Raises:
        SourceError: If the source fails, behind what it gave before; its `cursor` says where to go on from.
    """
    if isinstance(source, PageSource):
        return _iter_fetched(source, page_size, after, pause)
    start = after if isinstance(after, int) else 0
    if _is_sliceable(source):
        return _iter_counted(partial(_iter_slice, source), page_size, start, pause)
    # Opened with the first item asked for: a host's `__iter__` may read, and fail.
    remaining = islice(chain.from_iterable([source]), start, None)
    return _iter_counted(lambda _, count: islice(remaining, count), page_size, start, pause)


def _iter_numbered(pages: Iterator[Page[R]]) -> Iterator[tuple[int, R]]:
    index = 0
    for page in pages:
        for record in page.records:
            if isinstance(record, InvalidRecordError):
                raise record
            index += 1
            yield index, record
            del record
        del page  # while the next page is read, this one is gone


def _pause(delay: float) -> Callable[[], None] | None:
    return partial(time.sleep, delay) if delay else None


def _iter_fetched(
    source: PageSource[R], page_size: int, after: Cursor | None, pause: Callable[[], None] | None
) -> Iterator[Page[R]]:
    while True:
        page = isolated(source.fetch, after, page_size)
        if isinstance(page, SourceError) and page.cursor is not None:
            raise page
        if isinstance(page, Exception):
            raise _source_error(page, after) from page
        yield page
        if page.next is None:
            return
        after = page.next
        del page  # while the next page is read, this one is gone
        if pause:
            pause()


def _iter_counted(
    take: Callable[[int, int], Iterable[R]], page_size: int, start: int, pause: Callable[[], None] | None
) -> Iterator[Page[R]]:
    """Yield the pages of a source without cursors of its own; the number of items before is one.

    Args:
        take: Gives, lazily, so many items behind so many.
        page_size: Items a page holds at most.
        start: Items to leave out.
        pause: Called between pages, once another one is known to come.
    """
    records: list[R] = []
    while True:
        error = isolated(records.extend, take(start + len(records), page_size - len(records)))
        start += len(records)
        is_last = error is None and len(records) < page_size
        if records or is_last:
            yield Page(records, None if is_last else start)
        if error is not None:
            raise _source_error(error, start) from error
        if is_last:
            return
        records = []  # while the next page is read, this one is gone
        if pause:
            error = isolated(records.extend, take(start, 1))
            if error is not None:
                raise _source_error(error, start) from error
            if records:
                pause()


def _source_error(error: Exception, cursor: Cursor | None) -> SourceError:
    """Say what failed, and where to go on from."""
    if isinstance(error, SourceError):
        return SourceError(error.message, cursor)
    place = f"behind {cursor!r}" if cursor else "at its start"
    return SourceError(f"the source failed with {type(error).__name__} {place}", cursor)


class _Sliceable(Protocol[R_co]):
    def __getitem__(self, index: slice, /) -> Iterable[R_co]: ...


def _is_sliceable(source: Iterable[R]) -> TypeGuard[_Sliceable[R]]:
    """Whether an iterable is sized, or has `count()`, and gives slices; mappings and deques have items but no slices.

    Asking is the only way to know, and whatever it raises is a no. A QuerySet reads nothing for an empty slice.
    """
    if isinstance(source, Mapping) or not (hasattr(source, "__len__") or hasattr(source, "count")):
        return False
    answer = isolated(lambda: source[0:0])  # type: ignore[index]  # whether it can is the question
    return not isinstance(answer, Exception)


def _iter_slice(source: _Sliceable[R], start: int, count: int) -> Iterator[R]:
    """Yield the items of a slice. Nothing asks for its length: a QuerySet's would be a query."""
    yield from islice(source[start : start + count], count)
