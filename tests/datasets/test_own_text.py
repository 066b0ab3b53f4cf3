"""Own text files and own tokens as Datasets: the same tokens as the text that comes with dynmem,
parts that share no document, and what is refused with a way out."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.datasets import from_text, from_tokens
from dynmem.datasets.text import decode, text
from dynmem.datasets.text_sources import documents
from dynmem.errors import DamageError, ShapeError, UnknownNameError

LINES = "the cat sat on the mat, and the dog sat on the cat\nso the cat ran to the sea\n" * 60


def test_files_give_the_tokens_of_the_same_text_by_name(tmp_path):
    whole = text("python", vocabulary=258)
    found = documents("python")
    for name, words in found.items():
        (tmp_path / name).write_text(words, encoding="utf-8")
    held = whole.document.values[whole.held_out.values.astype(bool)].tolist()
    data = from_text(sorted(tmp_path.glob("*")), vocabulary=258, held_out=held)
    for name in whole.data_vars:
        np.testing.assert_array_equal(data[name], whole[name])
    np.testing.assert_array_equal(data.split, whole.split)
    assert data.attrs["floor"] == whole.attrs["floor"] and data.attrs["goal"] == "next_token"


def test_one_file_is_cut_at_the_end_of_a_line(tmp_path):
    path = tmp_path / "cats.txt"
    path.write_text(LINES)
    data = from_text(path, vocabulary=280)
    first, last = np.split(data.token.values, data.start.values[1:])
    assert decode(data, first) + decode(data, last) == LINES
    assert decode(data, first).endswith("\n") and len(decode(data, last)) < 0.15 * len(LINES) + 1
    assert set(data.split.values[: len(first)]) == {0} and set(data.split.values[len(first) :]) == {
        2
    }
    shares = np.bincount(first) / len(first)
    shares = shares[shares > 0]
    assert data.attrs["floor"] == pytest.approx(-(shares * np.log(shares)).sum())
    half = from_text(path, vocabulary=280, held_out=0.5)
    assert half.document.values.tolist() == ["cats.txt, first 50 %", "cats.txt, last 50 %"]


def test_own_text_through_byte_pairs_in_three_lines(tmp_path):
    (tmp_path / "cats.txt").write_text(LINES)

    data = dm.datasets.from_text(tmp_path / "cats.txt", vocabulary=270)
    _, history = dm.fit("gru", data, units=16, steps=50, batch=16, learning_rate=2e-2)
    assert history.learned == 1 and history.test_loss < 0.5 * history.floor

    path = dm.datasets.save(data, tmp_path / "cats.nc")
    with dm.datasets.open(path) as again:
        assert again.identical(data)
    assert "cats.txt" in dm.datasets.summary(data)


def test_several_files_are_held_out_whole(tmp_path):
    paths = []
    for name in "abcdef":
        paths.append(tmp_path / f"{name}.txt")
        paths[-1].write_text(LINES.replace("cat", name))
    data = from_text(paths, vocabulary=256)
    assert data.document.values[data.held_out.values.astype(bool)].tolist() == ["e.txt"]
    named = from_text(paths, vocabulary=256, held_out=["a.txt", "c.txt"])
    assert named.held_out.values.tolist() == [False] * 4 + [True] * 2
    two = from_text(paths[:2], vocabulary=256)
    assert two.held_out.values.tolist() == [False, True]
    with pytest.raises(UnknownNameError, match="no document is called 'z.txt'"):
        from_text(paths, held_out="z.txt")


def test_a_file_that_is_no_text_is_refused_with_what_to_do(tmp_path):
    def file(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    latin = file("latin.txt", ("caf\xe9 " * 300).encode("latin-1"))
    for path, options, error, match in (
        (tmp_path / "none.txt", {}, FileNotFoundError, "there is no file"),
        (tmp_path, {}, ValueError, "no plain file"),
        (file("empty.txt", b" \n"), {}, DamageError, "is empty"),
        (latin, {}, DamageError, r"byte 3\): pass its encoding=, such as 'latin-1'"),
        (latin, {"encoding": "klingon"}, ValueError, "Python knows none"),
        (
            file("short.txt", b"one two"),
            {},
            ValueError,
            "has 7 characters: pass a text of at least",
        ),
        (latin, {"vocabulary": 100}, ValueError, "vocabulary = 100"),
        (latin, {"encoding": "latin-1", "held_out": 1.5}, ValueError, "held_out = 1.5"),
        (latin, {"engine": "fast"}, UnknownNameError, "engine"),
        ([], {}, ValueError, "files is empty"),
        ([latin, tmp_path / ".." / tmp_path.name / "latin.txt"], {}, ValueError, "two files"),
    ):
        with pytest.raises(error, match=match):
            from_text(path, **options)
    data = from_text(latin, encoding="latin-1", vocabulary=256)
    assert decode(data, data.token)[:5] == "café "


def test_own_tokens():
    rng = np.random.default_rng(0)
    stream = np.arange(2000) % 7
    data = from_tokens(stream, pieces=list("CDEFGAB"))
    assert data.start.values.tolist() == [0, 1700] and "".join(data.piece.values) == "CDEFGAB"
    assert data.attrs["floor"] == pytest.approx(np.log(7), rel=1e-5)
    songs = [rng.integers(0, 9, n) for n in rng.integers(80, 120, 10)]
    data = from_tokens(songs)
    assert data.document.values[data.held_out.values.astype(bool)].tolist() == ["4", "9"]
    np.testing.assert_array_equal(data.token[: len(songs[0])], songs[0])
    chosen = from_tokens(songs, held_out=[0])
    np.testing.assert_array_equal(chosen.token[int(chosen.start[-1]) :], songs[0])
    task = dm.training.task_of(data)
    assert task.outputs == 9 and task.loss == "cross_entropy"
    for given, options, error, match in (
        (stream / 2, {}, TypeError, "whole numbers"),
        ("do re mi", {}, TypeError, "text is read by from_text"),
        (stream - 1, {}, ValueError, "count from 0"),
        ([stream, stream[:1]], {}, ShapeError, "document 1 has 1 tokens"),
        (stream, {"pieces": ["C"]}, ValueError, "1 pieces, and token 6 occurs"),
        (songs, {"held_out": [77]}, ValueError, "held_out = 77"),
        (stream, {"held_out": 1.0}, ValueError, "held_out = 1.0"),
    ):
        with pytest.raises(error, match=match):
            from_tokens(given, **options)
