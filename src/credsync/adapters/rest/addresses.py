"""Which service an update goes to: one for all, or another for some organisations and programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args
from urllib.parse import urlsplit

from attrs import field, frozen

from credsync.errors import ConfigurationError, InvalidRecordError
from credsync.model import parse_course_key
from credsync.wire import Endpoint

__all__ = ["Addresses", "endpoint_url", "org_of", "to_address", "to_root"]


def to_address(url: str) -> str:
    """Return a URL that a request may go to as it is.

    Raises:
        ConfigurationError: If it is not an absolute HTTP URL, or carries a password, which is not shown, a query or a
            fragment.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise ConfigurationError("a service's address is no URL") from exc
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(f"the address of {parts.hostname} holds a name or password; tokens come from the LMS")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ConfigurationError(f"{url}: a service's address begins with http:// or https://, and names a host")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{url}: a service's address has neither query nor fragment")
    return url


def to_root(url: str) -> str:
    """Return a service's address without the slashes at its end.

    Raises:
        ConfigurationError: If it is none.
    """
    return to_address(url).rstrip("/")


def _to_roots(urls: Mapping[str, str]) -> Mapping[str, str]:
    return {name: to_root(url) for name, url in urls.items()}


def endpoint_url(root: str, endpoint: Endpoint) -> str:
    """Return the address of an endpoint, with the slash that the service redirects without."""
    return f"{root}/api/v2/{endpoint}/"


@frozen(kw_only=True)
class Addresses:
    """The services by what goes to them.

    Attributes:
        base_url: Where everything goes that the others don't claim.
        org_urls: By the organisation of the course run.
        program_urls: By the UUID of the program.
    """

    base_url: str = field(converter=to_root)
    org_urls: Mapping[str, str] = field(factory=dict, converter=_to_roots)
    program_urls: Mapping[str, str] = field(factory=dict, converter=_to_roots)

    def root_of(self, target: str) -> str:
        """Return the service of a course run or, by its UUID, of a program."""
        if target in self.program_urls:
            return self.program_urls[target]
        return self.org_urls.get(org_of(target), self.base_url) if self.org_urls else self.base_url

    def iter_endpoints(self) -> Iterator[tuple[str, Endpoint]]:
        """Yield every endpoint of every service, each once."""
        for root in {self.base_url, *self.org_urls.values(), *self.program_urls.values()}:
            for endpoint in get_args(Endpoint):
                yield root, endpoint


def org_of(target: str) -> str:
    """Return the organisation of a course run; none of a program, nor of what the service will not take anyway."""
    try:
        return str(parse_course_key(target).org)
    except InvalidRecordError:
        return ""
