"""The ports: what a host implements. Each is small, and bulk by nature: one call serves a page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from attrs import field, frozen

from credsync.catalog import ProgramCatalog
from credsync.errors import SinkRejectedError, SinkUnavailableError, isolated
from credsync.ledger import Ledger
from credsync.model import CertificateRecord, CourseMode, GradeRecord, LearnerRecord
from credsync.paging import PageSource
from credsync.selection import Selection
from credsync.updates import SINK_UNAVAILABLE, Deferred, Delivered, Outcome, Rejected, Update

__all__ = [
    "CertificateStore",
    "CredentialSink",
    "DefaultPolicy",
    "GradeStore",
    "Host",
    "LearnerDirectory",
    "Ledger",
    "PageSource",
    "Policy",
    "ProgramCatalog",
    "RecordKey",
    "RecordSource",
    "SiteConfiguration",
    "SiteOrgs",
    "per_update",
]


class RecordKey(NamedTuple):
    """Names a learner's certificate or grade; a plain tuple of the same two is equal to it.

    Attributes:
        user_id: The learner's id.
        course_id: The course run, as a string.
    """

    user_id: int
    course_id: str


class RecordSource(Protocol):
    """Everything a learning platform knows of certificates and grades, to be selected from."""

    def certificates(self, selection: Selection) -> PageSource[CertificateRecord]:
        """Return the selected certificates, those included whose date override changed in the window. Reads nothing."""
        ...

    def grades(self, selection: Selection) -> PageSource[GradeRecord]:
        """Return the selected grades; reads nothing yet."""
        ...


class LearnerDirectory(Protocol):
    """Knows learners by id."""

    def find_learners(self, user_ids: Collection[int]) -> Mapping[int, LearnerRecord]:
        """Return the learners by id, in one look-up; one that is not visible is simply absent.

        Raises:
            SourceError: If the learners cannot be read.
        """
        ...


class CertificateStore(Protocol):
    """Knows certificates by learner and course run."""

    def find_certificates(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, CertificateRecord]:
        """Return the certificates by key, in one look-up; one that is not visible is simply absent.

        Raises:
            SourceError: If the certificates cannot be read.
        """
        ...


class GradeStore(Protocol):
    """Knows grades by learner and course run."""

    def find_grades(self, keys: Collection[RecordKey]) -> Mapping[RecordKey, GradeRecord]:
        """Return the grades by key, in one look-up; one that is not visible is simply absent.

        Raises:
            SourceError: If the grades cannot be read.
        """
        ...


class CredentialSink(Protocol):
    """Takes updates to where learners see their credentials."""

    def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Deliver a batch, and return one outcome per update, in order.

        An implementation must have an update durably before it says `Delivered`, must keep the order of updates that
        share a key, and must be idempotent: the same update may come again. A batch never holds two updates with one
        key.

        Raises:
            SinkUnavailableError: If nothing of the batch is known to have arrived and a later try may fare better.
                Where some of it arrived, the rest is `Deferred` with the reason `SINK_UNAVAILABLE` instead.
        """
        ...


class Policy(Protocol):
    """What a host allows. Asked once a run and course run, so the answers hold for a run."""

    def is_credentials_enabled(self) -> bool:
        """Whether anything is to be sent to the credentials service at all."""
        ...

    def is_learner_records_enabled_for_org(self, org: str) -> bool:
        """Whether learner records, and so grades, are switched on for an organisation."""
        ...

    def is_eligible_for_certificate(self, mode: str) -> bool:
        """Whether a course mode, perhaps an unknown slug, can earn a certificate."""
        ...


class DefaultPolicy:
    """The policy of a host that has nothing switched off: every mode but audit is eligible.

    Example:
        >>> DefaultPolicy().is_eligible_for_certificate("audit")
        False
    """

    def is_credentials_enabled(self) -> bool:
        """Say yes."""
        return True

    def is_learner_records_enabled_for_org(self, org: str) -> bool:
        """Say yes, whatever the organisation."""
        return True

    def is_eligible_for_certificate(self, mode: str) -> bool:
        """Say yes to every mode but audit."""
        return mode != CourseMode.AUDIT


class SiteConfiguration(Protocol):
    """One site of the learning platform, by its organisations."""

    def has_org(self, org: str) -> bool:
        """Whether the organisation's course runs belong to the site."""
        ...


def _to_orgs(orgs: str | Iterable[str]) -> frozenset[str]:
    return frozenset({orgs}) if isinstance(orgs, str) else frozenset(orgs)


@frozen
class SiteOrgs:
    """A site configuration that is nothing but the site's organisations: one string, or several.

    Example:
        >>> SiteOrgs(["DemoX", "OtherX"]).has_org("DemoX")
        True
    """

    orgs: frozenset[str] = field(converter=_to_orgs)

    def has_org(self, org: str) -> bool:
        """Whether the organisation is one of them."""
        return org in self.orgs


@frozen(kw_only=True)
class Host:
    """What one host provides.

    A port that a run needs and the host lacks is a `ConfigurationError` before its first record.

    Attributes:
        catalog: All programs of all sites; a `ProgramIndex` made from them will do, and is not built again.
        sink: Where the updates go.
        learners: Looks up the learners of grades.
        certificates: Looks up the certificates of grades, and those that decide about programs.
        grades: Looks up grades that a caller left out.
        policy: What is switched on.
        ledger: What was delivered before; None forgets.
    """

    catalog: ProgramCatalog | None = None
    sink: CredentialSink | None = None
    learners: LearnerDirectory | None = None
    certificates: CertificateStore | None = None
    grades: GradeStore | None = None
    policy: Policy = field(factory=DefaultPolicy)
    ledger: Ledger | None = None


def per_update(send: Callable[[Update], Outcome | None]) -> CredentialSink:
    """Lift a plain callable to a sink.

    Args:
        send: Delivers one update. It may return an outcome, return None for `Delivered`, or raise `SinkRejectedError`
            (this update is rejected) or `SinkUnavailableError` (nothing behind it is tried). Any other exception
            rejects the update and goes no further.

    Example:
        >>> sent = []
        >>> sink = per_update(sent.append)
        >>> sink.deliver([])
        []
    """
    return _PerUpdateSink(send)


@frozen
class _PerUpdateSink:
    send: Callable[[Update], Outcome | None]

    def deliver(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        for update in updates:
            answer = isolated(self.send, update)
            if isinstance(answer, SinkUnavailableError):
                if not outcomes:
                    raise answer
                later = Deferred(reason=SINK_UNAVAILABLE, retry_after=answer.retry_after)
                return outcomes + [later] * (len(updates) - len(outcomes))
            outcomes.append(_to_outcome(answer))
        return outcomes


def _to_outcome(answer: Outcome | Exception | None) -> Outcome:
    if isinstance(answer, SinkRejectedError):
        return Rejected(reason=answer.message, status=answer.status)
    if isinstance(answer, Exception):
        return Rejected(reason=f"the sink raised {type(answer).__name__}")
    return answer or Delivered()
