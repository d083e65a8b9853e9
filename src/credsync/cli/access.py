"""The way to the service, once it is known where it is: tokens, a sink, reads, the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attrs import define, field

from credsync.catalog import ProgramIndex
from credsync.cli.interruption import Interruption
from credsync.cli.ledgers import is_service
from credsync.cli.opening import Platform, needing_the_extra, opened_outbox, opened_platform
from credsync.cli.service import Service
from credsync.errors import ConfigurationError
from credsync.ports import CredentialSink
from credsync.verification import CredentialReader

if TYPE_CHECKING:
    from credsync.adapters.rest import ApiReader, JwtTokens, Patience, RestSink, SinkStatistics

__all__ = ["Access", "describe_standing", "opened_destination", "token_url"]

TOKEN_PATH = "/oauth2/access_token"  # noqa: S105 - an address, no secret


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
            with needing_the_extra():
                from credsync.adapters.rest import JwtTokens

            self.service.credentials()
            patience = self.patience
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
    def opened_api(self, url: str | None = None) -> Iterator[ApiReader]:
        """Open the way to read back what a service holds; what is read counts as credentials do.

        Args:
            url: The service; None is the one that is named.

        Raises:
            ConfigurationError: If something is missing, or not what it should be.
        """
        with needing_the_extra():
            from credsync.adapters.rest import ApiReader

        with ApiReader(
            base_url=url or self.address, tokens=self.tokens, patience=self.patience, rate=self.service.rate_credentials
        ) as api:
            yield api

    @contextmanager
    def opened_reader(self) -> Iterator[CredentialReader]:
        """Open the way to read back what the service holds of a learner, and those that organisations have.

        Raises:
            ConfigurationError: If something is missing, or not what it should be.
            AdapterError: If the LMS gives no token.
        """
        with needing_the_extra():
            from credsync.adapters.rest import CredentialsReader, ReaderByOrg

        org_urls = dict(self.service.org_url or ())
        with ExitStack() as stack:
            urls = {self.address, *org_urls.values()}
            readers = {url: CredentialsReader(stack.enter_context(self.opened_api(url))) for url in urls}
            self.tokens.token()
            others = {org: readers[url] for org, url in org_urls.items()}
            yield ReaderByOrg(others=others, base=readers[self.address]) if others else readers[self.address]

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
