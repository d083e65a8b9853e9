"""Keeping the passwords of database URLs off the screen, whatever text they are in."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

__all__ = ["Redaction", "hide_passwords"]

HIDDEN = "***"

# What stands between a user's name and the last @ of a word is a password, in an address that is no proper URL, too.
_IN_AN_ADDRESS = re.compile(r"(\w[\w+.-]*:/*[^\s:/@]*):\S*@|(\w[\w+.-]*):(?!/)\S*@")
_IN_A_QUERY = re.compile(r"((?:password|passwd|pwd)=)[^&\s]+", re.IGNORECASE)


def hide_passwords(text: str) -> str:
    """Put stars in the place of passwords.

    Example:
        >>> hide_passwords("postgresql://reader:secret@replica/lms?sslpassword=hush")
        'postgresql://reader:***@replica/lms?sslpassword=***'
    """
    hidden = _IN_AN_ADDRESS.sub(lambda found: f"{found[1] or found[2]}:{HIDDEN}@", text)
    return _IN_A_QUERY.sub(rf"\1{HIDDEN}", hidden)


@frozen
class Redaction:
    """Hides passwords, those of the command line's own arguments even where they hold what no URL should.

    Attributes:
        arguments: The command line's arguments.
    """

    arguments: Sequence[str]

    def __call__(self, text: str) -> str:
        """Put stars in the place of passwords."""
        for argument in self.arguments:
            # A password may hold blanks on a command line; without them, the argument is one word.
            shown = hide_passwords(re.sub(r"\s", "", argument))
            if HIDDEN in shown:
                text = text.replace(argument, shown)
        return hide_passwords(text)
