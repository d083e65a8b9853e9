"""Opening ledgers: to read what they say of past runs, and to write to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from credsync.cli.opening import needing_the_extra, place_of
from credsync.cli.options import option
from credsync.cli.redaction import hide_passwords
from credsync.errors import ConfigurationError

if TYPE_CHECKING:
    from credsync.adapters.sql import SqlHistory, SqlLedger

__all__ = [
    "SERVICE_LEDGER",
    "check_not_source",
    "default_ledger",
    "destination_name",
    "is_ledger",
    "is_service",
    "ledger_option",
    "opened_history",
    "opened_ledger",
    "outbox_ledger_option",
    "show_destination",
]

C = TypeVar("C", bound=Callable[..., Any])

LEDGER_VARIABLE = "CREDSYNC_LEDGER"
"""The environment variable that names the ledger where no option does."""

SERVICE_LEDGER = "credsync-ledger.db"
"""The ledger of a service, where no option names another: a file in the directory that the command is called in."""

BESIDE = "outbox"
"""How a ledger names the outbox whose database it shares: the two may be moved together."""


def ledger_option(command: C) -> C:
    """Declare the option that names a ledger which is there."""
    return option(
        "--ledger",
        section="The ledger",
        default=SERVICE_LEDGER,
        show_default=True,
        envvar=LEDGER_VARIABLE,
        show_envvar=True,
        metavar="LEDGER",
        help="A SQLite file or a database URL: that of credsync notify, the outbox itself where it went to one.",
    )(command)


def outbox_ledger_option(section: str) -> Callable[[C], C]:
    """Declare the option that names the ledger of an outbox or a service, under some heading of the help."""
    return option(
        "--ledger",
        section=section,
        envvar=LEDGER_VARIABLE,
        show_envvar=True,
        metavar="LEDGER",
        show_default=f"the outbox's database; {SERVICE_LEDGER} for a service",
        help="What remembers: a SQLite file or a database URL.",
    )


def is_service(destination: str) -> bool:
    """Whether updates go to a service and not to an outbox."""
    return destination.lower().startswith(("http://", "https://"))


def default_ledger(destination: str) -> str:
    """Return the ledger of a destination where none is named."""
    return SERVICE_LEDGER if is_service(destination) else destination


def destination_name(ledger: str, out: str) -> str:
    """Name an outbox or a service for its ledger, the same whoever asks from wherever; without a password.

    Args:
        ledger: The ledger: a path, or a SQLAlchemy URL.
        out: The outbox, likewise, or the address of the service.
    """
    if is_service(out):
        parts = urlsplit(out)  # its host reads the same in either case
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()
        return (origin + parts.path.rstrip("/"))[:255]
    place = place_of(out)
    if place == place_of(ledger):
        return BESIDE
    return ":".join(str(part) for part in place if part is not None)[:255]


def show_destination(destination: str, ledger: str) -> str:
    """Name a destination for a reader, who does not know what lies beside the ledger."""
    return hide_passwords(ledger) if destination == BESIDE else destination


@contextmanager
def opened_history(ledger: str) -> Iterator[SqlHistory]:
    """Open a ledger to read of past runs; it is not made if it is missing.

    Raises:
        ConfigurationError: If there is no such ledger.
        AdapterError: If it cannot be read.
    """
    if ledger == SERVICE_LEDGER and not Path(ledger).exists():
        raise ConfigurationError(
            f"there is no {ledger} here: --ledger names the ledger, which is the outbox itself where updates go to one"
        )
    with needing_the_extra():
        from credsync.adapters.sql import SqlHistory

    with closing(SqlHistory(ledger)) as history:
        yield history


def is_ledger(place: str) -> bool:
    """Whether there is a ledger, found out without making one.

    Raises:
        ConfigurationError: If what is there cannot be one.
        AdapterError: If it cannot be reached.
    """
    kind, file = place_of(place)[:2]
    if kind == "sqlite" and not Path(str(file)).exists():
        return False
    with opened_history(place) as history:
        return history.is_set_up()


def check_not_source(ledger: str, source: str) -> None:
    """Keep a ledger out of the platform's database, which is never written to.

    Raises:
        ConfigurationError: If the two are one.
    """
    if place_of(ledger) == place_of(source):
        raise ConfigurationError("--ledger is the source itself, which is never written to: name another database")


@contextmanager
def opened_ledger(ledger: str, destination: str) -> Iterator[SqlLedger]:
    """Open a ledger to write to; it is made if it is missing.

    Args:
        ledger: A path, or a SQLAlchemy URL.
        destination: Names where the updates go.

    Raises:
        ConfigurationError: If it cannot be a ledger.
        AdapterError: If it cannot be reached.
    """
    with needing_the_extra():
        from credsync.adapters.sql import SqlLedger

    with closing(SqlLedger(ledger, destination)) as opened:
        yield opened
