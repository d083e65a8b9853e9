"""How far Hypothesis searches: moderately at each run, further in CI, and the same way every time; and Ctrl-C."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.eavesdropping import EAVESDROPPER, eavesdropping

settings.register_profile("default", max_examples=60, deadline=None, derandomize=True)
settings.register_profile("ci", parent=settings.get_profile("default"), max_examples=100)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# A shell that runs the tests in the background lets them ignore Ctrl-C, and so would the commands that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def listening() -> Iterator[None]:
    """Listen to all that credsync says; `tests/test_secrets.py` comes last, and asks what was heard."""
    yield from eavesdropping(EAVESDROPPER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the search for secrets come last."""
    items.sort(key=lambda item: item.path.name == "test_secrets.py")
