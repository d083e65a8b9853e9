"""The credentials service as the command line names it: where it is, what lets one in, and how fast to go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import click
from attrs import define, field, fields_dict, frozen

from credsync.catalog import ProgramIndex
from credsync.cli.interruption import Interruption
from credsync.cli.ledgers import is_service
from credsync.cli.opening import Platform, needing_the_extra, opened_outbox, opened_platform
from credsync.cli.options import option
from credsync.errors import ConfigurationError
from credsync.ports import CredentialSink

if TYPE_CHECKING:
    from credsync.adapters.rest import (
        ApiReader,
        ClientCredentials,
        CredentialsReader,
        JwtTokens,
        Patience,
        RestSink,
        SinkStatistics,
    )

__all__ = [
    "Access",
    "Service",
    "catalog_options",
    "describe_standing",
    "one_destination",
    "opened_destination",
    "org_url_option",
    "pace_options",
    "service_options",
]

C = TypeVar("C", bound=Callable[..., Any])

SERVICE, CATALOG = "The credentials service", "The platform"

SINK_VARIABLE = "CREDSYNC_SINK"

TOKEN_PATH = "/oauth2/access_token"  # noqa: S105 - an address, no secret


def read_org_url(text: str) -> tuple[str, str]:
    """Read which service an organisation has: its key and the address, joined by an equals sign."""
    org, sign, url = text.partition("=")
    if not (org and sign and url):
        raise click.BadParameter(f"{text!r} is not of the form ORG=URL")
    return org, url


def read_service_url(text: str) -> str:
    """Read the address of a service; a password in it is the business of whoever opens it."""
    if not is_service(text):
        raise click.BadParameter("an address begins with http:// or https://")
    return text


def service_options(command: C) -> C:
    """Declare the options that say where the service is, and what lets one in."""
    return _declared(
        command,
        option(
            "--sink",
            section=SERVICE,
            type=read_service_url,
            envvar=SINK_VARIABLE,
            show_envvar=True,
            metavar="URL",
            help="The Open edX Credentials service, such as https://credentials.example.com.",
        ),
        option(
            "--lms",
            section=SERVICE,
            envvar="CREDSYNC_LMS_URL",
            show_envvar=True,
            metavar="URL",
            help="The LMS that hands out the tokens, such as https://lms.example.com.",
        ),
        option(
            "--credentials-file",
            section=SERVICE,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="JSON with the LMS's client_id and client_secret. Without it, the environment has them: "
            "CREDSYNC_CLIENT_ID and CREDSYNC_CLIENT_SECRET.",
        ),
    )


def pace_options(command: C) -> C:
    """Declare the options that say how fast a service is gone to."""
    return _declared(
        command,
        option(
            "--workers",
            section=SERVICE,
            type=click.IntRange(1, 256),
            default=8,
            metavar="N",
            help="Have so many requests in flight; more than the service has workers only slows each down.",
        ),
        option(
            "--rate-grades",
            section=SERVICE,
            type=click.FloatRange(0, min_open=True),
            metavar="N",
            help="At most so many grades a minute. To an account that is not staff, the service grants 90.",
        ),
        option(
            "--rate-credentials",
            section=SERVICE,
            type=click.FloatRange(0, min_open=True),
            metavar="N",
            help="At most so many certificates and programs a minute. If not staff, the service grants 15.",
        ),
    )


def org_url_option(command: C) -> C:
    """Declare the option that says which other services there are."""
    return option(
        "--org-url",
        section=SERVICE,
        each=read_org_url,
        metavar="ORG=URL...",
        help="A service of its own for the course runs of an organisation.",
    )(command)


def catalog_options(command: C) -> C:
    """Declare the options that say which service has the programs."""
    return _declared(
        command,
        option(
            "--catalog-url",
            section=CATALOG,
            envvar="CREDSYNC_CATALOG_URL",
            show_envvar=True,
            metavar="URL",
            help="Instead of --catalog: the course catalog's API, such as https://discovery.example.com/api/v1/.",
        ),
        option(
            "--catalog-cache",
            section=CATALOG,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="With --catalog-url: where its last complete answer is kept, for when it has none.",
        ),
        option(
            "--catalog-max-age",
            section=CATALOG,
            type=click.FloatRange(0, 8760),
            default=24.0,
            metavar="HOURS",
            help="With --catalog-cache: how old what was kept may be.",
        ),
    )


def _declared(command: C, *options: Callable[[C], C]) -> C:
    for declare in reversed(options):
        command = declare(command)
    return command


def one_destination(out: str | None, sink: str | None) -> str | None:
    """Return where a run goes: to an outbox or a service; None where neither is named.

    A sink that only the environment names gives way to an outbox.

    Raises:
        UsageError: If both are named.
    """
    if out and sink and not _is_from_environment("sink"):
        raise click.UsageError("--out and --sink are two destinations: a run has one")
    return out or sink


def _is_from_environment(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.ENVIRONMENT


@frozen(kw_only=True)
class Service:
    """What was said about the service.

    Attributes:
        sink: Its address; None where none is named.
        lms: The address of the LMS.
        credentials_file: The file with the client's id and secret; None takes them from the environment.
        workers: How many requests are in flight.
        rate_grades: Requests a minute for grades; None does not limit them.
        rate_credentials: Likewise, for certificates and programs.
        org_url: Services of their own by organisation.
        catalog_url: The course catalog's API; None where a file has the programs.
        catalog_cache: Where its last complete answer is kept.
        catalog_max_age: Hours after which what was kept is of no use.
    """

    sink: str | None = None
    lms: str | None = None
    credentials_file: Path | None = None
    workers: int = 8
    rate_grades: float | None = None
    rate_credentials: float | None = None
    org_url: frozenset[tuple[str, str]] | None = None
    catalog_url: str | None = None
    catalog_cache: Path | None = None
    catalog_max_age: float = 24.0

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Self:
        """Take the service's own out of what a command was given."""
        return cls(**{name: given.pop(name) for name in fields_dict(cls) if name in given})

    def check(self, catalog: Path | None) -> None:
        """Refuse what contradicts itself.

        Args:
            catalog: The catalog's file, if one is named.

        Raises:
            UsageError: If two options exclude each other, or one says nothing without another.
        """
        if catalog and self.catalog_url and not _is_from_environment("catalog_url"):
            raise click.UsageError("--catalog and --catalog-url are two catalogs: a run has one")
        if self.catalog_cache and not self.catalog_url:
            raise click.UsageError("--catalog-cache says nothing without --catalog-url")
        orgs = [org for org, _ in self.org_url or ()]
        if len(set(orgs)) < len(orgs):
            raise click.UsageError("--org-url names an organisation twice")

    @property
    def rates(self) -> Mapping[str, float]:
        """The limits by endpoint, those that there are."""
        rates = {"grades": self.rate_grades, "credentials": self.rate_credentials}
        return {endpoint: rate for endpoint, rate in rates.items() if rate is not None}

    def credentials(self) -> ClientCredentials:
        """Return what the LMS knows its client by.

        Raises:
            ConfigurationError: If it cannot be had.
        """
        from credsync.adapters.rest import credentials_from_environment, credentials_from_file

        if self.credentials_file is None:
            return credentials_from_environment(os.environ)
        return credentials_from_file(self.credentials_file)


