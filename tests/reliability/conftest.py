"""Everything in this folder is run by ``make test-reliability``, and not by ``make test``."""

from pathlib import Path

import pytest

from tests.tiny import contents, dynmem

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("reliability")


@pytest.fixture(scope="session")
def unbroken(packages):
    """Bytes of the store after a run in one go."""
    assert dynmem(packages, "run", "tiny", "--output", "unbroken", "--workers", 1).returncode == 0
    return contents(packages / "unbroken")
