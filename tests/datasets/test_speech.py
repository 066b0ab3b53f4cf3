"""Speech with a silence after it: files as they are shipped, parts that share no utterance, and
answers that need the memory."""

import importlib.util
import wave
from types import SimpleNamespace

import numpy as np
import pytest

import dynmem as dm
from dynmem.datasets import speech
from dynmem.errors import DamageError
from dynmem.training.corpus_tasks import speaker_task, speech_task

SHIPPED = pytest.mark.skipif(
    all(importlib.util.find_spec(name) is None for name in speech.SHIPS),
    reason="the package aeon is not installed",
)


def pretend(monkeypatch, found):
    """Let the packages that ship speech be found as ``found(name)`` says, all others as they
    are."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, package=None: found(name) if name in speech.SHIPS else find(name, package),
    )


def write_ts(path, utterances):
    """A file in the form of the wheel's: dims separated by colons, then the speaker."""
    lines = [
        ":".join([*(",".join(f"{v:.6f}" for v in channel) for channel in series.T), str(label)])
        for series, label in utterances
    ]
    path.write_text("\n".join(["#comment", "@problemName JapaneseVowels", "@data", *lines]) + "\n")


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A stand-in for the installed package: four utterances to train on and two held out."""
    folder = tmp_path / "aeon" / "datasets" / "data" / "JapaneseVowels"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    made = [
        (rng.standard_normal((frames, 12)).round(3), label)
        for frames, label in ((7, 1), (29, 9), (12, 2), (9, 1), (8, 1), (20, 9))
    ]
    write_ts(folder / "JapaneseVowels_TRAIN.ts", made[:4])
    write_ts(folder / "JapaneseVowels_TEST.ts", made[4:])
    pretend(
        monkeypatch, lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path / name)])
    )
    return folder, made


def test_an_utterance_ends_where_the_silence_begins(wheel):
    data = dm.datasets.load("japanese_vowels", silence=4)
    assert data.inputs.shape == (6, 33, 12) and data.dependency == 4 and data.decision == 32
    for row, (series, label), frames in zip(
        data.inputs.values, wheel[1], data.frames.values, strict=True
    ):
        np.testing.assert_array_equal(row[29 - len(series) : 29], series)
        assert not row[: 29 - len(series)].any() and not row[29:].any() and frames == len(series)
        assert label in data.speaker.values + 1
    assert (
        dm.datasets.part(data, "train").sizes["utterance"] == 4
        and dm.datasets.part(data, "test").sizes["utterance"] == 2
    )


@pytest.mark.parametrize(
    "line, words",
    [
        ("1,2:3", "numbers of speaker"),
        ("a,b:1", "could not convert"),
        (":".join(["1,2"] * 12 + ["0"]), "of speaker 0"),
        (":".join(["1"] * 11 + ["1,2", "3"]), "inhomogeneous|expected 12"),
        (":".join(["nan"] * 12 + ["3"]), "not finite"),
    ],
)
def test_another_file_is_refused(wheel, line, words):
    path = wheel[0] / "JapaneseVowels_TEST.ts"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DamageError, match=words):
        speech.vowels()


def test_a_missing_package_is_named(monkeypatch):
    pretend(monkeypatch, lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'dynmem\[speech\]'"):
        dm.datasets.load("japanese_vowels")


@SHIPPED
def test_the_set_is_the_published_one():
    """Kudo, Toyama and Shimbo (1999): 9 speakers, 30 utterances each to train on, 31 35 88 44 29 24
    40 50 29 to test on."""
    data = speech.vowels()
    speakers = [
        np.bincount(dm.datasets.part(data, name).speaker, minlength=9).tolist()
        for name in ("train", "test")
    ]
    assert speakers == [[30] * 9, [31, 35, 88, 44, 29, 24, 40, 50, 29]]
    assert int(data.frames.min()) == 7 and int(data.frames.max()) == 29
    # no utterance twice, so none on both sides
    assert len({row.tobytes() for row in data.inputs.values}) == 640
    assert data.chance == pytest.approx(88 / 370)


@SHIPPED
@pytest.mark.slow  # two networks are trained, half a minute
def test_memory_is_what_the_silence_asks():
    """With silence a memory that is there at the start learns, a memoryless read-out of the last
    frames does not."""
    found = {}
    for kind, silence in (("s4d", 30), ("tcn", 30)):
        task = speech_task(silence)
        model = dm.models.get(kind, units=16, inputs=task.inputs, outputs=task.outputs, rng=0)
        _, history = dm.fit(
            model,
            task,
            steps=200,
            batch=32,
            rng=0,
            learning_rate=5e-3,
            evaluate_every=100,
            progress=False,
        )
        found[kind] = float(history.test_accuracy)
    assert found["s4d"] > 0.8 and found["tcn"] < 0.3


def test_the_answer_is_scored_at_the_last_step(wheel):
    task = speech_task(5)
    assert (
        task.weights.tolist() == [0.0] * 33 + [1.0] and task.dependency == 5 and task.outputs == 9
    )
    assert 0.0 < task.floor < np.log(3.0) and 1 / 3 <= task.chance < 1.0
    right = np.zeros((2, 34, 9))
    training, watched, test = task.split(0)
    right[np.arange(2), -1, test.targets[:, -1]] = 1.0
    assert task.accuracy(right, test.targets) == 1.0 and training is task and len(test.targets) == 2
    # the second utterance of the first speaker
    assert len(task.targets) == 3 and watched.targets[:, -1].tolist() == [0]
    memoryless = task.inputs_array[:, -1]
    assert not memoryless.any()  # at the moment of the answer nothing is heard


def write_wave(path, sound, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(sound, "<i2").tobytes())


def test_waves_of_two_voices(tmp_path):
    rng = np.random.default_rng(0)
    for voice in ("en_US", "it_IT"):
        for name in range(10):
            write_wave(
                tmp_path / voice / "digits" / f"{name}.wav",
                np.concatenate([np.zeros(100), rng.integers(-9000, 9000, 60), np.zeros(50)]),
            )
    write_wave(tmp_path / "it_IT" / "short.wav", [1, 2])
    data = dm.datasets.load("telephone_prompts", samples=60, silence=7, folder=str(tmp_path))
    assert (
        data.inputs.shape == (20, 67, 1)
        and data.speaker.values.tolist() == ["en_US", "it_IT"]
        and not data.inputs[:, 60:].any()
    )
    # the loudest stretch, not the silence around it
    assert (np.square(data.inputs).mean("step") > 0.005).all()
    test, train = (set(dm.datasets.part(data, name).phrase.values) for name in ("test", "train"))
    assert len(test) == 2 and not test & train
    task = speaker_task(data)
    assert task.outputs == 2 and task.steps == 67 and task.floor == pytest.approx(np.log(2.0))


def test_other_recordings_are_refused(tmp_path):
    for voice in ("a", "b"):
        write_wave(tmp_path / voice / "1.wav", np.ones(900), rate=16000)
    with pytest.raises(DamageError, match="expected one of 16 bits at 8000"):
        speech.prompts(folder=tmp_path)
    (tmp_path / "a" / "1.wav").write_bytes(b"not sound")
    with pytest.raises(DamageError, match="no recording"):
        speech.prompts(folder=tmp_path)
    with pytest.raises(ImportError, match="apt-get install asterisk-core-sounds"):
        speech.prompts(folder=tmp_path / "a")


@pytest.mark.parametrize("value", [-1, 2.5, "3", None, True])
def test_a_silence_is_a_number_of_frames(value):
    with pytest.raises(ValueError, match="silence = .*whole number of at least 0"):
        speech.vowels(silence=value)
    with pytest.raises(ValueError, match="samples = .*whole number of at least 1"):
        speech.prompts(samples=value)


def test_the_study_without_its_package(monkeypatch, tmp_path):
    from dynmem.errors import MissingExtraError
    from dynmem.studies.speech import STUDY

    pretend(monkeypatch, lambda name: None)
    for quick in (False, True):
        with pytest.raises(MissingExtraError, match="speech needs aeon.*install --no-deps aeon"):
            STUDY.run(output=tmp_path / "results", quick=quick)
    assert not (tmp_path / "results").exists()


def test_a_point_of_the_study(wheel):
    from dynmem.studies.speech import MODELS, build, measure

    found = measure("lstm", silence=6, seed=0, units=4, steps=2, batch=3)
    # of two utterances, after two steps
    assert found.asked == 0.5 and found.learned == 0 and found.loss + 2 * found.loss_error > 0.5
    assert (
        0 <= found.accuracy <= 1
        and found.chance == 0.5
        and found.log_gradient < 0.0
        and np.isfinite(found.loss)
    )
    task = speech_task(6)
    for model in MODELS:
        made = build(model, task, 4, 0)
        assert (made.inputs, made.outputs) == (12, 9)
