"""The job itself: certificates, then grades, from a source to a sink."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from attrs import evolve, frozen
from opaque_keys.edx.keys import CourseKey

from credsync.catalog import ProgramIndex
from credsync.delivery import Courier
from credsync.errors import ConfigurationError
from credsync.formatting import certstr, gradestr, iter_preview
from credsync.ledger import Entry, RunHeader
from credsync.model import Certificate, CertificateRecord, Grade, GradeRecord, Learner, LearnerRecord
from credsync.options import PLAIN_RUN, RunOptions
from credsync.paging import Pageable, check_paging, paged_query
from credsync.planning import Planner
from credsync.ports import Host, RecordKey, RecordSource, SiteConfiguration, SiteOrgs, per_update
from credsync.report import Report
from credsync.run import Run
from credsync.selection import Selection
from credsync.updates import Update

__all__ = ["log_dry_run", "notify", "retry_letters", "run_scope", "send_grade_if_interesting", "send_notifications"]

logger = logging.getLogger("credsync")

T = TypeVar("T")


def send_notifications(
    certs: Pageable[CertificateRecord],
    grades: Pageable[GradeRecord],
    site_config: SiteConfiguration | str | Iterable[str] | None = None,
    delay: float = 0,
    page_size: int = 100,
    verbose: bool = False,
    notify_programs: bool = False,
    revoke_program_certs: bool = False,
    *,
    host: Host,
    options: RunOptions = PLAIN_RUN,
) -> Report:
    """Bring certificates, then grades, to the host's sink, and say what became of each.

    Goes a page at a time, with one look-up per kind and page. A record that fails is recorded and the run goes on; a
    source or sink that is unavailable ends it early, and the report says where to go on. With a ledger in the host,
    only what changed is sent, and what earlier runs deferred is looked at again at the end.

    Args:
        certs: Certificates: whatever `paged_query` takes.
        grades: Grades, likewise.
        site_config: Records of other sites' organisations are skipped. A site configuration, or its organisations as
            one string or several; None takes all.
        delay: Seconds to pause between pages.
        page_size: Records a page holds, 1 or more.
        verbose: Log what becomes of each record, by course run and user id.
        notify_programs: Say also who has completed a program, by what the certificates mean for it.
        revoke_program_certs: With `notify_programs`, say also who has completed one no longer.
        host: What the run works with.
        options: How the run goes.

    Raises:
        ConfigurationError: If a port is missing, the catalog is empty, or an argument makes no sense; before the first
            record.
        AdapterError: If the catalog or the ledger cannot be opened; before the first record.

    Example:
        >>> from credsync import Certificate, Host, Learner, Program, ProgramIndex, per_update, send_notifications
        >>> from credsync.adapters.memory import MemoryPlatform
        >>> catalog = ProgramIndex([Program(uuid="6883080f-0000-4000-8000-000000000001")])
        >>> sink = per_update(lambda update: print(update.key))
        >>> platform = MemoryPlatform()
        >>> host = Host(catalog=catalog, sink=sink, learners=platform, certificates=platform, grades=platform)
        >>> ada = Learner(id=7, username="ada")
        >>> cert = Certificate(user=ada, course_id="course-v1:X+Y+Z", mode="verified", status="downloadable")
        >>> send_notifications([cert], [], host=host).total("sent")
        certificate in course-v1:X+Y+Z for user 7
        1
    """
    everything = Selection()
    run = _open(
        host, options, everything, site_config, delay, page_size, verbose, notify_programs, revoke_program_certs
    )
    return run.go(certs, grades)


def notify(
    source: RecordSource,
    selection: Selection,
    site_config: SiteConfiguration | str | Iterable[str] | None = None,
    delay: float = 0,
    page_size: int = 100,
    verbose: bool = False,
    notify_programs: bool = False,
    revoke_program_certs: bool = False,
    *,
    host: Host,
    options: RunOptions = PLAIN_RUN,
) -> Report:
    """Bring a selection of a source to the host's sink: `send_notifications`, from a source that selects.

    The ledger knows the selection: a run can only be resumed with the same.

    Args:
        source: What the learning platform knows.
        selection: Which of it to read.
        site_config: As `send_notifications` takes it, like all that follow.
        delay: Seconds to pause between pages.
        page_size: Records a page holds, 1 or more.
        verbose: Log what becomes of each record.
        notify_programs: Say also who has completed a program.
        revoke_program_certs: Say also who has completed one no longer.
        host: What the run works with.
        options: How the run goes.

    Raises:
        ConfigurationError: As from `send_notifications`.
        AdapterError: As from `send_notifications`.
    """
    run = _open(host, options, selection, site_config, delay, page_size, verbose, notify_programs, revoke_program_certs)
    return run.go(source.certificates(selection), source.grades(selection))


def send_grade_if_interesting(
    user: LearnerRecord,
    course_run_key: CourseKey | str,
    mode: str | None,
    status: str | None,
    letter_grade: str | None,
    percent_grade: float | None,
    grade_last_updated: datetime | None = None,
    verbose: bool = False,
    *,
    host: Host,
    options: RunOptions = PLAIN_RUN,
) -> Report:
    """Send one grade, if the rules find it interesting.

    Args:
        user: The learner.
        course_run_key: The course run.
        mode: The mode of the learner's certificate; None, here or for the status, looks both up.
        status: The status of the learner's certificate.
        letter_grade: The letter; None, here or for one of the next two, looks all three up.
        percent_grade: The grade as a fraction, 0 to 1.
        grade_last_updated: When the grade last changed, aware.
        verbose: Log what becomes of it.
        host: What the call works with. Its catalog should be a `ProgramIndex` where calls are many.
        options: How the call goes.

    Returns:
        The report of this one grade.

    Raises:
        ConfigurationError: If a port is missing or the catalog is empty.
        InvalidRecordError: If an argument cannot be what it says.
        AdapterError: If the catalog or the ledger cannot be opened.
    """
    grade = Grade(
        user_id=user.id,
        course_id=course_run_key,
        percent_grade=percent_grade,
        letter_grade=letter_grade,
        modified=grade_last_updated,
    )
    host = evolve(host, learners=_Given({user.id: user}))
    if mode is not None and status is not None:
        learner = Learner(id=user.id, username=user.username)
        cert = Certificate(user=learner, course_id=grade.course_id, mode=mode, status=status)
        host = evolve(host, certificates=_Given({RecordKey(user.id, str(grade.course_id)): cert}))
    run = _open(host, options, Selection(), None, 0, 1, verbose, False, False)
    # a run that stopped can still be resumed behind this call
    run.header = evolve(run.header, job="grade", watermark=None)
    run.recalls = False  # the one grade is all that the host's look-ups know here
    return run.go([], [grade])  # pyright: ignore[reportArgumentType]  # it takes a converter for the field's type


def retry_letters(
    *,
    host: Host,
    is_wanted: Callable[[Entry], bool] = lambda _entry: True,
    delay: float = 0,
    page_size: int = 100,
    verbose: bool = False,
    options: RunOptions = PLAIN_RUN,
) -> Report:
    """Send again what the ledger's dead letters stand for, from the source as it is now, never what was sent before.

    A letter goes once its delivery is durable, or once its record is gone or a rule objects to it.

    Args:
        host: What the run works with; its ledger holds the letters.
        is_wanted: Says of a ledger entry whether it is to be tried.
        delay: Seconds to pause between pages.
        page_size: Letters a page holds, 1 or more.
        verbose: Log what becomes of each record.
        options: How the run goes. A dry run and a resumption make no sense here.

    Raises:
        ConfigurationError: If a port is missing, the catalog is empty, or an argument makes no sense.
        AdapterError: If the catalog or the ledger cannot be opened.
    """
    ledger = _need("ledger", host.ledger)
    run = _open(host, options, Selection(), None, delay, page_size, verbose, False, False)
    run.header = evolve(run.header, job="retry", watermark=None)
    run.courier.again = True
    return run.go_again(ledger, is_wanted)


def log_dry_run(certs: Pageable[CertificateRecord], grades: Pageable[GradeRecord]) -> None:
    """Log a preview of some certificates and grades: how many there are, and the first ten of each.

    Args:
        certs: Certificates: whatever `paged_query` takes; a generator is used up.
        grades: Grades, likewise.

    Example:
        >>> log_dry_run([], [])
    """
    logger.info("Dry run, nothing is sent. These are selected:")
    for line in chain(
        iter_preview("Certificates", (cert for _, cert in paged_query(certs)), certstr),
        iter_preview("Grades", (grade for _, grade in paged_query(grades)), gradestr),
    ):
        logger.info(line)


@frozen
class _Given:
    """Looks up what a caller has handed in."""

    known: Mapping[Any, Any]

    def find_learners(self, user_ids: Collection[int]) -> Mapping[int, LearnerRecord]:
        return self.known

    def find_certificates(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, CertificateRecord]:
        return self.known


def _open(
    host: Host,
    options: RunOptions,
    selection: Selection,
    site_config: SiteConfiguration | str | Iterable[str] | None,
    delay: float,
    page_size: int,
    verbose: bool,
    notify_programs: bool,
    revoke_program_certs: bool,
) -> Run:
    """Check all that a run needs before its first record is read."""
    check_paging(delay, page_size)
    site = SiteOrgs(site_config) if isinstance(site_config, Iterable) else site_config
    if site is not None and not hasattr(site, "has_org"):
        raise ConfigurationError(f"a {type(site).__name__} is no site configuration: it has no has_org(org)")
    started = options.clock()
    planner = Planner(
        index=_index(host, options),
        policy=host.policy,
        learners=_need("learners", host.learners),
        certificates=_need("certificates", host.certificates),
        grades=_need("grades", host.grades),
        site=site,
        settled_before=started - options.give_up_after,
        notify_programs=notify_programs,
        revoke_program_certs=revoke_program_certs,
        excluded_programs=options.excluded_programs,
        verbose=verbose,
        is_rehearsal=options.dry_run,
    )
    courier = Courier(
        sink=per_update(_drop) if options.dry_run else _need("sink", host.sink),
        ledger=host.ledger,
        force=options.force,
        give_up_after=options.give_up_after,
        is_rehearsal=options.dry_run,
    )
    scope = run_scope(selection, site, notify_programs, revoke_program_certs, options.excluded_programs)
    return Run(
        planner=planner,
        courier=courier,
        ledger=None if options.dry_run else host.ledger,
        header=RunHeader(
            scope=scope, start=selection.start, end=selection.end, started=started, watermark=options.watermark
        ),
        options=options,
        page_size=page_size,
        pause=partial(options.sleep, delay) if delay else None,
    )


def run_scope(
    selection: Selection,
    site: SiteConfiguration | None,
    notify_programs: bool,
    revoke_program_certs: bool,
    excluded_programs: Collection[str] = (),
) -> Mapping[str, object]:
    """Return what makes two runs of one scope, whatever their windows: what a ledger keeps a watermark of."""
    return {
        "selection": selection.without_window().as_dict(),
        "site": sorted(site.orgs) if isinstance(site, SiteOrgs) else site and type(site).__name__,
        "notify_programs": notify_programs,
        "revoke_program_certs": revoke_program_certs,
        "excluded_programs": sorted(excluded_programs),
    }


def _need(name: str, port: T | None) -> T:
    if port is None:
        raise ConfigurationError(f"the host has no {name}: pass Host({name}=…)")
    return port


def _index(host: Host, options: RunOptions) -> ProgramIndex:
    index = ProgramIndex.from_catalog(_need("catalog", host.catalog))
    if not index.programs() and not options.allow_empty_catalog:
        raise ConfigurationError("the program catalog is empty: with it, every grade would be in no program")
    return index


def _drop(_update: Update) -> None:
    """Deliver an update of a dry run: nowhere."""
