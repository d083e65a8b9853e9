"""Passwords of database URLs don't get onto the screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credsync.cli.redaction import Redaction, hide_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql://reader:s3cret@db:3306/lms", "mysql://reader:***@db:3306/lms"),
        ("postgresql+psycopg://:s3cret@db/lms", "postgresql+psycopg://:***@db/lms"),
        ("mysql://reader:s3c@ret@db/lms", "mysql://reader:***@db/lms"),
        ("mysql://reader:s3c/ret:x@db/lms", "mysql://reader:***@db/lms"),
        ("mysql:/ada:s3cret@db/lms", "mysql:/ada:***@db/lms"),
        ("ada:s3cret@db", "ada:***@db"),
        (
            "postgresql://db/lms?user=ada&password=s3cret&sslmode=require",
            "postgresql://db/lms?user=ada&password=***&sslmode=require",
        ),
        ("cannot open 'mysql://reader:s3cret@db/lms', sorry", "cannot open 'mysql://reader:***@db/lms', sorry"),
    ],
)
def test_passwords_are_hidden(text: str, shown: str) -> None:
    """What stands where a password stands is hidden, in a URL that is none as well; the rest is kept."""
    assert hide_passwords(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "campus.db",
        "mysql://db:3306/lms",
        "course-v1:X+Y+Z for user 7",
        "mysql://reader@db/lms",
        "at 12:30 from reader@db",
    ],
)
def test_what_holds_no_password_stays(text: str) -> None:
    """Paths, course keys, times and URLs without a password stay as they are."""
    assert hide_passwords(text) == text


def test_an_argument_is_hidden_with_its_blanks() -> None:
    """A password that holds blanks is known from the command line."""
    redaction = Redaction(["notify", "mysql://reader:s3 cr et@db/lms", "--all"])
    assert redaction("there is no mysql://reader:s3 cr et@db/lms") == "there is no mysql://reader:***@db/lms"


@given(password=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=8))
def test_no_password_of_an_argument_survives(password: str) -> None:
    """Whatever the password is, it does not survive where the argument is quoted."""
    argument = f"mysql://reader:{password}@db/lms"
    shown = Redaction([argument])(f"cannot open {argument}")
    assert shown.startswith("cannot open mysql://reader:***@")
    assert password not in shown


def test_a_password_from_elsewhere_is_hidden() -> None:
    """A URL that came from the environment, say, is no argument, and its password is hidden all the same."""
    assert Redaction(["notify"])("cannot open mysql://reader:s3cret@db/lms") == "cannot open mysql://reader:***@db/lms"
