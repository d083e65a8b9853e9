"""Going through records a page at a time."""

from __future__ import annotations

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
    page, and should continue after the last key seen rather than count rows. It may raise `SourceError`, and nothing else.
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
        source: A `PageSource`, anything sized (or with `count()`) and sliceable such as a QuerySet, or any other iterable;
            generators may be infinite.
        delay: Seconds to pause between pages, not before the first.
        page_size: Items a page holds, 1 or more.

    Raises:
        ConfigurationError: If the page size is below 1 or the delay negative; at once, before anything is read.
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
        ConfigurationError: If the page size is below 1 or the delay negative.
    """
    if page_size < 1:
        raise ConfigurationError(f"page size {page_size}: a page holds 1 record or more")
    if not delay >= 0:
        raise ConfigurationError(f"delay {delay}: a pause lasts 0 seconds or more")


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
        return _iter_fetched(_SlicedSource(source), page_size, start, pause)
    return _iter_taken(islice(source, start, None), page_size, start, pause)


def _iter_numbered(pages: Iterator[Page[R]]) -> Iterator[tuple[int, R]]:
    index = 0
    for page in pages:
        for record in page.records:
            if isinstance(record, InvalidRecordError):
                raise record
            index += 1
            yield index, record


def _pause(delay: float) -> Callable[[], None] | None:
    return partial(time.sleep, delay) if delay else None


def _iter_fetched(
    source: PageSource[R], page_size: int, after: Cursor | None, pause: Callable[[], None] | None
) -> Iterator[Page[R]]:
    while True:
        page = isolated(source.fetch, after, page_size)
        if isinstance(page, Exception):
            raise _source_error(page, after) from page
        yield page
        if page.next is None:
            return
        after = page.next
        del page  # while the next page is read, this one is gone
        if pause:
            pause()


def _iter_taken(
    remaining: Iterator[R], page_size: int, start: int, pause: Callable[[], None] | None
) -> Iterator[Page[R]]:
    while True:
        records: list[R] = []
        error = isolated(records.extend, islice(remaining, page_size))
        start += len(records)
        if records:
            yield Page(records, start)
        if error is not None:
            raise _source_error(error, start) from error
        if len(records) < page_size:
            return
        del records  # while the next page is read, this one is gone
        if pause:
            ahead: list[R] = []
            error = isolated(ahead.extend, islice(remaining, 1))
            if error is not None:
                raise _source_error(error, start) from error
            if not ahead:
                return
            remaining = chain(ahead, remaining)
            pause()


def _source_error(error: Exception, cursor: Cursor | None) -> SourceError:
    """Say where to go on from; a source's own error keeps the cursor it names."""
    if isinstance(error, SourceError):
        return error if error.cursor is not None else SourceError(error.message, cursor)
    return SourceError(f"the source failed with {type(error).__name__} behind {cursor!r}", cursor)


class _Sliceable(Protocol[R_co]):
    def __getitem__(self, index: slice, /) -> Iterable[R_co]: ...


def _is_sliceable(source: Iterable[R]) -> TypeGuard[_Sliceable[R]]:
    """Whether an iterable is sized, or has `count()`, and gives slices; mappings and deques have items but no slices."""
    if isinstance(source, Mapping) or not (hasattr(source, "__len__") or hasattr(source, "count")):
        return False
    try:
        source[0:0]  # type: ignore[index]  # asking is the only way to know; a QuerySet reads nothing for an empty slice
    except (TypeError, KeyError):
        return False
    return True


@frozen
class _SlicedSource(Generic[R]):
    """A page source over slices; its cursor is the number of items before."""

    source: _Sliceable[R]

    def fetch(self, after: Cursor | None, limit: int) -> Page[R]:
        start = after if isinstance(after, int) else 0
        records = list(self.source[start : start + limit])
        end = start + len(records)
        return Page(records, end if len(records) == limit and self._reaches_beyond(end) else None)

    def _reaches_beyond(self, end: int) -> bool:
        """Look for one item more: cheaper than counting a QuerySet, and right where rows come and go."""
        return bool(list(self.source[end : end + 1]))
