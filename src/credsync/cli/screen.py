"""Lines and tables: in colour on a terminal, elsewhere plain and aligned."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TextIO, TypeAlias

import click
from attrs import frozen
from rich.box import SIMPLE
from rich.console import Console, JustifyMethod
from rich.table import Table as RichTable
from rich.text import Text

__all__ = ["Cell", "Column", "Screen", "Styled", "Table"]


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
            self.console.print(_ruled(table))
        else:
            for line in _iter_aligned(table):
                self.write(line)


def _ruled(table: Table) -> RichTable:
    """Draw a table for a terminal, which folds what is too wide."""
    ruled = RichTable(box=SIMPLE, show_edge=False, header_style="bold", show_footer=table.has_total)
    rows = [[_styled(cell, column) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows]
    footer = rows.pop() if table.has_total else [Text()] * len(table.columns)
    for column, total in zip(table.columns, footer, strict=True):
        justify: JustifyMethod = "right" if column.is_number else "left"
        ruled.add_column(column.heading, total, justify=justify, overflow="fold")
    for row in rows:
        ruled.add_row(*row)
    return ruled


def _styled(cell: Cell, column: Column) -> Text:
    style = cell.style if isinstance(cell, Styled) else "dim" if cell == 0 else column.style
    return Text(_text(cell), style)


def _iter_aligned(table: Table) -> Iterator[str]:
    """Yield a table's lines for a file, as wide as they come."""
    rows = [[column.heading for column in table.columns], *([_text(cell) for cell in row] for row in table.rows)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if column.is_number else cell.ljust(width)
            for column, cell, width in zip(table.columns, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()


def _text(cell: Cell) -> str:
    if isinstance(cell, Styled):
        return cell.text
    return cell if isinstance(cell, str) else f"{cell:,}"
