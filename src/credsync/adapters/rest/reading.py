"""Reading back what the credentials service holds of a learner."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from attrs import frozen

from credsync.adapters.rest.api import ApiReader
from credsync.errors import AdapterError

__all__ = ["CredentialsReader"]

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
