"""`credsync check`: what would keep a run from going well, said before it is started. Writes nothing anywhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
from attrs import asdict, define, field, frozen

from credsync.cli.access import Access, token_url
from credsync.cli.catalog_file import read_catalog
from credsync.cli.estimate import COUNTED_AT_MOST, count_in_words, describe_estimate, show_duration
from credsync.cli.exits import ExitStatus
from credsync.cli.interruption import Interruption
from credsync.cli.ledgers import SERVICE_LEDGER, is_ledger, opened_history, outbox_ledger_option
from credsync.cli.opening import find_catalog, needing_the_extra
from credsync.cli.options import OperatorCommand, option
from credsync.cli.screen import Cell, Column, Screen, Styled, Table
from credsync.cli.service import Service, catalog_options, service_options
from credsync.cli.wording import counted
from credsync.errors import AdapterError, CredsyncError
from credsync.selection import Selection

__all__ = ["check"]

SCHEMA_VERSION = 1
"""Of the JSON form; it grows when a field changes its meaning or goes."""

WHERE, SHOWN = "What is checked", "What is shown"

NOBODY = "credsync-check"
"""A username to ask the service about; it need not exist, and asking does not make it."""

PERMISSIONS = {"grades": "add_usergrade", "credentials": "add_usercredential"}
"""What the service asks of an account that writes, by endpoint."""

PLAIN_RATES = {"grades": 90.0, "credentials": 15.0}
"""The requests a minute that the service grants to an account that is not staff."""

MOST_SKEW = 2.0
"""Seconds between two clocks that the whole seconds of a Date header and a request on its way may look like."""

OLD_CATALOG = 7 * 86_400.0
"""Seconds after which a catalog's file is worth a warning: course runs that it does not know are never sent."""


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red"}


@frozen(kw_only=True)
class Line:
    """What one check found.

    Attributes:
        check: What was checked.
        state: How it ended.
        found: What was found.
        remedy: What to do about it; empty where there is nothing to do.
    """

    check: str
    state: State
    found: str
    remedy: str = ""


@click.command(cls=OperatorCommand)
@click.argument("source", required=False)
@option(
    "--catalog",
    section=WHERE,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The programs, as credsync notify takes them. Without it, SOURCE's own .catalog.json.",
)
@catalog_options
@service_options
@outbox_ledger_option(WHERE)
@option("--json", "as_json", section=SHOWN, is_flag=True, help="Write JSON, and nothing else, to standard output.")
def check(source: str | None, catalog: Path | None, ledger: str | None, as_json: bool, **given: Any) -> ExitStatus:
    """Check all that a run needs, and say what to do about what is missing.

    SOURCE is the database as `credsync notify` takes it. What is not named is not checked. Nothing is written: not to
    the database, not to the ledger, not to the service, which is only asked for what reads.

    The exit status is 1 where something will not work.
    """
    service = Service.taken_from(given)
    service.check(catalog)
    if source is None and service.sink is None and not (catalog or ledger or service.catalog_url):
        raise click.UsageError("nothing to check: give SOURCE, --sink URL, --catalog FILE or --ledger LEDGER")
    lines = list(_Preflight(source, catalog, ledger, Access(service, Interruption())).iter_lines())
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, "checks": [asdict(line) for line in lines]}
        click.echo(json.dumps(document, indent=2))
    else:
        _show(lines, Screen(sys.stdout))
    return ExitStatus.FAILURES if any(line.state is State.FAILED for line in lines) else ExitStatus.OK


