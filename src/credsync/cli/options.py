"""Options as the reference's command has them: in either spelling, several values behind one name; and in sections."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
from typing_extensions import override

__all__ = ["OperatorCommand", "option", "platform_options"]

C = TypeVar("C", bound=Callable[..., Any])


def _dashed(name: str) -> str:
    """Give an option's name with dashes: some of the reference's have underscores."""
    return name.replace("_", "-")


def option(*names: str, section: str, each: Callable[[str], Any] | None = None, **attributes: Any) -> Callable[[C], C]:
    """Declare an option.

    Args:
        names: Its names, with dashes.
        section: The heading under which the help shows it.
        each: Reads each of its values, where it takes several: `--it A B`, `--it A,B` and `--it A --it B` are one.
        attributes: What else click takes.
    """
    if each is not None:
        attributes |= {"multiple": True, "callback": partial(_split, each)}
    return click.option(*names, cls=_Option, section=section, **attributes)


class _Option(click.Option):
    """An option that knows its section of the help."""

    def __init__(self, *args: Any, section: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section


def _split(
    each: Callable[[str], Any], _context: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> frozenset[Any] | None:
    """Part what commas and blanks join. A filter that is given must not come to nothing, and so to everything."""
    parts = [part for value in values for part in re.split(r"[,\s]+", value) if part]
    if values and not parts:
        raise click.BadParameter("it is empty")
    return frozenset(map(each, parts)) or None


class OperatorCommand(click.Command):
    """A command with one positional argument or none, and options that `option` declares."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.context_settings.update(token_normalize_func=_dashed, max_content_width=110, show_default=True)

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._repeat_names(args))

    def _repeat_names(self, args: Sequence[str]) -> list[str]:
        """Put the name of an option that takes several values before each of them.

        All words behind it are its values, but for the last where the positional argument is nowhere else:
        `--courses A B SOURCE` and `SOURCE --courses A B` mean the same.
        """
        options = {name: param for param in self.params if isinstance(param, _Option) for name in param.opts}
        repeated: list[str] = []
        positionals, last_value = 0, None
        for name, words in _iter_groups(args):
            option = options.get(_dashed(name))
            if option and option.multiple and words:
                repeated += [part for word in words for part in (name, word)]
                last_value = len(repeated) if len(words) > 1 else last_value
            else:
                repeated += [name, *words] if name else words
                positionals += max(0, len(words) - bool(option and not option.is_flag))
        takes_positional = any(isinstance(param, click.Argument) for param in self.params)
        if takes_positional and not positionals and last_value is not None:
            del repeated[last_value - 2]
        return repeated

    @override
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                sections.setdefault(getattr(param, "section", "Other"), []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


def _iter_groups(args: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each option's name with the words behind it; the words before the first come with an empty name."""
    name = ""
    words: list[str] = []
    for arg in args:
        if name != "--" and arg.startswith("-"):  # behind two dashes, all are words
            yield name, words
            name, words = arg, []
        else:
            words.append(arg)
    yield name, words


PLATFORM = "The platform"


def platform_options(command: C) -> C:
    """Declare the argument and the options that say which platform is read, as `opened_platform` takes them."""
    for declare in reversed(
        (
            click.argument("source"),
            option(
                "--site",
                section=PLATFORM,
                metavar="DOMAIN",
                help="Keep to one site: the organisations that its configuration in the database names.",
            ),
            option(
                "--catalog",
                section=PLATFORM,
                type=click.Path(path_type=Path),
                metavar="FILE",
                help="The programs of all sites: a JSON file, a list of them. Without it, SOURCE's own .catalog.json.",
            ),
            option(
                "--allow-empty-catalog",
                section=PLATFORM,
                is_flag=True,
                help="Take a catalog without programs for true, instead of refusing to run.",
            ),
        )
    ):
        command = declare(command)
    return command
