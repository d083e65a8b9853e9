"""GET /api/v2/credentials/: twenty a page, in whatever order the heap has."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from credsync.testing.service.accounts import User
from credsync.testing.service.credentials import credential_json
from credsync.testing.service.exchange import Answer, Request, json_answer, refuse
from credsync.testing.service.rows import COURSE_RUN, PROGRAM, CredentialRow
from credsync.testing.service.tables import Tables

__all__ = ["list_credentials", "may_list_credentials"]

PAGE_SIZE = 20


def may_list_credentials(user: User, request: Request) -> bool:
    """Let those list who may view credentials, and a learner his own."""
    return user.may("view_usercredential") or (user.active and request.query.get("username") == user.username)


def list_credentials(tables: Tables, request: Request, shuffle: Random | None) -> Answer:
    """Answer one page. With `shuffle` each page is cut from another order, so that paging repeats and skips rows.

    Raises:
        RefusalError: If a filter (400) or the page (404) is wrong.
    """
    rows = list(_iter_selected(tables, request.query))
    if shuffle is not None:
        shuffle.shuffle(rows)
    last = max(-(-len(rows) // PAGE_SIZE), 1)
    number = _page_number(request.query.get("page", "1"), last)
    page = rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    content = {
        "count": len(rows),
        "next": _address(request, number + 1) if number < last else None,
        "previous": _address(request, number - 1) if number > 1 else None,
        "results": [credential_json(tables, row, request.host) for row in page],
    }
    return json_answer(200, content)


def _page_number(written: str, last: int) -> int:
    number = last if written == "last" else int(written) if written.isdecimal() else 0
    if not 1 <= number <= last:
        raise refuse(404, "Invalid page.")
    return number


def _address(request: Request, page: int) -> str:
    """Name another page: the query as it came, but for the page; the first page needs no number."""
    query = [(name, value) for name, value in parse_qsl(request.raw_query, keep_blank_values=True) if name != "page"]
    if page > 1:
        query.append(("page", str(page)))
    return f"{request.host}{request.path}" + (f"?{urlencode(query)}" if query else "")


def _iter_selected(tables: Tables, query: dict[str, str]) -> Iterator[CredentialRow]:
    """Yield what all the known filters let through; parameters of any other name are ignored."""
    _check_filters(query)
    username = query.get("username", "").strip()
    for row in tables.credentials_of(username) if username else tables.credentials.values():
        if (
            query.get("status", "") in {"", row.status}
            and (query.get("type") not in {PROGRAM, COURSE_RUN} or query["type"] == row.kind)
            and (not query.get("program_uuid") or _belongs_to(tables, row, query["program_uuid"]))
            and (query.get("only_visible") not in {"true", "True"} or tables.is_visible(row))
        ):
            yield row


def _check_filters(query: dict[str, str]) -> None:
    if "\x00" in query.get("username", ""):
        raise refuse(400, {"username": ["Null characters are not allowed."]})
    status = query.get("status", "")
    if status not in {"", "awarded", "revoked"}:
        complaint = f"Select a valid choice. {status} is not one of the available choices."
        raise refuse(400, {"status": [complaint]})


def _belongs_to(tables: Tables, row: CredentialRow, written: str) -> bool:
    try:
        uuid = str(UUID(written))
    except ValueError:
        return False
    program = tables.catalog.find_program(uuid)
    return row.identifier == uuid or (program is not None and program.has_course_run(row.identifier))
