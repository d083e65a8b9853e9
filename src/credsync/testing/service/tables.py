"""The service's database: its tables, its clock and the two switches that change what a write does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

from credsync.testing.service.accounts import Users
from credsync.testing.service.catalog import ServiceCatalog
from credsync.testing.service.exchange import server_error
from credsync.testing.service.rows import COURSE_RUN, CourseCertificateRow, CredentialRow, GradeRow

__all__ = ["Tables"]


class Tables:
    """All that is stored. Not safe for threads by itself: the application holds its lock around every view.

    Args:
        catalog: The service's copy of the catalog.
        clock: The time in seconds since the epoch.

    Attributes:
        records_enabled: Whether learner records are on; then a program credential's first write looks the user up.
        emails_on_completion: Whether a completed program is told by e-mail; the same look-up.
    """

    def __init__(self, catalog: ServiceCatalog, *, clock: Callable[[], float]) -> None:
        self.catalog = catalog
        self.users = Users()
        self.records_enabled = True
        self.emails_on_completion = False
        self.grades: dict[tuple[str, str], GradeRow] = {}
        self.credentials: dict[tuple[str, str], CredentialRow] = {}
        self._clock = clock
        self._credentials_of: dict[str, dict[str, CredentialRow]] = {}
        self._grade_keys: dict[int, tuple[str, str]] = {}
        self._course_certificates: dict[int, CourseCertificateRow] = {}
        self._certificate_of_run: dict[str, int] = {}

    def now(self) -> datetime:
        """Read the clock."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def find_grade_by_id(self, grade_id: int) -> GradeRow | None:
        """Find a grade by its row id."""
        key = self._grade_keys.get(grade_id)
        return self.grades[key] if key else None

    def next_grade_id(self) -> int:
        """Give out a row id."""
        return len(self._grade_keys) + 1

    def store_grade(self, row: GradeRow) -> None:
        """Insert or replace a grade, by its id and its key; a row that changed its key leaves the old one.

        Raises:
            RefusalError: If another row has the key: a 500.
        """
        key = (row.username, row.course_run)
        holder = self.grades.get(key)
        if holder is not None and holder.id != row.id:
            raise server_error()
        if old := self._grade_keys.get(row.id):
            del self.grades[old]
        self._grade_keys[row.id] = key
        self.grades[key] = row

    def store_credential(self, row: CredentialRow) -> None:
        """Insert or replace a credential. As in the real heap the row moves to the end, whatever page it stood on."""
        key = (row.username, row.identifier)
        self.credentials.pop(key, None)
        self.credentials[key] = row
        self._credentials_of.setdefault(row.username, {})[row.identifier] = row

    def credentials_of(self, username: str) -> list[CredentialRow]:
        """List a learner's credentials of both kinds."""
        return list(self._credentials_of.get(username, {}).values())

    def find_credential_by_uuid(self, uuid: UUID) -> CredentialRow | None:
        """Find a credential by its UUID."""
        return next((row for row in self.credentials.values() if row.uuid == uuid), None)

    def find_certificate_of_run(self, course_run: str) -> CourseCertificateRow | None:
        """Find the configuration that is linked to a run of the catalog."""
        row_id = self._certificate_of_run.get(course_run)
        return None if row_id is None else self._course_certificates[row_id]

    def certificates_of_course_id(self, course_id: str) -> list[CourseCertificateRow]:
        """List the configurations for a course id, linked or not; more than one is an accident that happens."""
        return [row for row in self._course_certificates.values() if row.course_id == course_id]

    def next_certificate_id(self) -> int:
        """Give out a row id."""
        return len(self._course_certificates) + 1

    def store_course_certificate(self, row: CourseCertificateRow) -> None:
        """Insert or replace a configuration, by its id.

        Raises:
            RefusalError: If another row has its course run, or its course id and type: a 500.
        """
        others = [other for other in self.certificates_of_course_id(row.course_id) if other.id != row.id]
        if any(other.certificate_type == row.certificate_type for other in others):
            raise server_error()
        if row.course_run is not None and self._certificate_of_run.setdefault(row.course_run, row.id) != row.id:
            raise server_error()
        self._course_certificates[row.id] = row

    def is_visible(self, row: CredentialRow) -> bool:
        """Say whether a credential is shown already: a program's with the first visible one of its course runs."""
        if row.kind == COURSE_RUN:
            certificate = self.find_certificate_of_run(row.identifier)
            return certificate is None or certificate.is_visible_at(self.now())
        return any(self.is_visible(part) for part in self.iter_course_credentials(row.username, row.identifier))

    def iter_course_credentials(self, username: str, program_uuid: str) -> Iterator[CredentialRow]:
        """Yield a learner's course-run credentials within a program."""
        program = self.catalog.find_program(program_uuid)
        for row in self.credentials_of(username):
            if program and row.kind == COURSE_RUN and program.has_course_run(row.identifier):
                yield row