def describe_standing(standing: SinkStatistics) -> str:
    """Say at what rate a sink goes, and whether the service has told it to pause."""
    if not standing.requests:
        return ""
    paused = f", the service asks to pause for {standing.paused_for:,.0f} s" if standing.paused_for >= 1 else ""
    return f"{standing.rate:,.0f} requests a minute{paused}"


@contextmanager
def opened_destination(
    destination: str | None, source: str, access: Access
) -> Iterator[tuple[CredentialSink | None, Callable[[], str]]]:
    """Open where a run goes: an outbox, a service, or nowhere.

    Args:
        destination: As `one_destination` returns it.
        source: The platform's database, which is never written to.
        access: The way to the service.

    Yields:
        The sink, and what says how it is doing.

    Raises:
        ConfigurationError: If something is missing, or not what it should be.
        AdapterError: If it cannot be reached.
    """
    if destination is None:
        yield None, str
    elif is_service(destination):
        with access.opened_sink() as sink:
            yield sink, lambda: describe_standing(sink.statistics)
    else:
        with opened_outbox(destination, source) as outbox:
            yield outbox, str


def token_url(lms: str) -> str:
    """Return the address of an LMS's tokens, whether it is named whole or by its root."""
    root = lms.rstrip("/")
    return root if urlsplit(root).path.endswith(TOKEN_PATH) else root + TOKEN_PATH


