"""Times in databases: UTC, with a zone where the database keeps one, and as Django's text in SQLite."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import TIMESTAMP, Dialect, String, TypeDecorator
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine
from typing_extensions import override

__all__ = ["Moment", "to_moment"]


class Moment(TypeDecorator[Any]):
    """A column of times. Binds aware datetimes, and what a cursor keeps of a value; gives what is stored, unconverted.

    So one text in SQLite that is no time costs nobody but its own record.
    """

    impl = String
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep microseconds on every database."""
        types: dict[str, TypeEngine[Any]] = {
            "sqlite": String(32),
            "mysql": mysql.DATETIME(fsp=6),
            "mariadb": mysql.DATETIME(fsp=6),
        }
        return dialect.type_descriptor(types.get(dialect.name, TIMESTAMP(timezone=True)))

    @override
    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Express a time as the database has it; one without a zone is from there, and UTC."""
        moment = to_moment(value) if dialect.name != "sqlite" or isinstance(value, datetime) else value
        if not isinstance(moment, datetime):
            return moment
        in_utc = moment.astimezone(UTC)
        if dialect.name == "sqlite":
            return _to_text(in_utc)
        return in_utc.replace(tzinfo=None) if dialect.name in {"mysql", "mariadb"} else in_utc


def _to_text(in_utc: datetime) -> str:
    """Write a time as Django does, but without the zeros at the end of its fraction.

    Django leaves a fraction of zero out, others write all of its digits: the shortest spelling is less than or equal to
    each of them, and greater than all of an earlier time.
    """
    text = in_utc.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    return text.rstrip("0").removesuffix(".")


def to_moment(raw: Any) -> Any:
    """Read a stored time as an aware one. What is none comes back as it is, for the check that can name its record."""
    if isinstance(raw, str):
        try:
            raw = datetime.fromisoformat(f"{raw}+00:00")  # to put the zone in later takes four times as long
        except ValueError:
            raw = _parse(raw)
    if isinstance(raw, datetime) and raw.tzinfo is None:
        return raw.replace(tzinfo=UTC)
    return raw


def _parse(text: str) -> datetime | str:
    """Parse a text that names a zone of its own, or is no time."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text
