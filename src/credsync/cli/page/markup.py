"""HTML as text that cannot be broken out of: every text and attribute is escaped, unless it is markup already."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

__all__ = ["Child", "Markup", "element", "fragment", "text"]

VOID = frozenset({"br", "col", "link", "meta"})
"""Elements without an end tag."""

# No HTML document may hold these; a lone surrogate cannot even be written to a file.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = str | int | Iterable[str] | None
"""What an element holds: text, which is escaped; markup; a number; several of these; or nothing."""


def text(value: str) -> Markup:
    """Escape text, unless it is markup already."""
    if isinstance(value, Markup):
        return value
    return Markup(escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", value)))


def fragment(*children: Child) -> Markup:
    """Join what stands side by side."""
    return Markup("".join(_render(child) for child in children))


def element(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Make an element.

    Args:
        name: Its name.
        children: What it holds.
        attributes: Its attributes, with `_` for `-`, one at the end left out (`class_`); None and False leave one out,
            True needs no value.

    Example:
        >>> element("td", "1 < 2", class_="number")
        '<td class="number">1 &lt; 2</td>'
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    content = fragment(*children)
    return Markup(f"<{name}{shown}>" if name in VOID else f"<{name}{shown}>{content}</{name}>")


def _attribute(key: str, value: str | int | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'


def _render(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, str):
        return text(child)
    if isinstance(child, int):
        return str(child)
    return "".join(text(part) for part in child)
