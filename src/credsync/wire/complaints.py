"""What a service says in an answer that is no success: one short line that is fit for a log."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator

__all__ = ["MAX_COMPLAINT", "iter_messages", "read_error", "read_json"]

MAX_COMPLAINT = 200
"""Characters of a complaint."""

READ_BYTES = 65_536
"""How much of a page or text is looked at."""

HIDDEN = "***"

# The service user's own name, in the answer that a database outage gives.
RETRIEVAL_FAILED = re.compile(r"(User retrieval failed for username) .*", re.DOTALL)
TOKEN = re.compile(r"eyJ[\w-]+(?:\.[\w-]+)+")

# The end of the text closes what nothing else does; that also keeps the search linear.
INVISIBLE = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)
TAG = re.compile(r"<[^<>]*>")

UNNAMED = frozenset({"detail", "non_field_errors"})
"""Keys that name no field."""


def read_error(body: bytes, username: str = "") -> str:
    """Say in one line of at most `MAX_COMPLAINT` characters what an error's body says.

    Takes whatever comes: objects of lists or texts, nested ones, lists, a page of HTML (of which it gives the title, or
    the text where there is none), plain text, nothing. It holds no token and no name of the service's own user.

    Args:
        body: The body as received; its content type is not asked, since proxies get it wrong.
        username: A username that must not show, wherever it stands; empty where there is none to hide.

    Example:
        >>> read_error(b'{"credential": {"course_run_key": "No active CourseCertificate exists"}}')
        'credential.course_run_key: No active CourseCertificate exists'
    """
    messages = list(iter_messages(read_json(body))) or [_read_page(body)]
    line = _on_one_line("; ".join(RETRIEVAL_FAILED.sub(rf"\1 {HIDDEN}", message) for message in messages))
    line = TOKEN.sub(HIDDEN, line)
    if hidden := _on_one_line(username):
        line = re.sub(re.escape(hidden), HIDDEN, line, flags=re.IGNORECASE)
    if len(line) > MAX_COMPLAINT:
        line = line[: MAX_COMPLAINT - 1] + "…"
    return line or "no reason given"


def read_json(body: bytes) -> object:
    """Return what a body holds as JSON; None where it is broken, cut off, or nested too deep to be an answer."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def iter_messages(content: object) -> Iterator[str]:
    """Yield each message in the JSON of an error, behind the path of its field."""
    waiting = [("", content)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += reversed([(_join(path, name), part) for name, part in value.items()])
        elif isinstance(value, list):
            waiting += reversed([(path, part) for part in value])
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield f"{path}: {value}" if path else str(value)


def _join(path: str, name: str) -> str:
    return ".".join(part for part in (path, name) if part and part not in UNNAMED)


def _read_page(body: bytes) -> str:
    text = body[:READ_BYTES].decode("utf-8", "replace")
    if not text.lstrip().startswith("<"):
        return text
    title = TITLE.search(text)
    if title and title[1].strip():
        return html.unescape(title[1])
    return html.unescape(TAG.sub(" ", INVISIBLE.sub(" ", text)))


def _on_one_line(text: str) -> str:
    """Leave nothing that breaks a line, or that a terminal would act upon."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
