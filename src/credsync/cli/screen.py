"""Lines and tables: in colour on a terminal, elsewhere plain and aligned."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TextIO, TypeAlias

import click
from attrs import evolve, frozen
from rich.box import SIMPLE
from rich.console import Console, JustifyMethod
from rich.table import Table as RichTable
from rich.text import Text

__all__ = ["Cell", "Column", "Screen", "Styled", "Table"]


GAP = 2
"""Blanks between the columns of a table."""

UNBROKEN = (60, 40, 30, 20, 12)
"""Characters of a word that is not broken, as far as there is room: the most that fits."""

BROKEN = (8, 4)
"""The same where there is next to none."""

Cell: TypeAlias = "str | int | Styled"


@frozen
class Column:
    """A column of a table.

    Attributes:
        heading: Its heading.
        style: How its cells look on a terminal, as rich names it.
        is_number: Whether it holds whole numbers; they are aligned to the right, and zeros don't stand out.
    """

    heading: str
    style: str = ""
    is_number: bool = False


@frozen
class Styled:
    """A cell that looks other than its column.

    Attributes:
        text: The cell's text.
        style: How it looks on a terminal.
    """

    text: str
    style: str


@frozen
class Table:
    """A table.

    Attributes:
        columns: Its columns.
        rows: Its cells, by row.
        has_total: Whether the last row sums up the others.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    has_total: bool = False


class Screen:
    """Where lines and tables go.

    Args:
        file: The stream behind it.
    """

    def __init__(self, file: TextIO) -> None:
        if isinstance(file, io.TextIOWrapper):
            file.reconfigure(errors="backslashreplace")  # a course key may hold what the terminal's encoding does not
        self.file = file
        self.console = Console(file=file)

    @property
    def is_terminal(self) -> bool:
        """Whether somebody may be watching."""
        return self.console.is_terminal

    def say(self, text: str = "", style: str = "") -> None:
        """Write a line; the style shows on a terminal."""
        if self.is_terminal:
            self.console.print(Text(text, style), soft_wrap=True)
        else:
            self.write(text)

    def write(self, text: str) -> None:
        """Write a line to the letter, tabs included."""
        click.echo(text, file=self.file)

    def show(self, table: Table) -> None:
        """Write a table."""
        if self.is_terminal:
            self.console.print(_ruled(table, self.console.width))
        else:
            for line in _iter_aligned(table):
                self.write(line)


def _ruled(table: Table, width: int) -> RichTable:
    """Draw a table for a terminal. Where that is too narrow, columns of mere zeros go, and texts are folded."""
    widths = _find_widths(table, width, UNBROKEN)
    if widths is None:
        table = _without_zeros(table)
        widths = _find_widths(table, width, (*UNBROKEN, *BROKEN))
    gap = (0, GAP - 1, 0, 0)  # the box has one blank more
    ruled = RichTable(box=SIMPLE, show_edge=False, header_style="bold", show_footer=table.has_total, padding=gap)
    rows = [[_styled(cell, column) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows]
    footer = rows.pop() if table.has_total else [Text()] * len(table.columns)
    for position, (column, total) in enumerate(zip(table.columns, footer, strict=True)):
        justify: JustifyMethod = "right" if column.is_number else "left"
        ruled.add_column(
            column.heading, total, justify=justify, overflow="fold", width=widths[position] if widths else None
        )
    for row in rows:
        ruled.add_row(*row)
    return ruled


def _find_widths(table: Table, width: int, levels: Sequence[int]) -> list[int] | None:
    """Find how wide each column is to be, if all of them fit: numbers are not broken, and long words last of all.

    A course key in two pieces cannot be copied. Left to itself, rich breaks whatever is longest.
    """
    columns = list(zip(*_texts(table), strict=True))
    whole = [max(map(len, cells)) for cells in columns]
    words = [max(len(word) for cell in cells for word in cell.split() or [""]) for cells in columns]
    for most in levels:
        least = [
            length if column.is_number else min(word, most)
            for column, length, word in zip(table.columns, whole, words, strict=True)
        ]
        room = width - sum(least) - GAP * len(least) + 1
        if room >= 0:
            return _widened(least, whole, room)
    return None


def _widened(least: Sequence[int], whole: Sequence[int], room: int) -> list[int]:
    """Share out the room that is left, first to the columns that want the least of it."""
    widths = list(least)
    wanting = sorted(range(len(least)), key=lambda position: whole[position] - least[position])
    for done, position in enumerate(wanting):
        given = min(whole[position] - least[position], room // (len(wanting) - done))
        widths[position] += given
        room -= given
    return widths


def _without_zeros(table: Table) -> Table:
    """Leave out the columns of numbers in which there is none but zero."""
    kept = [
        position
        for position, column in enumerate(table.columns)
        if not column.is_number or any(row[position] != 0 for row in table.rows)
    ]
    rows = [[row[position] for position in kept] for row in table.rows]
    return evolve(table, columns=[table.columns[position] for position in kept], rows=rows)


def _styled(cell: Cell, column: Column) -> Text:
    style = cell.style if isinstance(cell, Styled) else "dim" if cell == 0 else column.style
    return Text(_text(cell), style)


def _iter_aligned(table: Table) -> Iterator[str]:
    """Yield a table's lines for a file, as wide as they come."""
    rows = _texts(table)
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if column.is_number else cell.ljust(width)
            for column, cell, width in zip(table.columns, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()


def _texts(table: Table) -> list[list[str]]:
    """Return what is in a table, row by row, its headings first."""
    return [[column.heading for column in table.columns], *([_text(cell) for cell in row] for row in table.rows)]


def _text(cell: Cell) -> str:
    if isinstance(cell, Styled):
        return cell.text
    return cell if isinstance(cell, str) else f"{cell:,}"
