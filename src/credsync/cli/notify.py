"""`credsync notify`: send a database's certificates and grades to a service or an outbox, or say what would be sent."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from credsync.cli.access import Access, opened_destination
from credsync.cli.continuing import Continuing, continuing_options
from credsync.cli.estimate import COUNTED_AT_MOST, describe_estimate, find_total
from credsync.cli.exits import ExitStatus
from credsync.cli.filters import FILTER_NAMES, WHICH, Filters, filter_options
from credsync.cli.inputs import read_program_uuid
from credsync.cli.interruption import Interruption
from credsync.cli.ledgers import is_service
from credsync.cli.opening import Platform
from credsync.cli.options import OperatorCommand, option, platform_options
from credsync.cli.output import Output
from credsync.cli.preview import PreviewedSource
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
from credsync.cli.wording import moment
from credsync.notify import notify as run_notify
from credsync.notify import run_scope
from credsync.options import RunOptions
from credsync.paging import check_paging
from credsync.selection import Selection

__all__ = ["notify"]

WHAT, WHERE, HOW, SHOWN = "What is sent", "Where it goes", "How the run goes", "What is shown"


@click.command(cls=OperatorCommand)
@platform_options
@catalog_options
@filter_options
@continuing_options
@option("--all", "everything", section=WHICH, is_flag=True, help="All there are; needed where no filter is given.")
@option("--notify-programs", section=WHAT, is_flag=True, help="Send also who has completed a program.")
@option(
    "--revoke-program-certs",
    section=WHAT,
    is_flag=True,
    help="With --notify-programs: send also who has completed one no longer.",
)
@option(
    "--exclude-program",
    "exclude_programs",
    section=WHAT,
    each=read_program_uuid,
    metavar="UUID...",
    help="With --notify-programs: say nothing of these programs.",
)
@option(
    "--out", section=WHERE, metavar="OUTBOX", help="A SQLite file or a database URL; the outbox is made if missing."
)
@option(
    "--dry-run", section=WHERE, is_flag=True, help="Nowhere: decide everything, send nothing, say what would be sent."
)
@service_options
@pace_options
@org_url_option
@option("--page-size", section=HOW, type=click.INT, default=100, metavar="N", help="Read so many records at a time.")
@option(
    "--delay",
    section=HOW,
    type=click.FloatRange(max=86_400),
    default=0.0,
    metavar="SECONDS",
    help="Pause so long between pages.",
)
@option(
    "--max-failures",
    section=HOW,
    type=click.IntRange(0),
    metavar="N",
    help="Stop once more records than this were rejected or failed; without it, never.",
)
@option(
    "--json",
    "as_json",
    section=SHOWN,
    is_flag=True,
    help="Write the report as JSON, and nothing else, to standard output.",
)
@option("--verbose", section=SHOWN, is_flag=True, help="Say what becomes of each record, on standard error.")
@option("--quiet", section=SHOWN, is_flag=True, help="Say nothing; the exit status tells. Errors and --json stay.")
def notify(
    source: str,
    site: str | None,
    catalog: Path | None,
    allow_empty_catalog: bool,
    everything: bool,
    notify_programs: bool,
    revoke_program_certs: bool,
    exclude_programs: frozenset[str] | None,
    out: str | None,
    dry_run: bool,
    page_size: int,
    delay: float,
    max_failures: int | None,
    as_json: bool,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> ExitStatus:
    """Send the certificates and grades of a learning platform's database to a credentials service, or to an outbox.

    SOURCE is the database: a SQLite file, or any SQLAlchemy URL such as mysql://reader@replica/edxapp. It is only read.

    An option with several values takes them in any way: --courses A B, --courses A,B, or --courses A --courses B. Names
    may be written with _ for -, too. Ctrl-C ends the run after the page in hand, a second one at once.
    """
    service = Service.taken_from(given)
    continuing = Continuing.taken_from(given)
    filters = Filters(**given)
    destination = one_destination(out, service.sink)
    _check_use(
        everything or filters.are_given or site or continuing.auto,
        destination or dry_run,
        notify_programs,
        revoke_program_certs=revoke_program_certs,
        exclude_program=exclude_programs,
    )
    service.check(catalog)
    continuing.check(destination, dry_run=dry_run, has_window=filters.have_window, everything=everything)
    check_paging(delay, page_size)
    output = Output(as_json=as_json, verbose=verbose, quiet=quiet)
    access = Access(service, Interruption())
    with output.records(), ExitStack() as stack:
        platform = stack.enter_context(access.opened_platform(source, catalog, site, allow_empty_catalog))
        selection = filters.selection(platform.index, platform.site)
        sink, describe = stack.enter_context(opened_destination(None if dry_run else destination, source, access))
        remembered = stack.enter_context(continuing.opened(destination, source, dry_run=dry_run))
        scope = run_scope(selection, platform.site, notify_programs, revoke_program_certs, exclude_programs or ())
        selection, watermark = continuing.window(selection, remembered, scope, datetime.now(UTC))
        rates = service.rates if destination and is_service(destination) else None
        total = _announce(output, platform, selection, rates, selection.start if continuing.auto else None)
        records = PreviewedSource(platform.source)
        left = None if continuing.resume else total  # of which a part is done
        on_progress = stack.enter_context(output.watching(access.interruption, tell_run, left, describe))
        report = run_notify(
            records,
            selection,
            platform.site,
            delay,
            page_size,
            verbose,
            notify_programs,
            revoke_program_certs,
            host=evolve(platform.host(sink), ledger=remembered),
            options=RunOptions(
                dry_run=dry_run,
                force=continuing.force,
                resume=continuing.resume,
                watermark=watermark,
                give_up_after=timedelta(days=continuing.give_up_after),
                max_failures=max_failures,
                allow_empty_catalog=allow_empty_catalog,
                excluded_programs=exclude_programs or (),
                should_stop=lambda: access.interruption.is_wanted,
                on_progress=on_progress,
                sleep=access.interruption.sleep,
            ),
        )
    output.show(report, records.iter_lines() if dry_run else (), hide_passwords(destination or ""))
    return ExitStatus.of(report)


def _check_use(is_limited: object, goes_anywhere: object, notify_programs: bool, **about_programs: object) -> None:
    """Refuse a run of everything that nobody asked for, one that goes nowhere, and options that say nothing.

    Raises:
        UsageError: If something is missing.
    """
    if not is_limited:
        raise click.UsageError(f"not without any filter: give {FILTER_NAMES}, --auto, or --all for all there is")
    if not goes_anywhere:
        raise click.UsageError("nothing says where to send: give --sink URL, --out OUTBOX, or --dry-run")
    for name, given in about_programs.items():
        if given and not notify_programs:
            raise click.UsageError(f"--{name.replace('_', '-')} says nothing without --notify-programs")


def _announce(
    output: Output, platform: Platform, selection: Selection, rates: Mapping[str, float] | None, since: datetime | None
) -> int | None:
    """Say where the programs come from, and how long a run to a service takes at most.

    Args:
        output: Where to say it.
        platform: What is read.
        selection: Which of it.
        rates: How fast the service is gone to; None where it is an outbox, of which nothing is known before.
        since: From when an automatic run reads; None for any other.

    Returns:
        How many records there are; None where they are not counted.
    """
    if platform.found_catalog:
        output.note(f"programs from {platform.found_catalog}")
    if since:
        output.note(f"reading what changed from {moment(since)} on")
    if rates is None:
        return None
    selected = platform.source.count(selection, COUNTED_AT_MOST)
    output.note(describe_estimate(selected, rates))
    return find_total(selected)
