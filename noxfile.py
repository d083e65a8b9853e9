"""The project's checks, one session each: `nox -l` lists them, `nox` runs them all."""

import os
import shutil
from pathlib import Path
from zipfile import ZipFile

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = bool(os.environ.get("CI"))
nox.options.reuse_venv = "yes"

PYTHONS = ["3.11", "3.12", "3.13"]

# Rooms whose modules, and the tests that mirror them, need more than the core dependencies.
ROOMS_WITH_EXTRAS = ["adapters", "cli", "testing"]
WITHOUT_EXTRAS = [f"--ignore={top}/{room}" for top in ("tests", "src/credsync") for room in ROOMS_WITH_EXTRAS]


def install(session: nox.Session, group: str) -> None:
    """Install the project in place, with one of its dependency groups."""
    session.install("--editable", ".", "--group", group)


@nox.session
def lint(session: nox.Session) -> None:
    """Hold the style: ruff's rules and its format."""
    session.install("--group", "lint")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Hold the contract: mypy over everything, pyright over the public face."""
    install(session, "types")
    session.run("mypy", *session.posargs)
    session.run("pyright")


@nox.session
def imports(session: nox.Session) -> None:
    """Hold the walls between the rooms."""
    install(session, "imports")
    session.run("lint-imports")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run every test and every example, with all extras."""
    install(session, "test")
    session.run("pytest", *session.posargs)


@nox.session
def tests_core(session: nox.Session) -> None:
    """Run what needs no extra with the core dependencies alone."""
    install(session, "test-core")
    session.run("pytest", "tests", "src", *WITHOUT_EXTRAS, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings as errors."""
    install(session, "docs")
    session.run("sphinx-build", "--fail-on-warning", "--keep-going", "--fresh-env", "docs", "docs/_build/html")


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel, and run the tests against the wheel in an environment that never saw the sources."""
    session.install("--group", "build")
    dist = Path(session.create_tmp(), "dist")
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, dist.iterdir()))
    (wheel,) = dist.glob("*.whl")
    check_contents(session, wheel)

    fresh = Path(session.create_tmp(), "fresh")
    session.run("python", "-m", "venv", "--clear", str(fresh))
    python = str(fresh / "bin" / "python")
    session.run(python, "-m", "pip", "install", "-q", "-U", "pip", external=True)
    session.run(python, "-m", "pip", "install", "-q", str(wheel), "--group", "test", external=True)
    session.run(python, "-m", "pytest", "tests", "README.md", *session.posargs, external=True, env={"PYTHONPATH": None})


def check_contents(session: nox.Session, wheel: Path) -> None:
    """Fail unless the wheel carries the package, its types and its licence, and nothing else."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    metadata = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    missing = {"credsync/py.typed", f"{metadata}/licenses/LICENSE"}.difference(names)
    strangers = {Path(name).parts[0] for name in names} - {"credsync", metadata}
    if missing or strangers:
        session.error(f"the wheel lacks {sorted(missing)} or holds {sorted(strangers)}")


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure how much of the core its own tests cover: every branch."""
    install(session, "coverage")
    session.run("coverage", "run", "-m", "pytest", "tests", "src", *WITHOUT_EXTRAS, *session.posargs)
    session.run("coverage", "report")
