"""Byte-pair encoding: merges learned from words, applied to words, counted over a whole curve of
vocabularies."""

import heapq
import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

from ..errors import ShapeError

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

    def __init__(self, counts):
        self.pieces = [list(word) for word in counts]
        self.counts = list(counts.values())
        self.pairs, self.where = Counter(), defaultdict(set)
        for index, word in enumerate(self.pieces):
            for pair in pairwise(word):
                self.pairs[pair] += self.counts[index]
                self.where[pair].add(index)

    def merge(self, pair, token):
        """Put ``token`` for the pair everywhere, from the left; returns the pairs whose counts
        rose, and how many tokens went."""
        raised, saved = set(), 0
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
    def tokens(self):
        """Number of tokens, each word as often as it occurs."""
        return sum(len(word) * count for word, count in zip(self.pieces, self.counts, strict=True))


def merged(word, pair, token):
    """The word with ``token`` for each occurrence of the pair, from the left."""
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and word[i] == pair[0] and word[i + 1] == pair[1]:
            out.append(token)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


def learn(counts, merges, first=256):
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
    words, rules = Words(counts), []
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


def encode(word, rules, first=256):
    """Tokens of one word: the earliest merge that fits, until none does.

    >>> encode((0, 1, 0, 1), np.array([(0, 1)]), first=2)
    [2, 2]
    """
    return _encode(word, ranks(rules), first)


def ranks(rules):
    """Number of each merge."""
    return {(int(a), int(b)): i for i, (a, b) in enumerate(rules)}


def _encode(word, rank, first):
    word = list(word)
    while len(word) > 1:
        best = min((rank.get(pair, len(rank)), pair) for pair in pairwise(word))
        if best[0] == len(rank):
            break
        word = merged(word, best[1], first + best[0])
    return word


def curve(counts, rules, first=256):
    """Number of tokens of the text after the first 0, 1, 2, ... merges, an array (merges + 1,).

    The merges of a small vocabulary are the first of a large one, and a token made by a merge can
    only be in later ones: applying them in their order, once, passes through every vocabulary.
    """
    words = Words(counts)
    saved = [words.merge((int(a), int(b)), first + i)[1] for i, (a, b) in enumerate(rules)]
    return words.tokens + sum(saved) - np.cumsum([0, *saved])


def count_words(texts):
    """How often each word of the texts occurs, as tuples of alphabet numbers."""
    found = Counter()
    for text in texts:
        found.update(WORD.findall(text))
    return {numbers(word): count for word, count in found.items()}


def numbers(word):
    """The alphabet numbers of a word's bytes."""
    return tuple(NUMBER[list(word.encode())].tolist())


def tokens(text, rules):
    """Tokens of a text, an array (tokens,): words cut as GPT-2 cuts them, each encoded once."""
    rank, known, out = ranks(rules), {}, []
    for word in WORD.findall(text):
        if word not in known:
            known[word] = _encode(numbers(word), rank, 256)
        out.extend(known[word])
    return np.array(out, dtype=np.int64)


def spelled(rules):
    """Bytes of every token, a list: the alphabet, then each merge.

    >>> spelled(np.array([(NUMBER[104], NUMBER[105])]))[256]
    b'hi'
    """
    found = [bytes([byte]) for byte in ALPHABET]
    for a, b in rules:
        found.append(found[a] + found[b])
    return found


def fast(texts, merges):
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
