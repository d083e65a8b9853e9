"""Reading back what the credentials service holds of a learner."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from attrs import frozen

from credsync.adapters.rest.addresses import org_of
from credsync.adapters.rest.api import ApiReader
from credsync.errors import AdapterError
from credsync.wire import target_of

__all__ = ["CredentialsReader", "ReaderByOrg"]

CREDENTIALS = "api/v2/credentials/"
LEARNER_STATUS = "api/credentials/v1/learner_cert_status/"


@frozen
class CredentialsReader:
    """What the service lets itself be asked: one learner a call. Grades show only beside a visible course certificate.

    Attributes:
        api: Reads below the service's address, as in `ApiReader(base_url="https://credentials.example.com")`.

    Example:
        >>> from credsync.adapters.rest import ApiReader
        >>> reader = CredentialsReader(ApiReader(base_url="https://credentials.example.com"))
    """

    api: ApiReader

    def find_credentials(self, username: str) -> Collection[Mapping[str, Any]]:
        """Return all credentials of a learner, of course runs and programs, awarded and revoked.

        It takes the permission to view credentials, which the group of administrators does not have.

        Args:
            username: The learner's username. Without one the service would return everybody's.

        Returns:
            The rows as the service writes them, each once, in no order.

        Raises:
            AdapterError: If they cannot be read in full.
        """
        if not username.strip():
            raise AdapterError("a learner without a username has no credentials")
        return self.api.list_rows(CREDENTIALS, {"username": username})

    def find_statuses(self, username: str, course_runs: Sequence[str] = ()) -> Collection[Mapping[str, Any]]:
        """Return a learner's awarded course certificates that are visible, each with its grade.

        It takes a staff account. A learner whom the service has never met has none, whatever it holds for him.

        Args:
            username: The learner's username.
            course_runs: Which course runs; none for all.

        Returns:
            The statuses as the service writes them: `course_run`, `status`, `type` and `grade`, which may be null.

        Raises:
            AdapterError: If they cannot be read.
        """
        question = {"username": username, "course_runs": list(course_runs)}
        content = self.api.ask(LEARNER_STATUS, question)
        statuses = content.get("status") if isinstance(content, Mapping) else None
        if not isinstance(statuses, list):
            raise AdapterError(f"{self.api.base_url}/{LEARNER_STATUS} cannot be read: the answer holds no statuses")
        return statuses


@frozen(kw_only=True)
class ReaderByOrg:
    """Reads back from several services what a `RestSink` with `org_urls` has brought there.

    Each is asked about each learner; what one of them holds that is another's business is passed over.

    Attributes:
        others: The services that organisations have of their own, by the organisation of a course run.
        base: The service of everything else.
    """

    others: Mapping[str, CredentialsReader]
    base: CredentialsReader

    def find_credentials(self, username: str) -> Collection[Mapping[str, Any]]:
        """Return all credentials of a learner, as `CredentialsReader` does.

        Raises:
            AdapterError: If one of the services cannot be read.
        """
        return self._collect(lambda reader: reader.find_credentials(username))

    def find_statuses(self, username: str) -> Collection[Mapping[str, Any]]:
        """Return a learner's awarded course certificates that are visible, as `CredentialsReader` does.

        Raises:
            AdapterError: If one of the services cannot be read.
        """
        return self._collect(lambda reader: reader.find_statuses(username))

    def _collect(
        self, read: Callable[[CredentialsReader], Collection[Mapping[str, Any]]]
    ) -> Collection[Mapping[str, Any]]:
        readers = dict.fromkeys([self.base, *self.others.values()])
        return [row for reader in readers for row in read(reader) if self._reader_of(row) == reader]

    def _reader_of(self, row: Mapping[str, Any]) -> CredentialsReader:
        return self.others.get(org_of(target_of(row) or ""), self.base)