@define
class _Preflight:
    """The checks, in the order in which a run would meet what they look at."""

    source: str | None
    catalog: Path | None
    ledger: str | None
    access: Access
    selected: Mapping[str, int] | None = field(default=None, init=False)

    def iter_lines(self) -> Iterator[Line]:
        """Check one thing after the other; one that fails does not keep the others from being checked."""
        service = self.access.service
        if self.source is not None:
            yield from _tried("database", "give a path or URL of an Open edX database", self._database)
        if self.source is not None or self.catalog or service.catalog_url:
            yield from _tried("catalog", "name its file with --catalog, or its API with --catalog-url", self._catalog)
        if self.ledger or service.sink:
            yield from _tried("ledger", "name another with --ledger, or let no other program hold it", self._ledger)
        if service.sink is not None:
            yield from _tried("health", "see to the service, or to --sink", self._health)
            token = list(_tried("token", "see to --lms and to the client's id and secret", self._token))
            yield from token
            if all(line.state is State.OK for line in token):
                yield from _tried("reading", "let the account view credentials, for credsync verify", self._reading)
                yield from _tried("writing", "see to the account", self._writing)
                yield from _tried("throttle", "see to the account", self._throttle)

    def _database(self) -> Iterator[Line]:
        with needing_the_extra():
            from credsync.adapters.sql import SqlSource

        with closing(SqlSource(self.source or "")) as source:
            source.check()
            yield Line(check="database", state=State.OK, found="it has the tables and columns of Open edX")
            self.selected = selected = source.count(Selection(), COUNTED_AT_MOST)
            yield Line(check="records", state=State.OK, found=count_in_words(selected))
            for table, index in source.time_indexes().items():
                walk = f"read in order of time, along {index}" if index else "read by primary key, the window a filter"
                yield Line(check=f"index of {table}", state=State.OK, found=walk)

    def _catalog(self) -> Iterator[Line]:
        if self.access.service.catalog_url and not self.catalog:
            index, found, state, remedy = self.access.fetch_catalog(), "from its API, just now", State.OK, ""
        else:
            file = self.catalog or find_catalog(self.source or "")
            age = datetime.now(UTC).timestamp() - file.stat().st_mtime if file.exists() else 0.0
            index, found = read_catalog(file), f"{file}, {show_duration(age)} old"
            state = State.WARNING if age > OLD_CATALOG else State.OK
            remedy = (
                "fetch it anew: grades of course runs that it does not know are not sent" if age > OLD_CATALOG else ""
            )
        if not index.programs():
            state, remedy = State.FAILED, "get a complete one: with an empty catalog no grade is sent"
        programs = counted(len(index.programs()), "program")
        yield Line(check="catalog", state=state, found=f"{programs} ({found})", remedy=remedy)

    def _ledger(self) -> Iterator[Line]:
        place = self.ledger or SERVICE_LEDGER
        if "://" not in place and not Path(place).exists():
            yield Line(check="ledger", state=State.OK, found="there is none yet: the first run makes it")
            return
        if not is_ledger(place):
            yield Line(
                check="ledger", state=State.WARNING, found="it holds no ledger yet", remedy="the first run makes it"
            )
            return
        with opened_history(place) as history:
            last = next(history.iter_runs(1), None)
        if last is None:
            yield Line(check="ledger", state=State.OK, found="no run yet")
        elif last.status == "running":
            remedy = "if no run goes on, the next one takes over: credsync notify --resume"
            yield Line(check="ledger", state=State.WARNING, found=f"run {last.run_id} has not ended", remedy=remedy)
        else:
            yield Line(check="ledger", state=State.OK, found=f"its last run, {last.run_id}, is {last.status}")

    def _health(self) -> Iterator[Line]:
        status, there = _knock(f"{self.access.address.rstrip('/')}/health/")
        is_well = status == 200
        remedy = "" if is_well else "see to its database" if status == 503 else "see to --sink: this is not its root"
        state = State.OK if is_well else State.FAILED
        yield Line(check="health", state=state, found=f"its health page answers {status}", remedy=remedy)
        if self.access.service.lms is not None:
            _, lms = _knock(token_url(self.access.service.lms))
            yield from compare_clocks(there, lms)

    def _token(self) -> Iterator[Line]:
        self.access.tokens.token()
        yield Line(check="token", state=State.OK, found="the LMS has given one")

    def _reading(self) -> Iterator[Line]:
        with self.access.opened_api() as api:
            api.get("api/v2/credentials/", {"username": NOBODY})
        yield Line(check="reading", state=State.OK, found="the account may view credentials")

    def _writing(self) -> Iterator[Line]:
        """Ask what the account may do: the service describes a POST only to those who may."""
        with self.access.opened_api() as api:
            for endpoint, permission in PERMISSIONS.items():
                name, actions = f"writing {endpoint}", api.describe(f"api/v2/{endpoint}/").get("actions", {})
                if "POST" in actions:
                    yield Line(check=name, state=State.OK, found="the account may")
                else:
                    remedy = f"grant the account's user the permission {permission}"
                    yield Line(check=name, state=State.FAILED, found="the account may not", remedy=remedy)

    def _throttle(self) -> Iterator[Line]:
        with self.access.opened_reader() as reader:
            try:
                reader.find_statuses(NOBODY)
            except AdapterError as exc:
                if "(403)" not in str(exc) and "permission" not in str(exc):
                    raise
                yield self._throttled()
                return
        yield Line(check="throttle", state=State.OK, found=f"none, as the account is staff{self._length({})}")

    def _throttled(self) -> Line:
        return Line(
            check="throttle",
            state=State.WARNING,
            found=f"the account is not staff: 90 grades and 15 credentials a minute{self._length(PLAIN_RATES)}",
            remedy="let it be staff, which credsync verify needs, too; else say --rate-grades 85 --rate-credentials 14",
        )

    def _length(self, rates: Mapping[str, float]) -> str:
        """Say what the rates mean for a run over everything."""
        return "" if self.selected is None else f". {describe_estimate(self.selected, rates)}"


def _tried(name: str, remedy: str, checks: Callable[[], Iterable[Line]]) -> Iterator[Line]:
    """Yield what some checks find; what they fail of is a line, too."""
    try:
        yield from checks()
    except CredsyncError as exc:
        yield Line(check=name, state=State.FAILED, found=str(exc), remedy=remedy)


def _knock(url: str) -> tuple[int, datetime | None]:
    """Ask for a page without a token; return its status and the time its server has, None where it does not say.

    Raises:
        AdapterError: If there is no answer.
    """
    with needing_the_extra():
        import requests

    try:
        answer = requests.get(url, timeout=(5, 20), allow_redirects=False)
    except requests.RequestException as exc:  # not its text, which may repeat more than the address
        raise AdapterError(f"{url}: no answer ({type(exc).__name__})") from exc
    date = answer.headers.get("Date")
    return answer.status_code, None if date is None else parsedate_to_datetime(date)


def compare_clocks(service: datetime | None, lms: datetime | None) -> Iterator[Line]:
    """Compare the clock that dates tokens with the one that checks them; it gives them not a second."""
    if service is None or lms is None:
        yield Line(check="clocks", state=State.WARNING, found="the LMS or the service does not tell its time")
        return
    ahead = (lms - service).total_seconds()
    found = f"the LMS's clock is {ahead:+.0f} s from the service's"
    if abs(ahead) <= MOST_SKEW:
        yield Line(check="clocks", state=State.OK, found=found)
    else:
        remedy = "set both by NTP: the service refuses a token from a second ahead, and one past its end by a second"
        state = State.FAILED if ahead > 0 else State.WARNING
        yield Line(check="clocks", state=state, found=found, remedy=remedy)


def _show(lines: list[Line], screen: Screen) -> None:
    columns = [Column("check"), Column("is"), Column("what"), Column("what to do")]
    rows: list[list[Cell]] = [
        [line.check, Styled(str(line.state), STYLES[line.state]), line.found, line.remedy] for line in lines
    ]
    screen.show(Table(columns, rows))
