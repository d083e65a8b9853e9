"""Databases, through SQLAlchemy: an Open edX database as the source, its sites, an outbox as the sink, and a ledger.

Needs the extra `credsync[sql]`, which is enough for SQLite; `credsync[postgresql]` and `credsync[mysql]` bring drivers.
"""

from credsync.adapters.sql.history import SqlHistory
from credsync.adapters.sql.ledger import SqlLedger
from credsync.adapters.sql.outbox import OutboxRow, SqlOutbox
from credsync.adapters.sql.site import SitePolicy, SqlSites
from credsync.adapters.sql.source import SqlSource

__all__ = ["OutboxRow", "SitePolicy", "SqlHistory", "SqlLedger", "SqlOutbox", "SqlSites", "SqlSource"]
