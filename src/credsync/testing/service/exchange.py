"""A request as it came and the answer it gets: values only, no sockets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

from credsync.testing.service.bodies import Payload, decode_body

__all__ = [
    "Answer",
    "RefusalError",
    "Request",
    "empty_answer",
    "html_answer",
    "json_answer",
    "refuse",
    "server_error",
]

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back: a status, headers besides the usual ones, a body."""

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json"
    headers: Headers = ()

    def header(self, name: str) -> str | None:
        """Find a header's value by its name."""
        return next((value for known, value in self.headers if known == name), None)

    def with_headers(self, *headers: tuple[str, str]) -> Answer:
        """Return the same answer with these headers behind its own."""
        return replace(self, headers=(*self.headers, *headers))

    def as_html(self) -> Answer:
        """Return the page that a browser would get instead of the bare JSON."""
        page = b"<!doctype html><html><body><pre>" + self.body + b"</pre></body></html>"
        return replace(self, body=page, content_type="text/html; charset=utf-8")


def json_answer(status: int, content: object, *headers: tuple[str, str]) -> Answer:
    """Answer with a value as compact JSON, non-ASCII characters unescaped."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return Answer(status=status, body=text.encode("utf-8", "surrogatepass"), headers=headers)


def html_answer(status: int) -> Answer:
    """Answer with the framework's plain page for a status, as it does whenever no JSON view is reached."""
    title = f"{HTTPStatus(status).phrase} ({status})"
    page = f'<!doctype html>\n<html lang="en"><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n'
    return Answer(status=status, body=page.encode(), content_type="text/html; charset=utf-8")


def empty_answer(status: int, *headers: tuple[str, str]) -> Answer:
    """Answer without a body."""
    return Answer(status=status, content_type="text/html; charset=utf-8", headers=headers)


class RefusalError(Exception):
    """A request ends here: `answer` says how."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


def refuse(status: int, detail: object, *headers: tuple[str, str]) -> RefusalError:
    """Refuse with a JSON body: a text becomes its `detail`, anything else is the body."""
    content = {"detail": detail} if isinstance(detail, str) else detail
    return RefusalError(json_answer(status, content, *headers))


def server_error() -> RefusalError:
    """Refuse with the HTML page of an unhandled exception: no 500 of the service is JSON."""
    return RefusalError(html_answer(500))


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, read in full. `headers` has lower-case names."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @cached_property
    def path(self) -> str:
        """The path as the service's routes see it, unquoted."""
        return unquote(urlsplit(self.target).path)

    @cached_property
    def raw_query(self) -> str:
        """The query string as it came."""
        return urlsplit(self.target).query

    @cached_property
    def query(self) -> dict[str, str]:
        """The query parameters; of a repeated one the last wins."""
        return dict(parse_qsl(self.raw_query, keep_blank_values=True))

    @cached_property
    def payload(self) -> Payload:
        """The decoded body.

        Raises:
            UnreadableBodyError: If it cannot be read as what its content type says.
        """
        return decode_body(self.headers.get("content-type", ""), self.body)

    @property
    def host(self) -> str:
        """The scheme and host that absolute addresses in answers carry."""
        return f"http://{self.headers.get('host', 'localhost')}"
