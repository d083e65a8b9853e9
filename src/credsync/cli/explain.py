"""`credsync explain`: why one learner's records in one course run are sent or skipped, rule by rule."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from attrs import asdict, frozen

from credsync.adapters.memory import MemorySink
from credsync.cli.access import Access
from credsync.cli.exits import ExitStatus
from credsync.cli.inputs import read_course_run, read_user_id
from credsync.cli.interruption import Interruption
from credsync.cli.opening import Platform
from credsync.cli.options import OperatorCommand, option, platform_options
from credsync.cli.output import note
from credsync.cli.screen import Column, Screen, Styled, Table
from credsync.cli.service import Service, catalog_options, token_options
from credsync.cli.tracing import Answer, Step, Tracer
from credsync.cli.wording import explain_reason
from credsync.errors import SourceError
from credsync.notify import notify
from credsync.options import RunOptions
from credsync.report import Report, Verdict
from credsync.selection import Selection
from credsync.updates import CertificateUpdate, Update

__all__ = ["explain"]

SCHEMA_VERSION = 1
"""Of the JSON form; it grows when a field changes its meaning or goes."""

WHICH, SHOWN = "Which records", "What is shown"

SAID_ABOVE = {"user_id", "username", "course_run"}
"""What of an update is not listed: the username is nobody's business, the others stand in the heading."""

STYLES = {Answer.PASSED: "green", Answer.OBJECTED: "red", Answer.NOT_YET: "yellow", Answer.NOT_REACHED: "dim"}


@click.command(cls=OperatorCommand)
@platform_options
@catalog_options
@token_options
@option("--user-id", section=WHICH, type=read_user_id, required=True, metavar="ID", help="Those of this learner.")
@option(
    "--course-run", section=WHICH, type=read_course_run, required=True, metavar="KEY", help="Those of this course run."
)
@option("--json", "as_json", section=SHOWN, is_flag=True, help="Write JSON, and nothing else, to standard output.")
def explain(
    source: str,
    site: str | None,
    catalog: Path | None,
    allow_empty_catalog: bool,
    user_id: int,
    course_run: str,
    as_json: bool,
    **given: Any,
) -> ExitStatus:
    """Explain why a learner's certificate and grade in a course run are sent or skipped.

    Goes through the rules in the order of a run, with the facts that each one saw. Nothing is sent.

    SOURCE is a database as `credsync notify` takes it. The exit status is 1 where there is no such record.
    """
    service = Service.taken_from(given)
    service.check(catalog)
    selection = Selection(course_runs=[course_run], user_ids=[user_id])
    with Access(service, Interruption()).opened_platform(source, catalog, site, allow_empty_catalog) as platform:
        if platform.found_catalog:
            note(f"programs from {platform.found_catalog}")
        explanations = list(_iter_explanations(platform, selection, allow_empty_catalog))
    if as_json:
        records = [_as_dict(explanation) for explanation in explanations]
        document = {"schema_version": SCHEMA_VERSION, "user_id": user_id, "course_run": course_run, "records": records}
        click.echo(json.dumps(document, indent=2))
    else:
        _show(Screen(sys.stdout), f"in {course_run} for user {user_id}", explanations)
    return ExitStatus.OK if explanations else ExitStatus.FAILURES


@frozen(kw_only=True)
class Explanation:
    """Why one record is sent or not.

    Attributes:
        kind: `certificate` or `grade`.
        verdict: How a run ends it.
        reason: Why; empty where the verdict says it all.
        sends: What a run would send, but for the username; None where it would send nothing.
        steps: The rules, in their order.
    """

    kind: str
    verdict: str
    reason: str
    sends: Mapping[str, object] | None
    steps: Sequence[Step]


def _iter_explanations(platform: Platform, selection: Selection, allow_empty_catalog: bool) -> Iterator[Explanation]:
    """Explain the records that there are: a run that goes nowhere says what becomes of them, the rules say why."""
    options = RunOptions(allow_empty_catalog=allow_empty_catalog)
    sink = MemorySink()
    report = notify(platform.source, selection, platform.site, host=platform.host(sink), options=options)
    if report.stopped:
        raise SourceError(report.stopped.reason)
    tracer = Tracer(platform.planner(options.clock() - options.give_up_after))
    for certificate in platform.source.certificates(selection).fetch(None, 1).records:
        yield _explanation("certificate", tracer.trace_certificate(certificate), report, sink)
    for grade in platform.source.grades(selection).fetch(None, 1).records:
        yield _explanation("grade", tracer.trace_grade(grade), report, sink)


def _explanation(kind: str, steps: Sequence[Step], report: Report, sink: MemorySink) -> Explanation:
    endings = [(verdict, reason) for of_kind, verdict, reason in report.counts if of_kind == kind]
    if not endings:
        raise SourceError(f"the {kind} changed while it was looked at: try again")
    verdict, reason = endings[0]
    sends = next((_facts_of(update) for update in sink.history if update.key.kind == kind), None)
    return Explanation(kind=kind, verdict=verdict, reason=reason, sends=sends, steps=steps)


def _facts_of(update: Update) -> dict[str, object]:
    facts = asdict(update, filter=lambda attribute, _: attribute.name not in SAID_ABOVE)
    shown = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in facts.items()}
    return {"awarded": update.is_awarded, **shown} if isinstance(update, CertificateUpdate) else shown


def _as_dict(explanation: Explanation) -> dict[str, object]:
    return {**asdict(explanation), "steps": [asdict(step) for step in explanation.steps]}


def _show(screen: Screen, which: str, explanations: Sequence[Explanation]) -> None:
    for explanation in explanations:
        screen.say(f"{explanation.kind} {which}: {_ending(explanation)}", "bold")
        screen.say()
        screen.show(_table(explanation.steps))
        if explanation.sends is not None:
            screen.say()
            screen.say(f"It would go out with {_listed(explanation.sends)}.")
        screen.say()
    missing = [kind for kind in ("certificate", "grade") if kind not in {found.kind for found in explanations}]
    if missing:
        screen.say(f"There is no {' and no '.join(missing)} {which}.", "yellow")


def _ending(explanation: Explanation) -> str:
    because = ": ".join(filter(None, (explanation.reason, explain_reason(explanation.reason))))
    return ", ".join(filter(None, (Verdict(explanation.verdict).foretold, because)))


def _table(steps: Sequence[Step]) -> Table:
    rows = [
        (
            step.rule,
            Styled(": ".join(filter(None, (step.answer, step.reason))), STYLES[step.answer]),
            _listed(step.facts),
        )
        for step in steps
    ]
    return Table([Column("rule", "bold"), Column("answer"), Column("facts")], rows)


def _listed(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {_shown(value)}" for name, value in facts.items())


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value) or "empty"
