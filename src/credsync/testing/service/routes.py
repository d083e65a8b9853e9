"""The addresses, and a request's way to its view."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from credsync.testing.service.accounts import User
from credsync.testing.service.bodies import UnreadableBodyError
from credsync.testing.service.catalog import list_programs, show_program
from credsync.testing.service.course_certificates import (
    amend_course_certificate,
    post_course_certificate,
    show_course_certificate,
)
from credsync.testing.service.credential_list import list_credentials, may_list_credentials
from credsync.testing.service.credentials import (
    CREDENTIAL_METADATA,
    amend_credential,
    post_credential,
    revoke_credential,
    show_credential,
)
from credsync.testing.service.exchange import (
    Answer,
    RefusalError,
    Request,
    empty_answer,
    html_answer,
    json_answer,
    refuse,
)
from credsync.testing.service.gate import Gate, Permission, has, is_staff, wants_html
from credsync.testing.service.grades import GRADE_METADATA, amend_grade, post_grade
from credsync.testing.service.learner_status import post_bulk_learner_status, post_learner_status
from credsync.testing.service.program_records import list_program_records, show_program_record
from credsync.testing.service.tables import Tables

__all__ = ["TOKEN_PATH", "Application"]

TOKEN_PATH = "/oauth2/access_token"

View = Callable[[Request, str], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A view, and who may call it."""

    view: View
    permission: Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The actions of an address by method, and the scope that its requests are throttled in."""

    pattern: re.Pattern[str]
    actions: Mapping[str, Action]
    scope: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def allow(self) -> tuple[str, str]:
        """The header that tells which methods there are."""
        heads = ["HEAD"] if "GET" in self.actions else []
        return "Allow", ", ".join([*self.actions, *heads, "OPTIONS"])


def anyone(_user: object, _request: Request) -> bool:
    """Ask for nothing but a valid token."""
    return True


def nobody(_user: object, _request: Request) -> bool:
    """Refuse everyone: the endpoint is for one configured user of the service's own."""
    return False


class Application:
    """The service without its sockets: takes a request, gives the answer.

    Args:
        tables: What is stored.
        gate: What stands before the views.
        token_endpoint: The LMS's view that hands out tokens.
        shuffle: Cuts each list page from another order.
    """

    def __init__(
        self,
        tables: Tables,
        gate: Gate,
        token_endpoint: Callable[[Request], Answer],
        shuffle: Random | None = None,
    ) -> None:
        self._gate = gate
        self._open_views = {"/health/": self._health, "/health": _add_slash, TOKEN_PATH: token_endpoint}
        self._routes = [
            *_api_routes(tables, shuffle),
            *_staff_routes(tables),
            *_catalog_routes(tables),
        ]

    def answer(self, request: Request) -> Answer:
        """Answer a request. Never raises: what goes wrong in a view is one of the service's own answers."""
        if open_view := self._open_views.get(request.path):
            return open_view(request)
        found = self._find(request.path)
        if found is None:
            return self._elsewhere(request)
        try:
            return self._visit(*found, request)
        except RefusalError as exc:
            return exc.answer

    def _health(self, _request: Request) -> Answer:
        state = "UNAVAILABLE" if self._gate.is_database_down else "OK"
        content = {"overall_status": state, "detailed_status": {"database_status": state}}
        return json_answer(503 if self._gate.is_database_down else 200, content)

    def _find(self, path: str) -> tuple[Route, str] | None:
        for route in self._routes:
            if match := route.pattern.fullmatch(path):
                return route, next(iter(match.groups()), "")
        return None

    def _elsewhere(self, request: Request) -> Answer:
        """Answer an address that has no view: with the way to the one that has a slash more, if it has."""
        return _add_slash(request) if self._find(request.path + "/") else html_answer(404)

    def _visit(self, route: Route, name: str, request: Request) -> Answer:
        as_html = wants_html(request)
        try:
            answer = self._act(route, name, request)
        except RefusalError as exc:
            answer = exc.answer
        except UnreadableBodyError as exc:
            answer = html_answer(exc.status) if exc.detail is None else refuse(exc.status, exc.detail).answer
        is_json = answer.content_type == "application/json"
        return answer.as_html() if as_html and is_json else answer

    def _act(self, route: Route, name: str, request: Request) -> Answer:
        user = self._gate.authenticate(request)
        if request.method == "OPTIONS":
            return _metadata(route, user, request)
        action = route.actions.get("GET" if request.method == "HEAD" else request.method)
        if action is None:
            raise refuse(405, f'Method "{request.method}" not allowed.', route.allow)
        self._gate.admit(user, request, permission=action.permission, scope=route.scope)
        return action.view(request, name)


