"""Text in tokens: whole documents held out, a task of it, a network that reads."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.datasets import bpe, text, text_sources, token_distances
from dynmem.errors import ShapeError, UnknownNameError
from dynmem.training.corpus_tasks import next_token, text_task


def test_text_comes_back_from_its_tokens():
    data = dm.datasets.load("text", vocabulary=400)
    ends = [*data.start.values[1:], data.sizes["position"]]
    for name, start, end in list(zip(data.document.values, data.start.values, ends, strict=True))[
        ::7
    ]:
        assert text.decode(data, data.token[start:end]) == text_sources.documents()[str(name)]
    accents = "naïve façade — ✓"
    rules = bpe.learn(bpe.count_words([accents * 3]), 20)
    assert b"".join(bpe.spelled(rules)[t] for t in bpe.tokens(accents, rules)).decode() == accents


def test_whole_topics_are_held_out():
    data = text.text("python", vocabulary=300)
    trained, held = text_sources.split("python")
    assert not set(trained) & set(held) and set(data.document.values[data.held_out.values]) == set(
        held
    )
    assert (
        dm.datasets.part(data, "test").sizes["position"]
        == data.sizes["position"] - dm.datasets.part(data, "train").sizes["position"]
    )
    lines = [
        {
            line.strip()
            for name in part
            for line in text_sources.documents()[name].splitlines()
            if len(line.strip()) >= 40
        }
        for part in (trained, held)
    ]
    assert len(lines[0] & lines[1]) < 0.02 * len(lines[1])
    assert (
        "PSF" in data.licence
        and data.size_in_characters == sum(map(len, text_sources.documents().values())) > 200_000
    )
    ratio = data.characters_per_token.sel(part="held_out")
    assert float(ratio[0]) == pytest.approx(1.0, abs=0.01) and 1.1 < float(ratio[-1]) < 2.0


def test_the_next_token_is_the_next():
    data = text.text("python", vocabulary=300)
    task = next_token(data, steps=20)
    np.testing.assert_array_equal(task.inputs_array[:, 1:], task.targets[:, :-1])
    shares = np.bincount(task.targets.ravel()) / task.targets.size
    # the token at hand says more than the shares of the tokens alone
    assert 0.0 < task.floor < -sum(p * np.log(p) for p in shares if p > 0)
    used = np.unique(data.token)
    known = data.token.values[data.split.values == 0]
    _, watched, test = task.split(0)
    for part, text_of in (
        (task, known),
        (watched, known),
        (test, data.token.values[data.split.values == 2]),
    ):
        letters = "".join(map(chr, text_of))
        # the test from documents held out, the others not
        assert all("".join(map(chr, used[row])) in letters for row in part.targets[::97])
    rows = [{row.tobytes() for row in part.targets} for part in (task, watched, test)]
    assert len(watched.targets) == (len(task.targets) + len(watched.targets)) // 8 and len(
        rows[0] & rows[1]
    ) < 0.02 * len(rows[1])
    assert task.bits_per_character(np.log(2.0)) == pytest.approx(
        1.0 / float(data.characters_per_token[-1, 1])
    )


def test_a_network_reads():
    task = text_task("python", vocabulary=256, steps=16)
    model = dm.models.get(
        "lstm", units=16, inputs=task.inputs, outputs=task.outputs, init="uniform", rng=0
    )
    _, history = dm.fit(
        model,
        task,
        steps=150,
        batch=8,
        rng=0,
        learning_rate=2e-2,
        validation_size=64,
        evaluate_every=150,
        progress=False,
    )
    shares = np.bincount(task.targets.ravel()) / task.targets.size
    alone = -sum(p * np.log(p) for p in shares if p > 0)  # 150 steps do not reach the floor
    loss, error = float(history.validation_loss[-1]), float(history.validation_loss_error[-1])
    assert loss + 2.0 * error < 0.95 * alone


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: text.text("latin"), UnknownNameError, "choose one of python, shakespeare"),
        (
            lambda: text.text("python", vocabulary=255),
            ValueError,
            "vocabulary = .*at least 256",
        ),
        (
            lambda: text.text("python", vocabulary=2.5),
            ValueError,
            "vocabulary = .*at least 256",
        ),
        (
            lambda: text.text("python", vocabulary=300, engine="magic"),
            UnknownNameError,
            "plain, tokenizers",
        ),
        (lambda: text_sources.split("python", held_out=["no topic"]), UnknownNameError, "no topic"),
        (lambda: text_sources.split("python", held_out=1), ValueError, "whole number from 2"),
        (lambda: text_sources.split("python", held_out=0), ValueError, "whole number from 2"),
        (lambda: text_sources.split("python", held_out=[]), ValueError, "whole number from 2"),
        (lambda: text_task("python", vocabulary=256, steps=10**7), ShapeError, "fewer steps"),
        (
            lambda: dm.training.next_token(3),
            ShapeError,
            "a Dataset that holds token, such as .*, got int",
        ),
        (
            lambda: dm.training.speaker_task(dm.datasets.load("henon", samples=100)),
            ShapeError,
            "a Dataset that holds inputs",
        ),
        (lambda: dm.training.valid_time(None, 3), ShapeError, "load an orbit"),
        (
            lambda: token_distances.token_lengths("python", vocabularies=[10**6]),
            ValueError,
            "pass at most that many",
        ),
        (lambda: dm.datasets.load("text", size=3), TypeError, "it takes source"),
        (
            lambda: dm.analysis.token_paths({256: np.ones(50, int)}),
            ShapeError,
            "longer texts or a smaller distance",
        ),
        (
            lambda: dm.analysis.token_paths({256: np.ones(500)}),
            ShapeError,
            "whole numbers of characters",
        ),
        (
            lambda: dm.analysis.token_paths({256: np.ones(500, int)}, window=0),
            ValueError,
            "at least 1",
        ),
        (lambda: dm.theory.token_paths([0.0]), ValueError, "above 0"),
        (lambda: dm.theory.token_paths([2.0], vocabulary=[1, 2]), ValueError, "2 names"),
        (lambda: dm.theory.token_paths([2.0], spectral_radius=-1), ValueError, "at least 0"),
    ],
)
def test_bad_input_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_point_of_the_study():
    from dynmem.studies.tokens import measure

    found = measure(
        300, 0, "python", 100, 0.9, 1024, largest=320, units=4, steps=8, batch=4, operations=2e5
    )
    assert (
        found.log_gradient > found.log_gradient_predicted
        and found.path_length < 100
        and 0 < found.bits < 2 * found.present_token
    )
    assert (
        abs(found.updates * found.operations_per_step * 32 - 2e5) < found.operations_per_step * 32
    )
    assert found.asked == 0.9 and found.learned == int(
        found.bits + 2 * found.bits_error < 0.9 * found.present_token
    )
    assert float(found.curve[0]) < float(found.curve[-1]) and found.word_distance > 10
