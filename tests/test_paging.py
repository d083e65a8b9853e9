"""Pages: everything once and in order, one page at a time, and an error that says where to go on from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from math import ceil, inf, nan
from typing import Generic, TypeVar
from weakref import WeakSet

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from credsync.errors import ConfigurationError, InvalidRecordError, SourceError
from credsync.paging import Cursor, Page, Pageable, PageSource, iter_pages, paged_query

R = TypeVar("R")


class QueryLike(Generic[R]):
    """Counts and slices; a slice reads when it is gone through."""

    def __init__(self, items: Sequence[R], log: list[object] | None = None) -> None:
        self.items = items
        self.log: list[object] = [] if log is None else log

    def count(self) -> int:
        """Ask how many items there are, which costs as much as it costs."""
        self.log.append("counted")
        return len(self.items)

    def __getitem__(self, index: slice) -> QueryLike[R]:
        """Select without reading."""
        return type(self)(self.items[index], self.log)

    def __iter__(self) -> Iterator[R]:
        """Read."""
        self.log.append(("read", *self.items))
        return iter(self.items)


class QuerySetLike(QueryLike[R]):
    """Has a length besides, as a QuerySet does, and to ask for it is a mistake."""

    def __len__(self) -> int:
        """Read everything, if this were a QuerySet."""
        raise AssertionError("len() reads everything")


class EagerSlices(QueryLike[R]):
    """Reads its slices as they are taken."""

    @override
    def __getitem__(self, index: slice) -> QueryLike[R]:
        """Read."""
        items = self.items[index]
        if items:
            self.log.append(("read", *items))
        return QueryLike(items)


class Keyset(Generic[R]):
    """A page source whose cursor names the last item's place, as a database would."""

    def __init__(self, items: Sequence[R], log: list[object] | None = None) -> None:
        self.items = items
        self.log: list[object] = [] if log is None else log

    def fetch(self, after: Cursor | None, limit: int) -> Page[R]:
        """Read a page, and write down which."""
        start = 0 if after is None else after["last"] + 1  # type: ignore[index]  # the cursor is ours
        records = self.items[start : start + limit]
        self.log.append(("read", *records))
        end = start + len(records)
        return Page(records, {"last": end - 1} if end < len(self.items) else None)


class FixedList(Generic[R]):
    """Sized, with items by place, and none too polite about slices."""

    def __init__(self, items: Iterable[R]) -> None:
        self.items = list(items)

    def __len__(self) -> int:
        """Say how many items there are."""
        return len(self.items)

    def __iter__(self) -> Iterator[R]:
        """Go through them."""
        return iter(self.items)

    def __getitem__(self, index: int) -> R:
        """Give one item; a slice fails in a way of its own."""
        if not isinstance(index, int):
            raise NotImplementedError("no slices here")
        return self.items[index]


class ByName:
    """To be gone through; what it has by index goes by name, and its length is nobody's business."""

    def __init__(self, items: Iterable[int]) -> None:
        self.items = list(items)

    def __iter__(self) -> Iterator[int]:
        """Go through the items."""
        return iter(self.items)

    def __getitem__(self, name: object) -> str:
        """Answer whatever is asked."""
        return f"{name}"


class MappingToAnything(Mapping[int, int]):
    """Keys and values, and a value for every other key, too."""

    def __init__(self, keys: Iterable[int]) -> None:
        self.listed = list(keys)

    @override
    def __len__(self) -> int:
        """Say how many keys there are."""
        return len(self.listed)

    @override
    def __iter__(self) -> Iterator[int]:
        """Go through the keys."""
        return iter(self.listed)

    @override
    def __getitem__(self, key: object) -> int:
        """Answer."""
        return 42


