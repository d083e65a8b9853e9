"""The service's rows as they are read back, and how a record compares with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol, TypeAlias

from credsync.errors import InvalidRecordError
from credsync.updates import GradeUpdate, ProgramRevocation, Update
from credsync.verification.findings import Finding, Standing
from credsync.wire import find_differences, target_of

__all__ = ["NO_ANSWER", "CredentialReader", "Row", "compare", "iter_shown"]

NO_ANSWER = "the service does not answer for the learner"

Row: TypeAlias = Mapping[str, Any]
"""A credential or a status, as the service writes it."""


class CredentialReader(Protocol):
    """Reads back what the service holds of a learner; the rest adapter's `CredentialsReader` does."""

    def find_credentials(self, username: str) -> Collection[Row]:
        """Return all credentials of a learner, of course runs and programs, awarded and revoked.

        Raises:
            AdapterError: If they cannot be read in full.
        """
        ...

    def find_statuses(self, username: str) -> Collection[Row]:
        """Return a learner's awarded course certificates that are visible, each with its grade.

        Raises:
            AdapterError: If they cannot be read.
        """
        ...


def compare(update: Update, rows: Collection[Row] | None) -> Finding:
    """Compare a record with its learner's rows."""
    key = update.key
    if rows is None:
        return Finding(key=key, standing=Standing.UNREADABLE, reason=NO_ANSWER)
    row = next((row for row in rows if target_of(row) == key.target), None)
    if isinstance(update, GradeUpdate):
        if row is None:
            reason = "grades show only beside an awarded and visible certificate, of a learner whom the service has met"
            return Finding(key=key, standing=Standing.UNREADABLE, reason=reason)
        row = row.get("grade")
    if row is None:
        # a program that was never awarded needs no revocation, and a run sends none
        standing = Standing.RIGHT if isinstance(update, ProgramRevocation) else Standing.MISSING
        return Finding(key=key, standing=standing)
    try:
        different = find_differences(update, row)
    except InvalidRecordError as exc:
        return Finding(key=key, standing=Standing.IMPOSSIBLE, reason=f"{exc.field}: {exc.reason}")
    if different:
        return Finding(key=key, standing=Standing.DIFFERENT, reason=", ".join(different))
    return Finding(key=key, standing=Standing.RIGHT)


def iter_shown(rows: Collection[Row]) -> Iterator[tuple[str, str]]:
    """Yield the course runs of which the service shows a certificate or a grade."""
    for row in rows:
        target = target_of(row)
        if target and row.get("grade"):
            yield "grade", target
        elif target and "credential" in row and row.get("status") == "awarded":
            yield "certificate", target
