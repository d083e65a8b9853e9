"""The sites of a platform, as its database configures them: whose organisations they have, and what is switched on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, inspect, select
from typing_extensions import override

from credsync.adapters.sql.engine import Database, close, describe, open_source
from credsync.adapters.sql.faults import translating
from credsync.adapters.sql.layout import look_at
from credsync.adapters.sql.tables import site_configurations, sites
from credsync.errors import ConfigurationError, SourceError
from credsync.ports import DefaultPolicy, Policy, SiteOrgs

__all__ = ["SitePolicy", "SqlSites"]


@frozen
class SitePolicy(DefaultPolicy):
    """A policy by what the sites switch on: learner records, by organisation; one that no site has is not switched off.

    Attributes:
        learner_records: Whether they are switched on, by organisation.
    """

    learner_records: Mapping[str, bool]

    @override
    def is_learner_records_enabled_for_org(self, org: str) -> bool:
        """Say what the site says that has the organisation."""
        return self.learner_records.get(org, True)


@frozen
class _Site:
    """A site's configuration, as far as it matters here."""

    domain: str
    orgs: tuple[str, ...]
    has_learner_records: bool


class SqlSites:
    """Reads the sites of an Open edX database: `django_site` and the enabled rows of its site configuration.

    Args:
        database: A path, which means a SQLite file; a SQLAlchemy URL; or an engine, such as that of a `SqlSource`.

    Raises:
        ConfigurationError: If there is no such file, the URL makes no sense, or its driver is not installed.
    """

    def __init__(self, database: Database) -> None:
        self._engine = open_source(database)
        self._name = describe(self._engine)
        self._database = database

    def close(self) -> None:
        """Close all connections; a caller's own engine stays as it is."""
        close(self._engine, self._database)

    def get_orgs(self, domain: str) -> SiteOrgs:
        """Return the organisations of one site, and of that site only.

        Raises:
            ConfigurationError: If there is no such site, or its configuration names no organisation: nothing would be
                sent, and nobody would know why.
            SourceError: If the sites cannot be read.
        """
        site = _get_site(self._read(is_needed=True), domain)
        if not site.orgs:
            raise ConfigurationError(
                f"the site {domain} has no organisations: its course_org_filter is missing or empty"
            )
        return SiteOrgs(site.orgs)

    def get_policy(self, domain: str | None = None) -> Policy:
        """Return what the sites switch on.

        Learner records are as the site says that has the organisation: the chosen one if it has, else the one whose
        configuration has the lowest id.

        Args:
            domain: The chosen site; None is none. Then a database without sites switches nothing off.

        Raises:
            ConfigurationError: If there is no such site, or a configuration is not what it should be.
            SourceError: If the sites cannot be read.
        """
        found = self._read(is_needed=domain is not None)
        first = [] if domain is None else [_get_site(found, domain)]
        switches: dict[str, bool] = {}
        for site in (*first, *found):
            for org in site.orgs:
                switches.setdefault(org, site.has_learner_records)
        return SitePolicy(switches)

    def _read(self, *, is_needed: bool) -> Sequence[_Site]:
        """Read the sites with an enabled configuration, by its id."""
        with translating(self._name, SourceError, lasting=ConfigurationError), self._engine.connect() as connection:
            if not is_needed and not _has_sites(connection):
                return []
            for table in (sites, site_configurations):
                look_at(connection, self._name, table)
            rows = connection.execute(
                select(sites.c.domain, site_configurations.c.enabled, site_configurations.c.site_values)
                .join_from(site_configurations, sites, sites.c.id == site_configurations.c.site_id)
                .order_by(site_configurations.c.id)
            ).all()
        return [_site_of(domain, values) for domain, is_enabled, values in rows if is_enabled]


def _has_sites(connection: Connection) -> bool:
    inspector = inspect(connection)
    return inspector.has_table(sites.name) and inspector.has_table(site_configurations.name)


def _get_site(found: Sequence[_Site], domain: str) -> _Site:
    for site in found:
        if site.domain == domain:
            return site
    known = ", ".join(site.domain for site in found) or "none"
    raise ConfigurationError(f"there is no site {domain} with an enabled configuration; there are: {known}")


def _site_of(domain: str, values: str | Mapping[str, Any] | None) -> _Site:
    """Read a configuration: a JSON object, as text or as the driver reads it."""
    settings = _parse(values)
    if not isinstance(settings, Mapping):
        raise ConfigurationError(f"the configuration of the site {domain} is no JSON object: see its site_values")
    orgs = settings.get("course_org_filter") or []
    orgs = [orgs] if isinstance(orgs, str) else orgs
    if not isinstance(orgs, list) or not all(isinstance(org, str) for org in orgs):
        raise ConfigurationError(f"the site {domain} has organisations that are not text: see its course_org_filter")
    return _Site(domain, tuple(orgs), bool(settings.get("ENABLE_LEARNER_RECORDS", True)))


def _parse(values: str | Mapping[str, Any] | None) -> object:
    if not isinstance(values, str):
        return {} if values is None else values
    try:
        parsed: object = json.loads(values)
    except ValueError:
        return None
    return parsed