KINDS: dict[str, Callable[[list[int]], Pageable[int]]] = {
    "list": list,
    "tuple": tuple,
    "deque": deque,
    "iterator": iter,
    "generator": lambda items: (item for item in items),
    "mapping": dict.fromkeys,
    "keys": lambda items: dict.fromkeys(items).keys(),
    "values": lambda items: dict(enumerate(items)).values(),
    "query": QueryLike,
    "QuerySet": QuerySetLike,
    "page source": Keyset,
    "sequence without slices": FixedList,
    "mapping to anything": MappingToAnything,
    "iterable by name": ByName,
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
page_sizes = st.integers(1, 12)
item_lists = st.lists(st.integers(), unique=True, max_size=40)


class TestEveryItem:
    @every_kind
    @given(items=item_lists, page_size=page_sizes)
    def test_comes_once_in_order_with_its_number(
        self, kind: Callable[[list[int]], Pageable[int]], items: list[int], page_size: int
    ) -> None:
        """Whatever the kind of source and the size of a page, the result is a plain enumeration from 1."""
        assert list(paged_query(kind(items), page_size=page_size)) == list(enumerate(items, 1))

    @given(items=st.sets(st.integers()), page_size=page_sizes)
    def test_of_a_set_comes_in_the_set_s_own_order(self, items: set[int], page_size: int) -> None:
        """A set is gone through as Python goes through it."""
        assert list(paged_query(items, page_size=page_size)) == list(enumerate(items, 1))

    @given(text=st.text(), page_size=page_sizes)
    def test_of_a_text_is_a_character(self, text: str, page_size: int) -> None:
        """A string is as sliceable as any sequence."""
        assert list(paged_query(text, page_size=page_size)) == list(enumerate(text, 1))

    @given(length=st.integers(0, 10**18), page_size=page_sizes)
    def test_of_a_range_without_end_in_sight_comes_when_asked_for(self, length: int, page_size: int) -> None:
        """The size of a source does not matter to its first items."""
        numbers = paged_query(range(length), page_size=page_size)
        assert list(islice(numbers, 20)) == list(enumerate(range(min(length, 20)), 1))

    def test_of_an_endless_generator_comes_when_asked_for(self) -> None:
        """There is no need to know the end."""
        assert list(islice(paged_query(count(5), page_size=3), 7)) == list(enumerate(range(5, 12), 1))

    def test_comes_with_a_page_of_100_unless_said_otherwise(self) -> None:
        """The reference's defaults: a hundred to a page, and no pause."""
        log: list[object] = []
        assert len(list(paged_query(Keyset(range(250), log)))) == 250
        assert log == [("read", *range(100)), ("read", *range(100, 200)), ("read", *range(200, 250))]

    def test_that_cannot_be_sliced_nor_iterated_is_the_source_s_error(self) -> None:
        """What is no source at all fails like one, with the reason as its cause."""
        with pytest.raises(SourceError, match="failed with TypeError at its start") as failed:
            list(paged_query(5))  # type: ignore[arg-type]  # the point of the test
        assert isinstance(failed.value.__cause__, TypeError)


class TestArguments:
    @pytest.mark.parametrize("page_size", [0, -1])
    @every_kind
    def test_a_page_size_below_1_is_refused_at_once(
        self, kind: Callable[[list[int]], Pageable[int]], page_size: int
    ) -> None:
        """The mistake shows where it was made, not at the first item."""
        with pytest.raises(ConfigurationError, match=f"page size {page_size}"):
            paged_query(kind([1, 2, 3]), page_size=page_size)

    @pytest.mark.parametrize("delay", [-1, -0.001, nan, inf, -inf])
    def test_a_delay_that_is_no_length_of_time_is_refused_at_once(self, delay: float) -> None:
        """Negative, endless, or no number: refused before anything is read."""
        with pytest.raises(ConfigurationError, match=f"delay {delay}"):
            paged_query([1, 2, 3], delay=delay)

    def test_a_source_is_not_touched_before_the_arguments_are_good(self) -> None:
        """A refusal costs the source nothing."""
        log: list[object] = []
        with pytest.raises(ConfigurationError):
            paged_query(QuerySetLike([1], log), page_size=0)
        assert log == []


class TestLaziness:
    def test_nothing_is_read_before_the_first_item_is_asked_for(self) -> None:
        """Neither a slice, nor a page, nor the first step into an iterable."""
        log: list[object] = []

        class OpensAtOnce:
            def __iter__(self) -> Iterator[int]:
                """Read before the first item is asked for, as an ORM's query may."""
                log.append("opened")
                return iter([1])

        sources: list[Pageable[int]] = [
            QuerySetLike([1], log),
            EagerSlices([1], log),
            Keyset([1], log),
            OpensAtOnce(),
        ]
        walks = [paged_query(source) for source in sources]
        assert log == []
        assert [next(walk) for walk in walks] == [(1, 1)] * 4
        assert log == [("read", 1), ("read", 1), ("read", 1), "opened"]

    @given(length=st.integers(0, 30), page_size=page_sizes, taken=st.integers(0, 30))
    @pytest.mark.parametrize("delay", [0, 1e-9])
    def test_no_more_than_the_page_in_hand_is_read(self, length: int, page_size: int, taken: int, delay: float) -> None:
        """An iterable is never more than a page ahead of who goes through it."""
        produced = 0

        def produce() -> Iterator[int]:
            nonlocal produced
            for produced in range(1, length + 1):  # noqa: UP028  # what counts is how far it got
                yield produced

        taken = len(list(islice(paged_query(produce(), delay, page_size), taken)))
        assert produced <= ceil(taken / page_size) * page_size

    @pytest.mark.parametrize("kind", [QueryLike, QuerySetLike, EagerSlices])
    def test_a_page_is_one_read(self, kind: type[QueryLike[int]]) -> None:
        """A query is asked for each slice once, and neither for its length nor for its count."""
        log: list[object] = []
        assert len(list(paged_query(kind(range(7), log), page_size=3))) == 7
        assert log == [("read", 0, 1, 2), ("read", 3, 4, 5), ("read", 6)]


class Item:
    """Something whose life can be watched."""

    alive: WeakSet[Item]
    most_alive: int

    def __init__(self) -> None:
        Item.alive.add(self)
        Item.most_alive = max(Item.most_alive, len(Item.alive))

    @classmethod
    def watch(cls) -> None:
        """Begin to count."""
        cls.alive, cls.most_alive = WeakSet(), 0


class ItemSlices:
    """Makes its items as slices are read."""

    def __len__(self) -> int:
        """Say how many there would be."""
        return 50

    def __iter__(self) -> Iterator[Item]:
        """Never asked for where slices are to be had."""
        raise AssertionError("slices are there")

    def __getitem__(self, index: slice) -> list[Item]:
        """Make what is asked for."""
        return [Item() for _ in range(50)[index]]


class ItemPages(ItemSlices):
    """Makes its items as pages are read."""

    def fetch(self, after: Cursor | None, limit: int) -> Page[Item]:
        """Make a page."""
        start = after if isinstance(after, int) else 0
        end = start + limit
        return Page(self[start:end], end if end < 50 else None)


class TestMemory:
    @pytest.mark.parametrize("delay", [0, 1e-9])
    @pytest.mark.parametrize("page_size", [1, 7, 10])
    @pytest.mark.parametrize(
        "source",
        [ItemPages, ItemSlices, lambda: (Item() for _ in range(50))],
        ids=["page source", "slices", "generator"],
    )
    def test_never_holds_more_than_one_page(
        self, source: Callable[[], Pageable[Item]], page_size: int, delay: float
    ) -> None:
        """A page is let go before the next one is read."""
        Item.watch()
        deque(paged_query(source(), delay, page_size), maxlen=0)
        assert Item.most_alive <= page_size
        assert len(Item.alive) == 0

    def test_a_walk_of_very_many_pages_leaves_nothing_behind_that_grows(self) -> None:
        """The last page comes as the first did, whatever number of pauses lies between them."""
        pauses = deque[int](maxlen=1)
        pages = deque(iter_pages((n for n in range(50_000)), 1, pause=lambda: pauses.append(1)), maxlen=2)
        assert [(page.records, page.next) for page in pages] == [([49_999], 50_000), ([], None)]


class TestPauses:
    @every_kind
    @given(length=st.integers(0, 12), page_size=st.integers(1, 5))
    def test_are_made_between_pages_only(
        self, kind: Callable[[list[int]], Pageable[int]], length: int, page_size: int
    ) -> None:
        """None before the first page, one before each other, none after the last even where it is full."""
        log: list[object] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("credsync.paging.time.sleep", lambda seconds: log.append(("paused", seconds)))
            for number, _ in paged_query(kind(list(range(length))), 0.25, page_size):
                log.append(number)
        expected: list[object] = []
        for number in range(1, length + 1):
            if number > 1 and number % page_size == 1 % page_size:
                expected.append(("paused", 0.25))
            expected.append(number)
        assert log == expected

    def test_are_none_without_a_delay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A delay of zero is no call at all."""
        log: list[float] = []
        monkeypatch.setattr("credsync.paging.time.sleep", log.append)
        assert len(list(paged_query(range(10), page_size=2))) == 10
        assert log == []

    def test_come_before_the_next_page_is_read(self) -> None:
        """The pause is the source's: it rests, then it is asked."""
        log: list[object] = []
        deque(iter_pages(Keyset(range(4), log), 2, pause=lambda: log.append("paused")), maxlen=0)
        assert log == [("read", 0, 1), "paused", ("read", 2, 3)]


class ConnectionLostError(Exception):
    """What a database driver might raise."""


@frozen
class Outage:
    """While it lasts, the item at one place cannot be read."""

    place: int

    def pass_by(self, items: Iterable[int], first: int = 0) -> Iterator[int]:
        """Yield items that begin at some place, up to the one that cannot be read."""
        for place, item in enumerate(items, first):
            if place == self.place:
                raise ConnectionLostError("the connection to db.example.org as ada was lost")
            yield item


ITEMS = list(range(100, 107))


def failing_iterable(outage: Outage) -> Pageable[int]:
    """Fail at a place of an iterable."""
    return outage.pass_by(ITEMS)


class FailingSlices:
    """Slices that fail at a place, while they are gone through."""

    def __init__(self, outage: Outage) -> None:
        self.outage = outage

    def __len__(self) -> int:
        """What is there in good times."""
        return len(ITEMS)

    def __iter__(self) -> Iterator[int]:
        """Never asked for where slices are to be had."""
        raise AssertionError("slices are there")

    def __getitem__(self, index: slice) -> Iterator[int]:
        """Read slowly."""
        return self.outage.pass_by(ITEMS[index], index.start)


class FailingQuery(FailingSlices):
    """Slices that fail as a whole where a place in them cannot be read."""

    @override
    def __getitem__(self, index: slice) -> Iterator[int]:
        """Read all of it, or nothing."""
        return iter(list(super().__getitem__(index)))


class FailingPages(Keyset[int]):
    """A page source that fails at a place."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(ITEMS)
        self.outage = outage

    @override
    def fetch(self, after: Cursor | None, limit: int) -> Page[int]:
        """Read a page, or fail."""
        page = super().fetch(after, limit)
        deque(self.outage.pass_by(ITEMS[: len(page.records)], 0 if after is None else after["last"] + 1), maxlen=0)  # type: ignore[index]  # the cursor is ours
        return page


class FailingWithCursor(FailingPages):
    """A page source that knows best where to go on from: it says so in its own error."""

    @override
    def fetch(self, after: Cursor | None, limit: int) -> Page[int]:
        """Read a page, or fail and say where."""
        try:
            return super().fetch(after, limit)
        except ConnectionLostError as exc:
            raise SourceError("no connection", after or {"last": -1}) from exc


class FailingWithoutCursor(FailingPages):
    """A page source that speaks credsync's language, and leaves the cursor to the walk."""

    @override
    def fetch(self, after: Cursor | None, limit: int) -> Page[int]:
        """Read a page, or fail."""
        try:
            return super().fetch(after, limit)
        except ConnectionLostError as exc:
            raise SourceError("no connection") from exc


FAILING: list[Callable[[Outage], Pageable[int]]] = [
    failing_iterable,
    FailingSlices,
    FailingQuery,
    FailingPages,
    FailingWithCursor,
    FailingWithoutCursor,
]
every_failing_kind = pytest.mark.parametrize("kind", FAILING)


class TestErrors:
    @every_failing_kind
    @given(place=st.integers(0, len(ITEMS) - 1), page_size=st.integers(1, 10), pauses=st.booleans())
    def test_surface_and_say_where_to_go_on_from(
        self, kind: Callable[[Outage], Pageable[int]], place: int, page_size: int, pauses: bool
    ) -> None:
        """What came before the error, and what comes behind its cursor once the outage is over, is everything once."""
        seen: list[int | InvalidRecordError] = []

        def go(pages: Iterator[Page[int]]) -> None:
            for page in pages:
                seen.extend(page.records)

        pause = list[int]().clear if pauses else None
        with pytest.raises(SourceError) as failed:
            go(iter_pages(kind(Outage(place)), page_size, pause=pause))
        assert place - page_size < len(seen) <= place
        go(iter_pages(kind(Outage(-1)), page_size, failed.value.cursor, pause))
        assert seen == ITEMS

    @pytest.mark.parametrize("kind", [failing_iterable, FailingSlices])
    @pytest.mark.parametrize("place", range(len(ITEMS)))
    @pytest.mark.parametrize("delay", [0, 1e-9])
    def test_come_behind_every_item_that_could_be_read(
        self, kind: Callable[[Outage], Pageable[int]], place: int, delay: float
    ) -> None:
        """A page that breaks off gives what it has; the error's cursor is the number of items before it."""
        seen: list[tuple[int, int]] = []

        def go() -> None:
            for numbered in paged_query(kind(Outage(place)), delay, 3):
                seen.append(numbered)  # noqa: PERF402  # extend would not keep what came before the error

        with pytest.raises(SourceError) as failed:
            go()
        assert seen == list(enumerate(ITEMS[:place], 1))
        assert failed.value.cursor == place

    @every_failing_kind
    def test_keep_their_cause_and_keep_its_words_to_themselves(self, kind: Callable[[Outage], Pageable[int]]) -> None:
        """A traceback has the driver's own error; the message, which goes to logs, has only its type."""
        with pytest.raises(SourceError) as failed:
            list(paged_query(kind(Outage(4)), page_size=2))
        causes = []
        error: BaseException | None = failed.value
        while error is not None:
            assert error not in causes
            causes.append(error)
            error = error.__cause__
        assert isinstance(causes[-1], ConnectionLostError)
        assert "ada" not in f"{failed.value}{failed.value.args}"

    def test_of_an_iterable_have_a_cursor_of_that_iterable(self) -> None:
        """An iterable that wraps another source passes on an error whose cursor means nothing here."""

        def wrapping() -> Iterator[int]:
            yield 1
            raise SourceError("the connection was lost", {"id": 41})

        with pytest.raises(SourceError, match="the connection was lost") as failed:
            list(paged_query(wrapping()))
        assert failed.value.cursor == 1

    def test_of_a_page_source_keep_the_cursor_it_names(self) -> None:
        """A source that got further than its page's start knows better where to go on from, and is not contradicted."""
        lost = SourceError("the connection was lost", {"id": 41})

        class KnowsBest(Keyset[int]):
            @override
            def fetch(self, after: Cursor | None, limit: int) -> Page[int]:
                """Fail, and say where."""
                raise lost

        with pytest.raises(SourceError) as failed:
            list(paged_query(KnowsBest([1, 2, 3])))
        assert failed.value is lost
        assert failed.value.cursor == {"id": 41}

    @pytest.mark.parametrize(("place", "message"), [(0, "at its start"), (3, "behind 3")])
    def test_name_their_type_and_place(self, place: int, message: str) -> None:
        """The message says what kind of failure it was, and where."""
        with pytest.raises(SourceError, match=f"^the source failed with ConnectionLostError {message}$"):
            list(paged_query(failing_iterable(Outage(place))))

    @pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
    def test_of_an_operator_are_no_errors_of_the_source(self, signal: type[BaseException]) -> None:
        """Ctrl-C in the middle of a read goes through as it is."""

        def interrupted() -> Iterator[int]:
            yield 1
            raise signal

        with pytest.raises(signal):
            list(paged_query(interrupted()))


class TestRecordsThatCannotBeBuilt:
    invalid = InvalidRecordError("grade in course-v1:X+Y+Z for user 7", "percent_grade", "1.2 is outside 0 to 1")

    def test_stand_in_their_page_as_values(self) -> None:
        """Whoever goes through pages decides what a bad record costs."""
        source: PageSource[object] = Keyset([1, self.invalid, 3])
        (page,) = iter_pages(source, 10)
        assert page.records == [1, self.invalid, 3]

    def test_are_raised_where_single_items_are_asked_for(self) -> None:
        """An item that cannot be had is never passed over."""
        walk = paged_query(Keyset[object]([1, self.invalid, 3]))
        assert next(walk) == (1, 1)
        with pytest.raises(InvalidRecordError) as raised:
            next(walk)
        assert raised.value is self.invalid


class TestPages:
    @every_kind
    @given(items=item_lists, page_size=page_sizes)
    def test_each_but_the_last_says_where_the_next_one_starts(
        self, kind: Callable[[list[int]], Pageable[int]], items: list[int], page_size: int
    ) -> None:
        """Only the last page, an empty one perhaps, has no `next`; each other is full."""
        *others, last = iter_pages(kind(items), page_size)
        assert last.next is None
        assert all(page.next is not None and len(page.records) == page_size for page in others)
        assert len(last.records) <= page_size

    @pytest.mark.parametrize("kind", [list, QuerySetLike, Keyset, FixedList])
    @given(items=item_lists, page_size=page_sizes, other_size=page_sizes)
    def test_go_on_from_any_page_s_end(
        self, kind: Callable[[list[int]], Pageable[int]], items: list[int], page_size: int, other_size: int
    ) -> None:
        """A run that resumes at a page's `next` reads exactly what was behind it, in pages of any size."""
        read = 0
        for page in iter_pages(kind(items), page_size):
            read += len(page.records)
            if page.next is not None:
                rest = [record for later in iter_pages(kind(items), other_size, page.next) for record in later.records]
                assert rest == items[read:]
