"""`credsync verify`: whether the service holds what the source says, and sending it what it does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from credsync.cli.access import Access
from credsync.cli.account import show_report
from credsync.cli.estimate import COUNTED_AT_MOST, find_total
from credsync.cli.exits import ExitStatus
from credsync.cli.filters import FILTER_NAMES, WHICH, Filters, filter_options
from credsync.cli.inputs import read_program_uuid
from credsync.cli.interruption import Interruption
from credsync.cli.ledgers import (
    check_not_source,
    default_ledger,
    destination_name,
    is_ledger,
    opened_ledger,
    outbox_ledger_option,
)
from credsync.cli.options import OperatorCommand, option, platform_options
from credsync.cli.output import Output
from credsync.cli.progress import tell_verification
from credsync.cli.screen import Cell, Column, Screen, Styled, Table
from credsync.cli.service import Service, catalog_options, org_url_option, pace_options, service_options
from credsync.cli.wording import counted, plural
from credsync.delivery import Courier
from credsync.options import RunOptions
from credsync.paging import check_paging
from credsync.verification import WRONG, Finding, Standing, Verification
from credsync.verification import verify as compare

if TYPE_CHECKING:
    from credsync.adapters.sql import SqlLedger

__all__ = ["verify"]

WHAT, HOW, SHOWN = "What is compared", "How it is compared", "What is shown"

SHOWN_FINDINGS = 20
"""Findings on the screen; the JSON form has all that are kept."""

STYLES: Mapping[Standing, str] = {
    Standing.RIGHT: "green",
    Standing.UNREADABLE: "yellow",
    **dict.fromkeys(WRONG, "red"),
}


@click.command(cls=OperatorCommand)
@platform_options
@catalog_options
@filter_options
@option("--all", "everything", section=WHICH, is_flag=True, help="All there are; needed where no filter is given.")
@option("--notify-programs", section=WHAT, is_flag=True, help="Compare also who has completed a program.")
@option(
    "--revoke-program-certs",
    section=WHAT,
    is_flag=True,
    help="With --notify-programs: compare also who has completed one no longer.",
)
@option(
    "--exclude-program",
    "exclude_programs",
    section=WHAT,
    each=read_program_uuid,
    metavar="UUID...",
    help="With --notify-programs: leave these programs out.",
)
@service_options
@pace_options
@org_url_option
@option("--repair", section=HOW, is_flag=True, help="Send what is missing or different, and nothing else.")
@outbox_ledger_option(HOW)
@option("--no-ledger", section=HOW, is_flag=True, help="With --repair: write down nothing of what is sent.")
@option("--page-size", section=HOW, type=click.INT, default=100, metavar="N", help="Read so many records at a time.")
@option("--json", "as_json", section=SHOWN, is_flag=True, help="Write JSON, and nothing else, to standard output.")
@option("--quiet", section=SHOWN, is_flag=True, help="Say nothing; the exit status tells. Errors and --json stay.")
def verify(
    source: str,
    site: str | None,
    catalog: Path | None,
    allow_empty_catalog: bool,
    everything: bool,
    notify_programs: bool,
    revoke_program_certs: bool,
    exclude_programs: frozenset[str] | None,
    repair: bool,
    ledger: str | None,
    no_ledger: bool,
    page_size: int,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> ExitStatus:
    """Compare what a platform's database says with what the credentials service holds.

    SOURCE is the database as `credsync notify` takes it. The service is asked learner by learner, with an account that
    is staff and may view credentials. What it holds of learners of whom nothing is expected is seen only of those whom
    --user-ids names; a grade shows only beside an awarded and visible certificate, and else is counted as unreadable.

    The exit status is 1 where something is wrong, and after a repair where something could not be sent.
    """
    service = Service.taken_from(given)
    filters = Filters(**given)
    if not (everything or filters.are_given or site):
        raise click.UsageError(f"not without any filter: give {FILTER_NAMES}, or --all for all there is")
    if (revoke_program_certs or exclude_programs) and not notify_programs:
        raise click.UsageError("--revoke-program-certs and --exclude-program say nothing without --notify-programs")
    service.check(catalog)
    check_paging(0, page_size)
    output = Output(as_json=as_json, verbose=False, quiet=quiet)
    access = Access(service, Interruption())
    options = RunOptions(should_stop=lambda: access.interruption.is_wanted)
    with output.records(), ExitStack() as stack:
        reader = stack.enter_context(access.opened_reader())
        platform = stack.enter_context(access.opened_platform(source, catalog, site, allow_empty_catalog))
        selection = filters.selection(platform.index, platform.site)
        place = None if no_ledger else ledger or default_ledger(access.address)
        repairer = stack.enter_context(_opened_repairer(access, source, place)) if repair else None
        total = find_total(platform.source.count(selection, COUNTED_AT_MOST))
        on_progress = stack.enter_context(output.watching(access.interruption, tell_verification, total))
        found = compare(
            platform.source,
            selection,
            planner=evolve(
                platform.planner(options.clock() - options.give_up_after),
                notify_programs=notify_programs,
                revoke_program_certs=revoke_program_certs,
                excluded_programs=exclude_programs or (),
            ),
            reader=reader,
            repairer=repairer,
            page_size=page_size,
            options=options,
            on_progress=on_progress,
        )
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
    elif not quiet:
        _show(found, Screen(sys.stdout), access.address)
    return _status(found)


@contextmanager
def _opened_repairer(access: Access, source: str, place: str | None) -> Iterator[Courier]:
    """Open what sends anew; the ledger that is there learns of it, and none is made."""
    with ExitStack() as stack:
        sink = stack.enter_context(access.opened_sink())
        ledger: SqlLedger | None = None
        if place and is_ledger(place):
            check_not_source(place, source)
            ledger = stack.enter_context(opened_ledger(place, destination_name(place, access.address)))
        yield Courier(sink=sink, ledger=ledger, force=True, again=True)


def _status(found: Verification) -> ExitStatus:
    if found.stopped:
        return ExitStatus.STOPPED
    if found.repair is None:
        return ExitStatus.OK if found.is_right else ExitStatus.FAILURES
    incurable = found.total(Standing.EXTRA) + found.total(Standing.IMPOSSIBLE)
    is_repaired = found.repair.total("sent") == found.repair.total()
    return ExitStatus.OK if is_repaired and not incurable else ExitStatus.FAILURES


def _show(found: Verification, screen: Screen, address: str) -> None:
    screen.say(f"{counted(sum(found.read.values()), 'record')} read and compared with {address}", "bold")
    screen.say()
    screen.show(_standings(found))
    for reason, count in found.unreadable.items():
        screen.say()
        screen.say(f"{count:,} unreadable, neither right nor wrong: {reason}.", "yellow")
    if found.findings:
        screen.say()
        screen.show(_findings(found.findings[:SHOWN_FINDINGS]))
        wrong = sum(map(found.total, WRONG))
        if wrong > SHOWN_FINDINGS:
            screen.say()
            screen.say(f"These are the first {SHOWN_FINDINGS} of {counted(wrong, 'finding')}; --json tells more.")
    if found.total(Standing.EXTRA):
        screen.say()
        screen.say("What is extra is not repaired: the source has nothing to send for it. Revoke it on the service.")
    if found.repair:
        screen.say()
        show_report(found.repair, screen, address)
    elif found.stopped:
        screen.say()
        screen.say(f"Stopped early, in {found.stopped.stage}: {found.stopped.reason}", "red")


def _standings(found: Verification) -> Table:
    columns = [Column("records"), Column("read", is_number=True)]
    columns += [Column(str(standing), STYLES[standing], is_number=True) for standing in Standing]
    columns.append(Column("not expected", is_number=True))
    rows: list[list[Cell]] = []
    for kind in found.read:
        kept_back = sum(count for (of_kind, _, _), count in found.kept_back.items() if of_kind == kind)
        standings = [found.total(standing, kind) for standing in Standing]
        rows.append([plural(kind), found.read[kind], *standings, kept_back])
    totals = [found.total(standing) for standing in Standing]
    rows.append(["total", sum(found.read.values()), *totals, sum(found.kept_back.values())])
    return Table(columns, rows, has_total=True)


def _findings(findings: Sequence[Finding]) -> Table:
    columns = [Column("record"), Column("course run or program"), Column("user"), Column("is"), Column("what")]
    rows: list[list[Cell]] = [
        [
            finding.key.kind,
            finding.key.target,
            str(finding.key.user_id),
            Styled(str(finding.standing), STYLES[finding.standing]),
            finding.reason,
        ]
        for finding in findings
    ]
    return Table(columns, rows)
