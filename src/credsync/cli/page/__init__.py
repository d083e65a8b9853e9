"""A past run as one HTML page that needs nothing but a browser: no network, no script.

`markup` escapes; `words`, `headline` and `bins` shape what is shown; `tables` and `charts` draw it; `outcomes`,
`targets` and `facts` are the sections; `page.css` is the look.
"""

from __future__ import annotations

from importlib.resources import files

from credsync.cli.page.charts import patterns
from credsync.cli.page.facts import facts_section, failures_section
from credsync.cli.page.markup import Markup, element, fragment
from credsync.cli.page.outcomes import header, kinds_section, outcomes_section, reasons_section, timeline_section
from credsync.cli.page.targets import targets_section
from credsync.history import PastRun

__all__ = ["render_page"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may do for the page: show it. It keeps the promise even where a text would break out."""


def render_page(run: PastRun) -> str:
    """Render a run as a page.

    The page holds ids and course runs, as the run's report does, and no password of the destination's. However much the
    run read, its size is bounded.
    """
    body = element(
        "body",
        patterns(),
        header(run),
        element(
            "main",
            outcomes_section(run),
            reasons_section(run),
            timeline_section(run),
            kinds_section(run),
            targets_section(run, "Course run", ("certificate", "grade")),
            targets_section(run, "Program", ("program",)),
            failures_section(run.report),
            facts_section(run),
        ),
    )
    return fragment(Markup("<!doctype html>\n"), element("html", _head(run), body, lang="en")) + "\n"


def _head(run: PastRun) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", f"credsync run {run.run_id}"),
        element("style", Markup(files(__name__).joinpath("page.css").read_text(encoding="utf-8"))),
    )