@define
class Access:
    """The way to a service, with one client's tokens for all of it. Asks nobody anything before it is used.

    Attributes:
        service: What was said about it.
        interruption: Ends every wait, once the command is to end.
    """

    service: Service
    interruption: Interruption
    _tokens: JwtTokens | None = field(default=None, init=False, repr=False)

    @property
    def patience(self) -> Patience:
        """How long trouble is put up with."""
        with needing_the_extra():
            from credsync.adapters.rest import Patience

        return Patience(stop=lambda: self.interruption.is_wanted, sleep=self.interruption.sleep)

    @property
    def tokens(self) -> JwtTokens:
        """Where the tokens come from.

        Raises:
            ConfigurationError: If no LMS is named, its address is none, or the client has no id or secret.
        """
        if self._tokens is None:
            if self.service.lms is None:
                raise ConfigurationError("nothing says where the tokens come from: --lms URL")
            self.service.credentials()
            patience = self.patience
            from credsync.adapters.rest import JwtTokens

            url = token_url(self.service.lms)
            self._tokens = JwtTokens(url=url, credentials=self.service.credentials, patience=patience)
        return self._tokens

    def opened_platform(
        self, source: str, catalog: Path | None, site: str | None, allow_empty_catalog: bool
    ) -> AbstractContextManager[Platform]:
        """Open a platform's database, with its programs from a file or from the course catalog.

        Args:
            source: The database.
            catalog: The catalog's file, if one is named.
            site: A site's domain; None chooses none.
            allow_empty_catalog: Take a catalog without programs for true.

        Raises:
            CredsyncError: As from `credsync.cli.opening.opened_platform`.
        """
        is_fetched = self.service.catalog_url is not None and catalog is None
        fetch = self.fetch_catalog if is_fetched else None
        return opened_platform(source, catalog, site, allow_empty_catalog=allow_empty_catalog, fetch_catalog=fetch)

    @contextmanager
    def opened_sink(self) -> Iterator[RestSink]:
        """Open the way to send updates, with a token at hand: whoever is refused one sends nothing.

        Raises:
            ConfigurationError: If something is missing, or not what it should be.
            AdapterError: If the LMS gives no token.
        """
        with needing_the_extra():
            from credsync.adapters.rest import RestSink

        with RestSink(
            base_url=self.address,
            tokens=self.tokens,
            workers=self.service.workers,
            rates=self.service.rates,  # type: ignore[arg-type]  # its keys are endpoints, which mypy takes for text
            org_urls=dict(self.service.org_url or ()),
            patience=self.patience,
        ) as sink:
            self.tokens.token()
            yield sink

    @contextmanager
    def opened_api(self) -> Iterator[ApiReader]:
        """Open the way to read back what the service holds; what is read counts as credentials do.

        Raises:
            ConfigurationError: If something is missing, or not what it should be.
        """
        with needing_the_extra():
            from credsync.adapters.rest import ApiReader

        with ApiReader(
            base_url=self.address, tokens=self.tokens, patience=self.patience, rate=self.service.rate_credentials
        ) as api:
            yield api

    @contextmanager
    def opened_reader(self) -> Iterator[CredentialsReader]:
        """Open the way to read back what the service holds of a learner, as `opened_api` does."""
        with needing_the_extra():
            from credsync.adapters.rest import CredentialsReader

        with self.opened_api() as api:
            self.tokens.token()
            yield CredentialsReader(api)

    def fetch_catalog(self) -> ProgramIndex:
        """Fetch all programs from the course catalog.

        Raises:
            AdapterError: If they cannot be had, and none are kept that are young enough.
        """
        with needing_the_extra():
            from credsync.adapters.discovery import DiscoveryCatalog
            from credsync.adapters.rest import ApiReader

        tokens = self.tokens if self.service.lms else None
        with ApiReader(base_url=self.service.catalog_url or "", tokens=tokens, patience=self.patience) as reader:
            catalog = DiscoveryCatalog(
                read=reader.get,
                keep_in=self.service.catalog_cache,
                max_age=timedelta(hours=self.service.catalog_max_age),
            )
            return ProgramIndex.from_catalog(catalog)

    @property
    def address(self) -> str:
        """The service's address.

        Raises:
            ConfigurationError: If none is named.
        """
        if self.service.sink is None:
            raise ConfigurationError("no service is named: --sink URL")
        return self.service.sink
