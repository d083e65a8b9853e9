"""`credsync retry`: send again what dead letters stand for, from the source as it is now."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from credsync.cli.access import Access, opened_destination
from credsync.cli.exits import ExitStatus
from credsync.cli.interruption import Interruption
from credsync.cli.ledgers import (
    check_not_source,
    default_ledger,
    destination_name,
    opened_ledger,
    outbox_ledger_option,
)
from credsync.cli.letter_filters import LetterFilters, iter_letters, letter_options
from credsync.cli.options import OperatorCommand, option, platform_options
from credsync.cli.output import Output
from credsync.cli.progress import tell_run
from credsync.cli.redaction import hide_passwords
from credsync.cli.service import (
    Service,
    catalog_options,
    one_destination,
    org_url_option,
    pace_options,
    service_options,
)
from credsync.notify import retry_letters
from credsync.options import RunOptions
from credsync.paging import check_paging

__all__ = ["retry"]

WHERE, HOW, SHOWN = "Where it goes", "How the run goes", "What is shown"


@click.command(cls=OperatorCommand)
@platform_options
@catalog_options
@letter_options
@option(
    "--out",
    section=WHERE,
    metavar="OUTBOX",
    help="The outbox that did not get them: a SQLite file or a database URL.",
)
@service_options
@pace_options
@org_url_option
@outbox_ledger_option(WHERE)
@option("--page-size", section=HOW, type=click.INT, default=100, metavar="N", help="Try so many letters at a time.")
@option(
    "--delay",
    section=HOW,
    type=click.FloatRange(max=86_400),
    default=0.0,
    metavar="SECONDS",
    help="Pause between pages.",
)
@option("--json", "as_json", section=SHOWN, is_flag=True, help="Write the report as JSON to standard output.")
@option("--verbose", section=SHOWN, is_flag=True, help="Say what becomes of each record, on standard error.")
@option("--quiet", section=SHOWN, is_flag=True, help="Say nothing; the exit status tells. Errors and --json stay.")
def retry(
    source: str,
    site: str | None,
    catalog: Path | None,
    allow_empty_catalog: bool,
    out: str | None,
    ledger: str | None,
    page_size: int,
    delay: float,
    as_json: bool,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> ExitStatus:
    """Send again what dead letters stand for, from the source as it is now: never what was refused before.

    SOURCE is the database as `credsync notify` takes it. A letter goes once its delivery is durable, or once its record
    is gone or a rule objects to it.
    """
    check_paging(delay, page_size)
    service = Service.taken_from(given)
    service.check(catalog)
    destination = one_destination(out, service.sink)
    if destination is None:
        raise click.UsageError("nothing says what did not get them: give --sink URL or --out OUTBOX")
    ledger = ledger or default_ledger(destination)
    check_not_source(ledger, source)
    name = destination_name(ledger, destination)
    filters = LetterFilters(**given)
    output = Output(as_json=as_json, verbose=verbose, quiet=quiet)
    wanted = sum(1 for _ in iter_letters(ledger, filters, destination=name))
    access = Access(service, Interruption())
    with output.records(), ExitStack() as stack:
        platform = stack.enter_context(access.opened_platform(source, catalog, site, allow_empty_catalog))
        sink, describe = stack.enter_context(opened_destination(destination, source, access))
        opened = stack.enter_context(opened_ledger(ledger, name))
        on_progress = stack.enter_context(output.watching(access.interruption, tell_run, wanted, describe))
        report = retry_letters(
            host=evolve(platform.host(sink), ledger=opened),
            is_wanted=filters.match,
            delay=delay,
            page_size=page_size,
            verbose=verbose,
            options=RunOptions(
                allow_empty_catalog=allow_empty_catalog,
                should_stop=lambda: access.interruption.is_wanted,
                on_progress=on_progress,
                sleep=access.interruption.sleep,
            ),
        )
    output.show(report, (), hide_passwords(destination))
    return ExitStatus.of(report)
