"""Fixtures: the study ``tiny`` of ``tests/tiny.py``, and its finished store."""

import shutil

import pytest

from tests.tiny import import_study, light_study, write_installation


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The study imported from a folder of its own."""
    return import_study(tmp_path / "code", monkeypatch)


@pytest.fixture
def light():
    """A study of the same points without files."""
    return light_study()


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """A project with the study, and dynmem as it is installed."""
    return write_installation(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory):
    """A store after a run in one go."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        import_study(folder / "code", patch).run(output=folder / "store")
    return folder / "store"


@pytest.fixture
def store(finished_once, tmp_path):
    """A finished store of one's own."""
    shutil.copytree(finished_once, tmp_path / "store")
    return tmp_path / "store"
