"""The Open edX Credentials service over HTTP, as a guest who keeps its pace, its pauses and its learners' names.

`RestSink` brings updates there, `CredentialsReader` reads back what it holds, `JwtTokens` has the tokens for both, and
`ApiReader` reads any JSON API of the platform in the same manner, the course catalog's for one. Needs the extra `rest`.
"""

from credsync.adapters.rest.api import ApiReader
from credsync.adapters.rest.calling import TokenSource
from credsync.adapters.rest.exchange import HttpClient, Timeouts
from credsync.adapters.rest.patience import Patience
from credsync.adapters.rest.reading import CredentialsReader, ReaderByOrg
from credsync.adapters.rest.sink import RestSink, SinkStatistics
from credsync.adapters.rest.tokens import (
    ClientCredentials,
    JwtTokens,
    credentials_from_environment,
    credentials_from_file,
)

__all__ = [
    "ApiReader",
    "ClientCredentials",
    "CredentialsReader",
    "HttpClient",
    "JwtTokens",
    "Patience",
    "ReaderByOrg",
    "RestSink",
    "SinkStatistics",
    "Timeouts",
    "TokenSource",
    "credentials_from_environment",
    "credentials_from_file",
]
