"""A test double of the Open edX Credentials service: a real HTTP server that can be told to fail.

`CredentialsService` is the double; the other names configure it, plan its faults, and read its log. It runs in a
process of its own with `python -m credsync.testing.service`.

It does not copy everything. There is one site, whatever the Host header says. Its database is PostgreSQL in behaviour:
keys are compared exactly, and parallel writes never end in a deadlock. The throttle has one cache, not one for each
worker. No HTML page of the real service is there, only the status it would have. What follows from bad data in the
service's own tables, such as a run or a program that is there twice, can be had as a planned fault: `html_error()`.
"""

from credsync.testing.service.accounts import ALL_PERMISSIONS, DEFAULT_ACCOUNT, Account, User
from credsync.testing.service.faults import (
    Fault,
    FaultPlan,
    gateway_failure,
    hanging,
    html_error,
    outage,
    redirect,
    reset,
    slow,
    throttled,
    tokens_revoked,
    truncated,
)
from credsync.testing.service.request_log import Key, LoggedRequest, RequestLog
from credsync.testing.service.rows import CredentialRow, GradeRow
from credsync.testing.service.service import BUDGETS, CredentialsService

__all__ = [
    "ALL_PERMISSIONS",
    "BUDGETS",
    "DEFAULT_ACCOUNT",
    "Account",
    "CredentialRow",
    "CredentialsService",
    "Fault",
    "FaultPlan",
    "GradeRow",
    "Key",
    "LoggedRequest",
    "RequestLog",
    "User",
    "gateway_failure",
    "hanging",
    "html_error",
    "outage",
    "redirect",
    "reset",
    "slow",
    "throttled",
    "tokens_revoked",
    "truncated",
]
