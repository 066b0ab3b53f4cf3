"""The bar of long calls: on stderr, after a delay, in a terminal or a notebook."""

import sys
import time
import types

import pytest

from dynmem.runtime import progress
from dynmem.runtime.progress import in_notebook, progress_bar


def test_a_bar_is_shown_where_requested(capsys):
    assert list(progress_bar(range(3), progress=True, total=3)) == [0, 1, 2]
    out, err = capsys.readouterr()
    assert out == "" and "0/3" in err
    list(progress_bar(range(3), progress=False))
    list(progress_bar(range(3), progress=None))  # stderr is no terminal here
    assert capsys.readouterr() == ("", "")


def test_a_terminal_waits_before_it_shows_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    list(progress_bar(range(3), progress=None))
    assert capsys.readouterr().err == ""  # shorter than the delay
    monkeypatch.setattr(progress, "DELAY", 0.01)
    for _ in progress_bar(range(3), progress=None, total=3):
        time.sleep(0.11)  # tqdm writes at most ten times a second
    assert "/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shell", "answer"),
    [
        (None, False),
        (types.SimpleNamespace(config={}), False),  # IPython in a terminal
        (types.SimpleNamespace(config={"IPKernelApp": {}}), True),
    ],
)
def test_a_notebook_is_known_by_its_kernel(shell, answer, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook() is answer
