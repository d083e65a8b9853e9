"""Options in the spellings and with the values that the reference's command takes, and in sections."""

from __future__ import annotations

from ast import literal_eval
from typing import Any

import click
import pytest
from click.testing import CliRunner

from credsync.cli.inputs import read_org, read_user_id
from credsync.cli.options import OperatorCommand, option


@click.command(cls=OperatorCommand)
@click.argument("source")
@option("--courses", section="Which", each=read_org)
@option("--user-ids", section="Which", each=read_user_id)
@option("--page-size", section="How", type=int, default=100)
@option("--dry-run", section="How", is_flag=True)
def echo(**given: Any) -> None:
    """Say what was given."""
    shown = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in given.items()}
    click.echo(repr(shown))


def said(*arguments: str) -> str:
    """Return what the command says."""
    return CliRunner().invoke(echo, arguments).output


def understood(*arguments: str) -> object:
    """Return what the command was given."""
    return literal_eval(said(*arguments))


WANTED = {"source": "campus.db", "courses": ["A", "B"], "user_ids": None, "page_size": 100, "dry_run": False}


@pytest.mark.parametrize(
    "arguments",
    [
        "campus.db --courses A --courses B",
        "campus.db --courses A B",
        "campus.db --courses A,B",
        "campus.db --courses A, B",
        "campus.db --courses=A,B",
        "--courses A B campus.db",
        "--courses=A --courses B campus.db",
        "--courses A --page-size 100 --courses B campus.db",
        "--courses A B --page-size 100 campus.db",
        "--courses A B --page_size=100 campus.db",
        "--page-size 100 campus.db --courses A B",
    ],
)
def test_several_values_come_in_any_way(arguments: str) -> None:
    """Values behind one name, behind several, or joined by commas are one, wherever the positional argument stands."""
    assert understood(*arguments.split()) == WANTED


def test_values_may_be_joined_by_blanks() -> None:
    """A quoted list of keys is a list of keys."""
    assert understood("campus.db", "--courses", " A\n B ") == WANTED


def test_words_behind_a_flag_are_no_values_of_it() -> None:
    """The positional argument may follow a flag."""
    assert understood("--courses", "A", "B", "--dry-run", "campus.db") == WANTED | {"dry_run": True}


def test_one_value_leaves_no_positional_argument() -> None:
    """A single value is the option's, not the positional argument that is missing."""
    assert "Missing argument 'SOURCE'" in said("--courses", "campus.db")


def test_behind_two_dashes_all_is_positional() -> None:
    """Behind `--`, a word that starts with a dash is no option."""
    assert understood("--courses", "A", "B", "--", "-campus.db") == WANTED | {"source": "-campus.db"}


@pytest.mark.parametrize("name", ["--user-ids", "--user_ids"])
def test_names_have_either_spelling(name: str) -> None:
    """An option may be written with dashes, or with the underscores of the reference."""
    assert understood("campus.db", "--courses", "A", "B", name, "7", "8") == WANTED | {"user_ids": [7, 8]}


@pytest.mark.parametrize("values", ["", " ", ",", " , "])
def test_a_filter_of_nothing_is_refused(values: str) -> None:
    """A filter that was given and is empty must not come to no filter."""
    assert "Invalid value for '--courses': it is empty" in said("campus.db", "--courses", values)


def test_a_bad_value_is_named_with_its_option() -> None:
    """One bad value of several is told with its option."""
    assert "Invalid value for '--user-ids': 'x' is not a user id" in said("campus.db", "--user_ids", "7", "x", "8")


def test_the_help_shows_sections() -> None:
    """Each option stands under its section's heading, with its default."""
    sections = [part.split("\n")[0] for part in said("--help").split("\n\n")]
    assert sections[-3:] == ["Which:", "How:", "Other:"]
    assert "[default: 100]" in said("--help")
