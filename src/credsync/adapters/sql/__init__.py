"""Databases, through SQLAlchemy: an Open edX database as the source, its sites, and an outbox as the sink.

Needs the extra `credsync[sql]`, which is enough for SQLite; `credsync[postgresql]` and `credsync[mysql]` bring drivers.
"""

from credsync.adapters.sql.outbox import OutboxRow, SqlOutbox
from credsync.adapters.sql.site import SitePolicy, SqlSites
from credsync.adapters.sql.source import SqlSource

__all__ = ["OutboxRow", "SitePolicy", "SqlOutbox", "SqlSites", "SqlSource"]
