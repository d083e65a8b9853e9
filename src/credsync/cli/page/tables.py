"""Tables: real ones, with a caption and with headings for rows and columns; where they don't fit, they scroll."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from credsync.cli.page.charts import swatch
from credsync.cli.page.markup import Child, Markup, element, fragment
from credsync.cli.page.words import VERDICTS, number
from credsync.report import Verdict

__all__ = ["Heading", "heading_of", "number_cell", "row_heading", "section", "table"]


@frozen
class Heading:
    """A column's heading.

    Attributes:
        content: What it says.
        class_: The class of the column's heading cell.
    """

    content: Child
    class_: str | None = None


def heading_of(verdict: Verdict) -> Heading:
    """Return the heading of a column that counts a verdict."""
    return Heading(fragment(swatch(verdict), verdict.capitalize()), "number")


VERDICT_HEADINGS = [heading_of(verdict) for verdict in VERDICTS]


def section(title: Child, *children: Child, id_: str) -> Markup:
    """Make a section of the page, named by its heading."""
    return element("section", element("h2", title, id=id_), *children, aria_labelledby=id_)


def table(
    caption: Child, headings: Sequence[Heading], bodies: Iterable[Markup], id_: str, foot: Markup | None = None
) -> Markup:
    """Make a table.

    Args:
        caption: What it shows.
        headings: Its columns.
        bodies: Its `tbody` elements.
        id_: The id of its caption.
        foot: Its `tfoot` element.
    """
    cells = (element("th", heading.content, scope="col", class_=heading.class_) for heading in headings)
    return element(
        "div",
        element(
            "table",
            element("caption", element("span", caption), id=id_),
            element("thead", element("tr", cells)),
            bodies,
            foot,
        ),
        class_="scroll",
        role="region",
        aria_labelledby=id_,
        tabindex=0,
    )


def number_cell(value: int, class_: str = "") -> Markup:
    """Make a cell with a number; zeros don't stand out."""
    return element("td", number(value), class_=f"number {class_}{'' if value else ' zero'}".replace("  ", " ").strip())


def row_heading(*children: Child, class_: str | None = None) -> Markup:
    """Make the cell that says what a row is about."""
    return element("th", *children, scope="row", class_=class_)
