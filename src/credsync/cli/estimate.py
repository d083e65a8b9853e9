"""How long a run to a service takes at most, said before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from credsync.cli.wording import counted

__all__ = ["COUNTED_AT_MOST", "count_in_words", "describe_estimate", "find_total", "show_duration"]

COUNTED_AT_MOST = 1_000_000
"""Records of a kind that are counted; an estimate needs no more."""

TYPICAL_RATES = {"grades": 6000.0, "credentials": 3000.0}
"""Requests a minute that a small service was measured to take where nothing limits them; a real one may take more."""

ENDPOINTS = {"certificate": "credentials", "grade": "grades"}


def describe_estimate(selected: Mapping[str, int], rates: Mapping[str, float]) -> str:
    """Say how many requests some records need at most, and how long these take.

    It is an upper bound: what a rule objects to, or the ledger knows as delivered, needs no request. What the service
    fails over is sent again, and what certificates mean for programs comes on top; neither is known before.

    Args:
        selected: Records by kind.
        rates: Requests a minute by endpoint, where they are limited.

    Example:
        >>> print(describe_estimate({"certificate": 300, "grade": 900}, {"credentials": 15, "grades": 90}))
        selected: 300 certificates and 900 grades; to send them all takes about 30 min, at 15 and 90 a minute
    """
    if not any(selected.values()):
        return "selected: nothing"
    pace = {endpoint: rates.get(endpoint, TYPICAL_RATES[endpoint]) for endpoint in TYPICAL_RATES}
    minutes = sum(count / pace[ENDPOINTS[kind]] for kind, count in selected.items())
    more = "" if find_total(selected) is not None else "more than "
    time = f"{more or 'about '}{show_duration(minutes * 60)}"
    origin = "" if len(rates) == len(TYPICAL_RATES) else " (a small service's pace, where no limit is given)"
    at_pace = f"at {pace['credentials']:,.0f} and {pace['grades']:,.0f} a minute{origin}"
    return f"selected: {count_in_words(selected)}; to send them all takes {time}, {at_pace}"


def find_total(selected: Mapping[str, int]) -> int | None:
    """Return how many records there are of all kinds; None where they were not counted to their end."""
    return None if max(selected.values()) >= COUNTED_AT_MOST else sum(selected.values())


def count_in_words(selected: Mapping[str, int]) -> str:
    """Say how many records of each kind there are, as far as they were counted."""
    return " and ".join(
        f"{'more than ' if records >= COUNTED_AT_MOST else ''}{counted(records, kind)}"
        for kind, records in selected.items()
    )


def show_duration(seconds: float) -> str:
    """Say how long something takes, in the two units that matter.

    Example:
        >>> show_duration(12), show_duration(1800), show_duration(19_980), show_duration(200_000)
        ('12 s', '30 min', '5 h 33 min', '2 d 7 h')
    """
    left = timedelta(seconds=round(seconds))
    hours, minutes = divmod(left.seconds // 60, 60)
    if left.days:
        return f"{left.days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{left.seconds} s"
