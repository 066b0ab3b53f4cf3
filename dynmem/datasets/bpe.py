"""Byte-pair encoding: merges learned from words, applied to words, counted over a whole curve of
vocabularies."""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from ..errors import ShapeError

Pair = tuple[int, int]
# GPT-2's cut (Radford et al. 2019) in the words of ``re``: contractions, letters, digits and the
# rest, each with the space before it.
WORD = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
# The alphabet of the package ``tokenizers``: bytes that print as themselves first, then the others.
# Ties between pairs go by this order.
PRINTED = [*range(33, 127), *range(161, 173), *range(174, 256)]
ALPHABET = np.array([*PRINTED, *(b for b in range(256) if b not in set(PRINTED))])
NUMBER = np.argsort(ALPHABET)  # of a byte, its number in the alphabet


class Words:
    """Distinct words as lists of tokens, how often each occurs, and where each pair of neighbours
    stands."""

    def __init__(self, counts: Mapping[tuple[int, ...], int]) -> None:
        self.pieces = [list(word) for word in counts]
        self.counts = list(counts.values())
        self.pairs: Counter[Pair] = Counter()
        self.where: defaultdict[Pair, set[int]] = defaultdict(set)
        for index, word in enumerate(self.pieces):
            for pair in pairwise(word):
                self.pairs[pair] += self.counts[index]
                self.where[pair].add(index)

    def merge(self, pair: Pair, token: int) -> tuple[set[Pair], int]:
        """Replace the pair by ``token`` everywhere, from the left; returns the pairs whose counts
        rose, and how many tokens were saved."""
        raised: set[Pair] = set()
        saved = 0
        for index in self.where.pop(pair, ()):
            old = self.pieces[index]
            new = merged(old, pair, token)
            if len(new) == len(old):
                continue
            count = self.counts[index]
            for gone in pairwise(old):
                self.pairs[gone] -= count
            for come in pairwise(new):
                self.pairs[come] += count
                if token in come:
                    self.where[come].add(index)
                    raised.add(come)
            self.pieces[index] = new
            saved += (len(old) - len(new)) * count
        self.pairs.pop(pair, None)
        return raised, saved

    @property
    def tokens(self) -> int:
        """Number of tokens, each word as often as it occurs."""
        return sum(len(word) * count for word, count in zip(self.pieces, self.counts, strict=True))


def merged(word: Sequence[int], pair: Pair, token: int) -> list[int]:
    """The word with ``token`` for each occurrence of the pair, from the left."""
    out: list[int] = []
    i = 0
    while i < len(word):
        if i + 1 < len(word) and word[i] == pair[0] and word[i + 1] == pair[1]:
            out.append(token)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


def learn(counts: Mapping[tuple[int, ...], int], merges: int, first: int = 256) -> np.ndarray:
    """Merges learned from words, an array (merges, 2): the most frequent pair becomes a token,
    again and again (Sennrich et al. 2016).

    counts: {word as a tuple of tokens below ``first``: how often}; merges: how many, fewer where no
    pair is left. Token first + i stands for row i. Among pairs of one count the smaller wins, as in
    the package ``tokenizers``, which finds the same merges.

    >>> text = tuple(b"aaabdaaabac")
    >>> rules = learn({text: 1}, 3)
    >>> [len(encode(text, rules[:n])) for n in range(4)]
    [11, 9, 7, 5]
    """
    words = Words(counts)
    rules: list[Pair] = []
    queue = [(-count, pair) for pair, count in words.pairs.items()]
    heapq.heapify(queue)
    while queue and len(rules) < merges:
        count, pair = heapq.heappop(queue)
        now = words.pairs.get(pair, 0)
        if now != -count:  # an old entry
            if now > 0:
                heapq.heappush(queue, (-now, pair))
            continue
        rules.append(pair)
        for other in words.merge(pair, first + len(rules) - 1)[0]:
            heapq.heappush(queue, (-words.pairs[other], other))
    return np.array(rules, dtype=np.int64).reshape(-1, 2)


def encode(word: Sequence[int], rules: np.ndarray, first: int = 256) -> list[int]:
    """Tokens of one word: the earliest merge that fits, until none does.

    >>> encode((0, 1, 0, 1), np.array([(0, 1)]), first=2)
    [2, 2]
    """
    return _encode(word, ranks(rules), first)


def ranks(rules: np.ndarray) -> dict[Pair, int]:
    """Number of each merge."""
    return {(int(a), int(b)): i for i, (a, b) in enumerate(rules)}


def _encode(word: Sequence[int], rank: Mapping[Pair, int], first: int) -> list[int]:
    pieces = list(word)
    while len(pieces) > 1:
        best = min((rank.get(pair, len(rank)), pair) for pair in pairwise(pieces))
        if best[0] == len(rank):
            break
        pieces = merged(pieces, best[1], first + best[0])
    return pieces


def curve(counts: Mapping[tuple[int, ...], int], rules: np.ndarray, first: int = 256) -> np.ndarray:
    """Number of tokens of the text after the first 0, 1, 2, ... merges, an array (merges + 1,).

    The merges of a small vocabulary are the first of a large one, and a token made by a merge can
    only be in later ones: applying them in their order, once, passes through every vocabulary.
    """
    words = Words(counts)
    saved = [words.merge((int(a), int(b)), first + i)[1] for i, (a, b) in enumerate(rules)]
    return words.tokens + sum(saved) - np.cumsum([0, *saved])


def count_words(texts: Iterable[str]) -> dict[tuple[int, ...], int]:
    """How often each word of the texts occurs, as tuples of alphabet numbers."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update(WORD.findall(text))
    return {numbers(word): count for word, count in found.items()}


def numbers(word: str) -> tuple[int, ...]:
    """The alphabet numbers of a word's bytes."""
    return tuple(NUMBER[list(word.encode())].tolist())


def tokens(text: str, rules: np.ndarray) -> np.ndarray:
    """Tokens of a text, an array (tokens,): words cut as GPT-2 cuts them, each encoded once."""
    rank = ranks(rules)
    known: dict[str, list[int]] = {}
    out: list[int] = []
    for word in WORD.findall(text):
        if word not in known:
            known[word] = _encode(numbers(word), rank, 256)
        out.extend(known[word])
    return np.array(out, dtype=np.int64)


def spelled(rules: np.ndarray) -> list[bytes]:
    """Bytes of every token, a list: the alphabet, then each merge.

    >>> spelled(np.array([(NUMBER[104], NUMBER[105])]))[256]
    b'hi'
    """
    found = [bytes([byte]) for byte in ALPHABET]
    for a, b in rules:
        found.append(found[a] + found[b])
    return found


def fast(texts: Sequence[str], merges: int) -> np.ndarray:
    """The merges of ``learn`` by the package ``tokenizers``, many times faster. Raises ImportError
    where it is missing."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    letters = dict(zip(sorted(pre_tokenizers.ByteLevel.alphabet()), range(256), strict=True))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=256 + merges, show_progress=False, initial_alphabet=list(letters)
        ),
    )
    record = json.loads(tokenizer.to_str())["model"]
    number = record["vocab"]
    if any(number[letter] != index for letter, index in letters.items()):
        raise ShapeError(
            "the package tokenizers numbers its alphabet otherwise than dynmem: pass engine='plain'"
        )
    pairs = [pair if isinstance(pair, list) else pair.split(" ") for pair in record["merges"]]
    return np.array([(number[a], number[b]) for a, b in pairs], dtype=np.int64).reshape(-1, 2)
