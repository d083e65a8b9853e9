"""Charts as inline SVG. Drawn in percentages, they stretch with the page, and their labels keep their size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from credsync.cli.page.bins import Bin, iter_marks, scale_of
from credsync.cli.page.markup import Markup, element
from credsync.cli.page.words import VERDICTS, number
from credsync.cli.wording import counted, moment
from credsync.report import Verdict

__all__ = ["patterns", "share_bar", "swatch", "time_chart"]

LEAST_SHARE = 0.5
"""Percent of a bar that even one record among a million takes, so that it is seen."""

WIDEST_BAR = 5.5
"""Of the page's letters, so that a short run's few bars do not fill the page."""

MARKS = 7
"""Labels that a time axis has room for."""

LATE, LATE_WHERE_NARROW = 0.92, 0.7
"""Where on the time axis a label has no room to its right: on a wide page, and on a narrow one."""

HARD_TO_SEE = 0.1
"""The part of the highest bar below which trouble is drawn once more."""

STEPS = {"all": 4, "trouble": 2}
"""Steps of a plot's scale."""

TROUBLE = (Verdict.DEFERRED, Verdict.REJECTED, Verdict.FAILED)


def patterns() -> Markup:
    """Return the verdicts' fillings: a colour and a texture each, since not every eye or printer has colours."""
    textures = {
        Verdict.UNCHANGED: _texture("M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2", 1.2),
        Verdict.DEFERRED: _texture("M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2", 2),
        Verdict.REJECTED: _texture("M0,0 l6,6 M0,6 l6,-6", 1.4),
        Verdict.SKIPPED: element("circle", cx=3, cy=3, r="1.1", class_="texture-dot"),
    }
    fillings = [
        element(
            "pattern",
            element("rect", width=6, height=6, class_=f"is-{verdict}"),
            textures.get(verdict),
            id=f"fill-{verdict}",
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
        )
        for verdict in VERDICTS
    ]
    return element(
        "svg", element("defs", fillings), width=0, height=0, class_="patterns", aria_hidden="true", focusable="false"
    )


def _texture(path: str, width: float) -> Markup:
    return element("path", d=path, stroke_width=str(width), class_="texture")


def swatch(verdict: Verdict) -> Markup:
    """Return a verdict's filling as a mark beside its name."""
    square = _rect(verdict, 0, 0, 100, 100)
    return element("svg", square, class_="swatch", width=12, height=12, aria_hidden="true", focusable="false")


def share_bar(counts: Mapping[str, int], class_: str, label: str | None = None) -> Markup:
    """Return how a number of records divides into verdicts, as a bar.

    Args:
        counts: Records by verdict.
        class_: The bar's class.
        label: Says the same in words; None where the numbers stand beside it, and nobody needs it read out.
    """
    shares = {verdict: counts.get(verdict, 0) for verdict in VERDICTS if counts.get(verdict, 0)}
    whole = sum(shares.values())
    widths = {verdict: max(LEAST_SHARE, 100 * part / whole) for verdict, part in shares.items()}
    fitted = 100 / sum(widths.values()) if widths else 1
    left = 0.0
    segments = []
    for verdict, width in widths.items():
        title = f"{number(shares[verdict])} {verdict}"
        segments.append(_rect(verdict, left, 0, width * fitted, 100, title, class_="segment"))
        left += width * fitted
    if label is None:
        return element("svg", segments, class_=class_, aria_hidden="true", focusable="false")
    return element("svg", segments, class_=class_, role="img", aria_label=label)


def time_chart(bins: Sequence[Bin], label: str) -> Markup:
    """Return bins as bars side by side, each stacked by verdict, with a scale beside and the time below.

    Where trouble is too small a part to be seen, it is drawn once more, to a scale of its own.
    """
    slots = len(bins)
    troubled = max(_total(one, TROUBLE) for one in bins)
    rows = _plot(bins, VERDICTS, label, "all")
    if 0 < troubled < max(one.total for one in bins) * HARD_TO_SEE:
        rows.append(element("p", "Deferred, rejected and failed alone", class_="trouble-title"))
        rows += _plot(bins, TROUBLE, "The same, deferred, rejected and failed records alone.", "trouble")
    times = (_time_mark(place / slots, text) for place, text in iter_marks(bins, MARKS))
    rows.append(element("div", times, class_="times", aria_hidden="true"))
    return element("div", rows, class_="time-chart", style=f"max-width:{4 + WIDEST_BAR * slots:g}rem")


def _time_mark(place: float, text: str) -> Markup:
    """Mark a time; near the right edge, the label stands to the left."""
    class_ = "mark late" if place > LATE else "mark late-where-narrow" if place > LATE_WHERE_NARROW else "mark"
    return element("span", text, style=f"left:{100 * place:.3f}%", class_=class_)


def _plot(bins: Sequence[Bin], verdicts: Sequence[Verdict], label: str, class_: str) -> list[Markup]:
    """Draw some verdicts of bins, and the scale that stands to the left."""
    scale = scale_of(max(_total(one, verdicts) for one in bins), STEPS[class_])
    heights = [
        element("span", number(mark), style=f"bottom:{100 * mark / scale[-1]:g}%", class_="mark") for mark in scale
    ]
    lines = [_line(100 - 100 * mark / scale[-1], "axis" if not mark else "grid") for mark in scale]
    columns = [
        _column(one, place, len(bins), scale[-1], verdicts) for place, one in enumerate(bins) if _total(one, verdicts)
    ]
    return [
        element("div", heights, class_="heights", aria_hidden="true"),
        element("svg", lines, columns, class_=f"plot {class_}", role="img", aria_label=label),
    ]


def _total(one: Bin, verdicts: Sequence[Verdict]) -> int:
    return sum(one.counts.get(verdict, 0) for verdict in verdicts)


def _line(height: float, class_: str) -> Markup:
    return element("line", x1="0%", x2="100%", y1=f"{height:g}%", y2=f"{height:g}%", class_=class_)


def _column(one: Bin, place: int, slots: int, highest: int, verdicts: Sequence[Verdict]) -> Markup:
    """Draw one bin: the verdicts on each other, the good ones at the bottom."""
    gap = 0.18 if slots <= 60 else 0.08
    left, width = 100 * (place + gap / 2) / slots, 100 * (1 - gap) / slots
    parts = []
    below = 0
    for verdict in verdicts:
        records = one.counts.get(verdict, 0)
        if records:
            below += records
            parts.append(_rect(verdict, left, 100 * (1 - below / highest), width, 100 * records / highest))
    return element("g", element("title", _describe(one)), parts)


def _describe(one: Bin) -> str:
    parts = [f"{number(one.counts[verdict])} {verdict}" for verdict in VERDICTS if one.counts.get(verdict)]
    return f"From {moment(one.start)}, {counted(one.total, 'record')}: {', '.join(parts)}"


def _rect(
    verdict: Verdict,
    x: float,
    y: float,
    width: float,
    height: float,
    title: str | None = None,
    class_: str | None = None,
) -> Markup:
    return element(
        "rect",
        title and element("title", title),
        x=f"{x:.3f}%",
        y=f"{y:.3f}%",
        width=f"{width:.3f}%",
        height=f"{height:.3f}%",
        fill=f"url(#fill-{verdict})",
        class_=class_,
    )