def _add_slash(request: Request) -> Answer:
    path, mark, query = request.target.partition("?")
    return empty_answer(301, ("Location", f"{path}/{mark}{query}"))


def _metadata(route: Route, user: User, request: Request) -> Answer:
    """Describe a view; the fields of a POST are only for those who may (Django REST framework's `SimpleMetadata`)."""
    parses = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
    content: dict[str, object] = {"renders": ["application/json", "text/html"], "parses": parses}
    post = route.actions.get("POST")
    if post is not None and post.permission(user, request):
        content["actions"] = {"POST": route.metadata}
    return json_answer(200, content, route.allow)


def _api_routes(tables: Tables, shuffle: Random | None) -> list[Route]:
    def root(request: Request, _name: str) -> Answer:
        names = ("credentials", "grades", "course_certificates")
        return json_answer(200, {name: f"{request.host}/api/v2/{name}/" for name in names})

    def amend(permission: str, view: View) -> dict[str, Action]:
        return {method: Action(view=view, permission=has(permission)) for method in ("PUT", "PATCH")}

    return [
        Route(pattern=re.compile("/api/v2/"), actions={"GET": Action(view=root, permission=anyone)}),
        Route(
            pattern=re.compile("/api/v2/grades/"),
            actions={"POST": Action(view=lambda req, _: post_grade(tables, req), permission=has("add_usergrade"))},
            scope="grades",
            metadata=GRADE_METADATA,
        ),
        Route(
            pattern=re.compile("/api/v2/grades/([^/.]+)/"),
            actions=amend("change_usergrade", lambda req, name: amend_grade(tables, req, name)),
            scope="grades",
        ),
        Route(
            pattern=re.compile("/api/v2/credentials/"),
            actions={
                "GET": Action(
                    view=lambda req, _: list_credentials(tables, req, shuffle), permission=may_list_credentials
                ),
                "POST": Action(view=lambda req, _: post_credential(tables, req), permission=has("add_usercredential")),
            },
            scope="credentials",
            metadata=CREDENTIAL_METADATA,
        ),
        Route(
            pattern=re.compile("/api/v2/credentials/([^/.]+)/"),
            actions={
                "GET": Action(
                    view=lambda req, name: show_credential(tables, req, name), permission=has("view_usercredential")
                ),
                **amend("change_usercredential", lambda req, name: amend_credential(tables, req, name)),
                "DELETE": Action(
                    view=lambda req, name: revoke_credential(tables, req, name),
                    permission=has("delete_usercredential"),
                ),
            },
            scope="credentials",
        ),
        Route(
            pattern=re.compile("/api/v2/replace_usernames/"),
            actions={"POST": Action(view=lambda _req, _name: empty_answer(200), permission=nobody)},
        ),
    ]


def _staff_routes(tables: Tables) -> list[Route]:
    def staff(path: str, **views: View) -> Route:
        actions = {method: Action(view=view, permission=is_staff) for method, view in views.items()}
        return Route(pattern=re.compile(path), actions=actions)

    def amend(request: Request, name: str) -> Answer:
        return amend_course_certificate(tables, request, name)

    return [
        staff("/api/v2/course_certificates/", POST=lambda req, _: post_course_certificate(tables, req)),
        staff(
            "/api/v2/course_certificates/([^/.]+)/",
            GET=lambda _, name: show_course_certificate(tables, name),
            PUT=amend,
            PATCH=amend,
        ),
        staff("/api/credentials/v1/learner_cert_status/", POST=lambda req, _: post_learner_status(tables, req)),
        staff(
            "/api/credentials/v1/bulk_learner_cert_status/", POST=lambda req, _: post_bulk_learner_status(tables, req)
        ),
        staff("/records/api/v1/program_records/", GET=lambda req, _: list_program_records(tables, req)),
        staff("/records/api/v1/program_records/([^/]+)/", GET=lambda req, name: show_program_record(tables, req, name)),
    ]


def _catalog_routes(tables: Tables) -> list[Route]:
    """List the addresses of the course catalog, which is a service of its own and shares the double's server."""

    def route(path: str, view: View) -> Route:
        return Route(pattern=re.compile(path), actions={"GET": Action(view=view, permission=anyone)})

    return [
        route("/api/v1/programs/", lambda req, _: list_programs(tables.catalog, req)),
        route("/api/v1/programs/([^/]+)/", lambda _, name: show_program(tables.catalog, name)),
    ]
