"""Opening what a subcommand works with: the platform's database, its sites, the catalog, the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from credsync.catalog import ProgramIndex
from credsync.cli.catalog_file import read_catalog
from credsync.errors import ConfigurationError
from credsync.planning import Planner
from credsync.ports import CredentialSink, Host, Policy, SiteOrgs
from credsync.testing.campus import catalog_path

if TYPE_CHECKING:
    from credsync.adapters.sql import SqlOutbox, SqlSource

__all__ = ["Platform", "find_catalog", "needing_the_extra", "opened_outbox", "opened_platform", "place_of"]


@frozen(kw_only=True)
class Platform:
    """What a learning platform's database and catalog say.

    Attributes:
        source: Its records.
        index: Its programs.
        site: The organisations of the chosen site; None where none is chosen.
        policy: What its sites switch on.
        found_catalog: The file of its programs where nobody has named it; None where somebody has.
    """

    source: SqlSource
    index: ProgramIndex
    site: SiteOrgs | None
    policy: Policy
    found_catalog: Path | None

    def host(self, sink: CredentialSink | None) -> Host:
        """Bundle it with a sink for a run."""
        return Host(
            catalog=self.index,
            sink=sink,
            learners=self.source,
            certificates=self.source,
            grades=self.source,
            policy=self.policy,
        )

    def planner(self, settled_before: datetime) -> Planner:
        """Make what decides in a run."""
        return Planner(
            index=self.index,
            policy=self.policy,
            learners=self.source,
            certificates=self.source,
            grades=self.source,
            site=self.site,
            settled_before=settled_before,
        )


@contextmanager
def opened_platform(
    database: str,
    catalog: Path | None,
    site: str | None,
    *,
    allow_empty_catalog: bool,
    fetch_catalog: Callable[[], ProgramIndex] | None = None,
) -> Iterator[Platform]:
    """Open a platform's database for reading, and make sure that it has all that a run needs.

    Args:
        database: A path, or a SQLAlchemy URL.
        catalog: The catalog's file; None takes the one that lies beside the database.
        site: A site's domain; None chooses none.
        allow_empty_catalog: Take a catalog without programs for true.
        fetch_catalog: Has the programs from elsewhere; None reads the file.

    Raises:
        ConfigurationError: If something is missing, or not what it should be.
        SourceError: If the database cannot be read now.
        AdapterError: If the catalog cannot be fetched.
    """
    with needing_the_extra():
        from credsync.adapters.sql import SqlSites, SqlSource

    with closing(SqlSource(database)) as source:
        source.check()
        if fetch_catalog:
            found, name, index = None, "the catalog service", fetch_catalog()
        else:
            file = catalog or find_catalog(database)
            found = None if catalog else file
            name, index = str(file), read_catalog(file)
        if not index.programs() and not allow_empty_catalog:
            raise ConfigurationError(f"{name}: the catalog is empty; if that is true, say --allow-empty-catalog")
        sites = SqlSites(source.engine)
        yield Platform(
            source=source,
            index=index,
            site=None if site is None else sites.get_orgs(site),
            policy=sites.get_policy(site),
            found_catalog=found,
        )


def find_catalog(database: str) -> Path:
    """Find the catalog that lies beside a database file, as that of a sample does.

    Raises:
        ConfigurationError: If there is none.
    """
    if "://" in database:
        raise ConfigurationError("no program catalog: --catalog names its file")
    path = catalog_path(database)
    if not path.is_file():
        raise ConfigurationError(
            f"no program catalog: --catalog names its file, and there is no {path} to take instead"
        )
    return path


@contextmanager
def opened_outbox(database: str, source: str) -> Iterator[SqlOutbox]:
    """Open an outbox for writing, and make it if it is missing.

    Args:
        database: A path, or a SQLAlchemy URL.
        source: The platform's database, which is never written to.

    Raises:
        ConfigurationError: If it is the platform's database, or cannot be written to for good.
        SinkUnavailableError: If it cannot be written to now.
    """
    with needing_the_extra():
        from credsync.adapters.sql import SqlOutbox

    with closing(SqlOutbox(database)) as outbox:
        if place_of(database) == place_of(source):
            raise ConfigurationError("--out is the source itself, which is never written to: name another database")
        outbox.check()
        yield outbox


def place_of(database: str) -> tuple[object, ...]:
    """Say where a database is, whoever asks for it."""
    from sqlalchemy import make_url

    if "://" not in database:
        return "sqlite", Path(database).resolve()
    url = make_url(database)
    if url.get_backend_name() == "sqlite":
        return "sqlite", Path(url.database or "").resolve()
    return url.get_backend_name(), url.host, url.port, url.database


@contextmanager
def needing_the_extra() -> Iterator[None]:
    """Say what to install where the packages of an adapter are missing."""
    try:
        yield
    except ModuleNotFoundError as exc:
        if exc.name not in _NEEDS:
            raise
        raise ConfigurationError(_NEEDS[exc.name]) from exc


_SERVICE_NEEDS = "the credentials service needs an HTTP client: pip install 'credsync[rest]'"
_NEEDS = {
    "sqlalchemy": "databases need SQLAlchemy: pip install 'credsync[sql]'",
    "requests": _SERVICE_NEEDS,
    "tenacity": _SERVICE_NEEDS,
}
