"""The credentials service as the command line names it: where it is, what lets one in, and how fast to go."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click
from attrs import fields_dict, frozen

from credsync.cli.ledgers import is_service
from credsync.cli.options import option

if TYPE_CHECKING:
    from credsync.adapters.rest import (
        ClientCredentials,
    )

__all__ = [
    "Service",
    "catalog_options",
    "one_destination",
    "org_url_option",
    "pace_options",
    "service_options",
    "token_options",
]

C = TypeVar("C", bound=Callable[..., Any])

SERVICE, CATALOG = "The credentials service", "The platform"

SINK_VARIABLE = "CREDSYNC_SINK"


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
        token_options,
    )


def token_options(command: C) -> C:
    """Declare the options that say what lets one in."""
    return _declared(
        command,
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
