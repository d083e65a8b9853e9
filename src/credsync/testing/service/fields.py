"""The checks of single fields, with the service's messages word for word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from credsync.testing.service.exchange import refuse
from credsync.testing.service.moments import OutOfRangeError, parse_moment

__all__ = [
    "NULL",
    "FieldError",
    "FieldReader",
    "choice",
    "flag",
    "moment",
    "not_a_dictionary",
    "nullable",
    "percent",
    "text",
]

T = TypeVar("T")
Check = Callable[[object], T]

REQUIRED = "This field is required."
NULL = "This field may not be null."
BLANK = "This field may not be blank."
MOMENT_FORMAT = (
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)
SURROGATE = re.compile("[\ud800-\udfff]")


class FieldError(Exception):
    """A value that a field refuses. `messages` is what stands under the field's name in the answer."""

    def __init__(self, messages: object) -> None:
        super().__init__(messages)
        self.messages = messages


class FieldReader:
    """Reads the fields of one body, and gathers what was given and what is wrong with it.

    Args:
        fields: The body.
        partial: Whether it only amends a row; then nothing is required.

    Attributes:
        accepted: The values of the fields that were given and are right.
        errors: The messages of those that are wrong or lacking.
    """

    def __init__(self, fields: Mapping[str, object], *, partial: bool = False) -> None:
        self._fields = fields
        self._partial = partial
        self.accepted: dict[str, Any] = {}
        self.errors: dict[str, object] = {}

    def optional(self, name: str, check: Check[object]) -> None:
        """Read a field that may be left out, which is not the same as null."""
        if name not in self._fields:
            return
        try:
            self.accepted[name] = check(self._fields[name])
        except FieldError as exc:
            self.errors[name] = exc.messages

    def required(self, name: str, check: Check[object]) -> None:
        """Read a field that must be there."""
        if name not in self._fields and not self._partial:
            self.errors[name] = [REQUIRED]
        self.optional(name, check)

    def finish(self) -> dict[str, Any]:
        """Return what was accepted.

        Raises:
            RefusalError: If there is anything wrong: a 400 that names all of it at once.
        """
        if self.errors:
            raise refuse(400, self.errors)
        return self.accepted


def not_a_dictionary(value: object) -> dict[str, object]:
    """Word the complaint about a value that should have been an object."""
    return {"non_field_errors": [f"Invalid data. Expected a dictionary, but got {type(value).__name__}."]}


def nullable(check: Check[T]) -> Check[T | None]:
    """Let null through as None."""
    return lambda value: None if value is None else check(value)


def text(limit: int, *, may_be_blank: bool = False) -> Check[str]:
    """Take text or a number, stripped, up to `limit` characters; with `may_be_blank` null is blank too."""

    def check(value: object) -> str:
        if value is None and not may_be_blank:
            raise FieldError([NULL])
        stripped = _as_text(value)
        if not stripped and not may_be_blank:
            raise FieldError([BLANK])
        if problems := list(_iter_text_problems(stripped, limit)):
            raise FieldError(problems)
        return stripped

    return check


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise FieldError(["Not a valid string."])
    return str(value).strip()


def _iter_text_problems(value: str, limit: int) -> Iterator[str]:
    if len(value) > limit:
        yield f"Ensure this field has no more than {limit} characters."
    if "\x00" in value:
        yield "Null characters are not allowed."
    if surrogate := SURROGATE.search(value):
        yield f"Surrogate characters are not allowed: U+{ord(surrogate.group()):X}."


def percent(value: object) -> Decimal:
    """Take a number of at most 5 digits, 4 of them behind the point; it is never rounded, and its range not checked."""
    if value is None:
        raise FieldError([NULL])
    written = str(value).strip()
    if len(written) > 1000:
        raise FieldError(["String value too large."])
    try:
        number = Decimal(written)
    except InvalidOperation as exc:
        raise FieldError(["A valid number is required."]) from exc
    _check_precision(number)
    return number.quantize(Decimal("0.0001"))


def _check_precision(number: Decimal) -> None:
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise FieldError(["A valid number is required."])  # nan and the infinities
    decimals = max(-exponent, 0)
    whole = max(len(digits) + exponent, 0)
    if whole + decimals > 5:
        raise FieldError(["Ensure that there are no more than 5 digits in total."])
    if decimals > 4:
        raise FieldError(["Ensure that there are no more than 4 decimal places."])
    if whole > 1:
        raise FieldError(["Ensure that there are no more than 1 digits before the decimal point."])


def flag(value: object) -> bool:
    """Take a truth value in any of the words for it."""
    if value is None:
        raise FieldError([NULL])
    word = str(value).lower() if isinstance(value, str | bool | int | float) else ""
    if word in {"true", "t", "yes", "y", "on", "1", "1.0"}:
        return True
    if word in {"false", "f", "no", "n", "off", "0", "0.0"}:
        return False
    raise FieldError(["Must be a valid boolean."])


def moment(value: object) -> datetime:
    """Take a time as `parse_moment` reads it."""
    if value is None:
        raise FieldError([NULL])
    try:
        return parse_moment(value if isinstance(value, str) else "")
    except OutOfRangeError as exc:
        raise FieldError(["Datetime value out of range."]) from exc
    except ValueError as exc:
        raise FieldError([MOMENT_FORMAT]) from exc


def choice(*choices: str) -> Check[str]:
    """Take exactly one of these words."""

    def check(value: object) -> str:
        if value is None:
            raise FieldError([NULL])
        if not isinstance(value, str) or value not in choices:
            raise FieldError([f'"{value}" is not a valid choice.'])
        return value

    return check
