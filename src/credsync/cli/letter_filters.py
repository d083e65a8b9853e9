"""Which letters are meant: the filters of the command line, and the letters of a ledger that pass them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

import click
from attrs import astuple, frozen

from credsync.cli.inputs import read_course_run, read_program_uuid, read_user_id
from credsync.cli.ledgers import opened_history, opened_ledger
from credsync.cli.options import option
from credsync.errors import ConfigurationError
from credsync.ledger import Entry, EntryState
from credsync.paging import paged_query

__all__ = ["Letter", "LetterFilters", "destination_option", "iter_letters", "letter_options", "state_option"]

C = TypeVar("C", bound=Callable[..., Any])

WHICH = "Which letters: those that meet all filters"

KINDS = ("certificate", "grade", "program")

PAGE_SIZE = 1000
"""Letters that are read at a time."""


def _read_kind(text: str) -> str:
    if text not in KINDS:
        raise click.BadParameter(f"{text!r} is none of {', '.join(KINDS)}")
    return text


def letter_options(command: C) -> C:
    """Declare the options that `LetterFilters` is made from."""
    for declare in reversed(
        (
            option("--kind", section=WHICH, each=_read_kind, metavar="KIND...", help="certificate, grade or program."),
            option(
                "--course-run",
                section=WHICH,
                each=read_course_run,
                metavar="KEY...",
                help="Those of these course runs.",
            ),
            option(
                "--program",
                section=WHICH,
                each=read_program_uuid,
                metavar="UUID...",
                help="Those of these programs, too.",
            ),
            option("--user-id", section=WHICH, each=read_user_id, metavar="ID...", help="Those of these learners."),
            option("--reason", section=WHICH, metavar="TEXT", help="Those whose reason holds this, in either case."),
        )
    ):
        command = declare(command)
    return command


def state_option(command: C) -> C:
    """Declare the option that says in which state the letters are."""
    return option(
        "--state",
        section=WHICH,
        type=click.Choice(["dead", "deferred", "any"]),
        default="dead",
        help="Those that were rejected or given up; those that wait for something; or both.",
    )(command)


def destination_option(command: C) -> C:
    """Declare the option that chooses among the destinations of a ledger."""
    return option(
        "--destination",
        section=WHICH,
        metavar="NAME",
        show_default="all",
        help="Those of this destination, where the ledger has several.",
    )(command)


@frozen(kw_only=True)
class LetterFilters:
    """The filters as they were given; None for those that were not.

    Attributes:
        kind: Kinds of updates.
        course_run: Course runs.
        program: Programs, beside the course runs.
        user_id: Learners.
        reason: A part of the reason.
    """

    kind: frozenset[str] | None = None
    course_run: frozenset[str] | None = None
    program: frozenset[str] | None = None
    user_id: frozenset[int] | None = None
    reason: str | None = None

    @property
    def are_given(self) -> bool:
        """Whether there is any."""
        return any(given is not None for given in astuple(self))

    @property
    def names_one(self) -> bool:
        """Whether they name one update."""
        named = (self.kind, self.user_id, self.course_run, self.program)
        return [len(given) for given in named if given is not None] == [1, 1, 1]

    def match(self, entry: Entry) -> bool:
        """Whether a letter passes."""
        kind, user_id, target = entry.key
        targets = None if self.course_run is None and self.program is None else self._targets
        return (
            (self.kind is None or kind in self.kind)
            and (targets is None or target in targets)
            and (self.user_id is None or user_id in self.user_id)
            and (self.reason is None or self.reason.casefold() in (entry.reason or "").casefold())
        )

    @property
    def _targets(self) -> Collection[str]:
        return (self.course_run or frozenset()) | (self.program or frozenset())


@frozen
class Letter:
    """What did not arrive, and where it should have.

    Attributes:
        destination: Names where.
        entry: What the ledger knows of it.
    """

    destination: str
    entry: Entry


def iter_letters(
    ledger: str, filters: LetterFilters, state: str = "dead", destination: str | None = None
) -> Iterator[Letter]:
    """Yield the letters of a ledger that pass.

    Args:
        ledger: A path, or a SQLAlchemy URL; it is not made if it is missing.
        filters: The filters.
        state: `dead`, `deferred` or `any`.
        destination: The only destination to look at; None looks at all.

    Raises:
        ConfigurationError: If there is no such ledger, or it has no such destination.
        AdapterError: If it cannot be read.
    """
    states = [EntryState.DEAD, EntryState.DEFERRED] if state == "any" else [EntryState(state)]
    for name in _find_destinations(ledger, destination):
        with opened_ledger(ledger, name) as opened:
            for one in states:
                for _, entry in paged_query(opened.pending(one), page_size=PAGE_SIZE):
                    if isinstance(entry, Entry) and filters.match(entry):
                        yield Letter(name, entry)


def _find_destinations(ledger: str, wanted: str | None) -> list[str]:
    with opened_history(ledger) as history:
        known = history.list_destinations()
    if wanted is not None and wanted not in known:
        raise ConfigurationError(
            f"the ledger has no destination {wanted!r}; it has {', '.join(map(repr, known)) or 'none'}"
        )
    return known if wanted is None else [wanted]
