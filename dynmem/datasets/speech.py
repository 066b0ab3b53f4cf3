"""Real speech that packages ship, followed by a chosen silence, so that the length of the memory is
a parameter. Nothing is downloaded.

``vowels``: nine speakers, as cepstra, from the wheel of aeon (or sktime). ``prompts``: raw waves,
from Debian's packages asterisk-core-sounds-*.
"""

import importlib.util
from pathlib import Path

import numpy as np

from ..errors import DamageError
from ..labels import dataset
from ..runtime.memory import require_memory
from .splits import MEANINGS, PARTS

LONGEST, COEFFICIENTS, SPEAKERS = 29, 12, 9
SHIPS = ("aeon", "sktime")  # the same two files
VOWELS = (
    "the Japanese Vowels are read from files in the wheel of aeon, which is missing here: pip "
    "install 'dynmem[speech]', or, where that would "
    "move pinned versions, pip install --no-deps aeon (6 MB; only its files are read, nothing is "
    "imported or downloaded)"
)
EXPECTED = (
    f"expected {COEFFICIENTS} lists of at most {LONGEST} numbers, and a speaker from 1 to "
    f"{SPEAKERS}: install the package anew"
)
SOUNDS = "/usr/share/asterisk/sounds"
RATE = 8000  # samples a second
PROMPTS = (
    "recordings are read from Debian's packages asterisk-core-sounds-*-wav: apt-get install "
    "asterisk-core-sounds-en-wav "
    "asterisk-core-sounds-it-wav, or pass folder=, a folder with one folder of .wav files for "
    "each voice"
)


def vowels(*, silence=0):
    """Nine men say two Japanese vowels, /ae/; who spoke is asked ``silence`` frames after the
    utterance has ended.

    640 utterances of 7 to 29 frames (6.4 ms apart), 12 cepstral coefficients of linear prediction
    each (Kudo, Toyama and Shimbo 1999). Each utterance ends at frame 28, zeros stand before it, and
    ``silence`` frames of zeros after; the answer is due at the last frame, so that what tells the
    speakers lies ``silence`` to silence + 28 frames back. The publishers' own split: 270 utterances
    to train on, 30 a speaker, and 370 held out. The class is the speaker, so that speakers are
    shared, utterances are not.

    Returns a Dataset: inputs(utterance, step, coefficient), speaker(utterance), frames(utterance),
    split(utterance); attributes licence, speakers, size, chance (the share of the most frequent
    speaker among those held out), decision (the step of the answer), dependency (``silence``).
    Raises ImportError, with what to install, where the file is missing, ValueError where silence is
    no whole number of at least 0.

    >>> vowels(silence=-1)
    Traceback (most recent call last):
    ...
    ValueError: silence = -1: pass a whole number of frames, at least 0
    """
    silence = _whole("silence", silence, "frames", 0)
    require_memory(
        16 * 640 * COEFFICIENTS * (LONGEST + silence),
        f"640 utterances and {silence} frames of silence",
        "pass a shorter silence",
    )
    folder = _folder()
    parts = [read_ts(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST")]
    utterances = [series for part in parts for series, _ in part]
    speaker = np.array([label for part in parts for _, label in part]) - 1
    held_out = np.repeat([False, True], [len(part) for part in parts])
    inputs = np.zeros((len(utterances), LONGEST + silence, COEFFICIENTS))
    for row, series in zip(inputs, utterances, strict=True):
        row[LONGEST - len(series) : LONGEST] = series
    variables = {
        "inputs": (
            ("utterance", "step", "coefficient"),
            inputs,
            "1",
            "cepstral coefficient of linear prediction, 0 in silence",
        ),
        "speaker": (("utterance",), speaker, "1", "speaker, from 0"),
        "frames": (
            ("utterance",),
            [len(series) for series in utterances],
            "frame",
            "length of the utterance",
        ),
    }
    return _dataset(
        variables,
        held_out,
        speaker,
        {"step": ("step", np.arange(LONGEST + silence), "frame of 6.4 ms", "frame")},
        title="Japanese vowels: who spoke, after a silence",
        parameters={"silence": silence},
        source="Kudo, Toyama and Shimbo (1999), Pattern Recognition Letters 20, 1103; "
        "UCI Machine Learning Repository, "
        "doi:10.24432/C5NS47, in the wheel of "
        f"{_release(folder.parents[2].name)}",
        licence="CC BY 4.0",
        speakers=SPEAKERS,
        size="640 utterances of 7 to 29 frames, 1.1 MB",
        decision=LONGEST + silence - 1,
        dependency=silence,
        frame_in_milliseconds=6.4,
    )


def _folder():
    for package in SHIPS:
        found = importlib.util.find_spec(package)
        if found is not None:
            folder = (
                Path(found.submodule_search_locations[0]) / "datasets" / "data" / "JapaneseVowels"
            )
            if folder.is_dir():
                return folder
    raise ImportError(VOWELS)


def _release(package):
    """A package and its version, where that is known."""
    from importlib import metadata

    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return package


def read_ts(path):
    """Series (frames, coefficients) and label of each line of a .ts file, a list. Raises
    DamageError where it is not the file it should be."""
    found = []
    for number, line in enumerate(Path(path).read_text("utf-8").splitlines(), 1):
        if line.startswith(("#", "@")) or not line.strip():
            continue
        try:
            *channels, label = line.split(":")
            series = np.array(
                [[float(value) for value in channel.split(",")] for channel in channels]
            ).T
            label = int(label)
        except ValueError as error:
            raise DamageError(f"{path}, line {number}: {error}; {EXPECTED}") from error
        if (
            series.ndim != 2
            or series.shape[1] != COEFFICIENTS
            or not 0 < len(series) <= LONGEST
            or not 0 < label <= SPEAKERS
        ):
            raise DamageError(
                f"{path}, line {number}: {series.shape} numbers of speaker {label}; {EXPECTED}"
            )
        if not np.isfinite(series).all():
            raise DamageError(f"{path}, line {number}: numbers that are not finite; {EXPECTED}")
        found.append((series, label))
    return found


def prompts(*, samples=800, silence=0, folder=SOUNDS, every=5):
    """Raw waves of telephone prompts; which voice speaks is asked ``silence`` samples after the
    sound has ended.

    Of each recording, 8000 samples a second of 16 bits, the loudest stretch of ``samples``, between
    -1 and 1. A voice is a folder, such as en_US_f_Allison of asterisk-core-sounds-en-wav. Every
    ``every``-th phrase is held out, in all voices: no phrase is on both sides.

    Returns a Dataset: inputs(utterance, step, channel), voice(utterance) with its names along
    ``speaker``, phrase(utterance), split(utterance); attributes as of ``vowels``. Raises
    ImportError, with what to install, where there are fewer than two voices.

    >>> prompts(samples=0)
    Traceback (most recent call last):
    ...
    ValueError: samples = 0: pass a whole number of samples, at least 1
    """
    samples, silence, every = (
        _whole(name, value, "samples", least)
        for name, value, least in (
            ("samples", samples, 1),
            ("silence", silence, 0),
            ("every", every, 2),
        )
    )
    voices = sorted(
        place
        for place in Path(folder).glob("*")
        if place.is_dir() and not place.is_symlink() and any(place.rglob("*.wav"))
    )
    if len(voices) < 2:
        raise ImportError(PROMPTS)
    found = []
    for number, place in enumerate(voices):
        for path in sorted(place.rglob("*.wav")):
            stretch = loudest(read_wave(path), samples)
            if stretch is not None:
                found.append((number, str(path.relative_to(place).with_suffix("")), stretch))
    voice, phrase, waves = (list(column) for column in zip(*found, strict=True))
    held = set(sorted(set(phrase))[every - 1 :: every])
    require_memory(
        16 * len(waves) * (samples + silence),
        f"{len(waves)} recordings of {samples + silence} samples",
        "pass a shorter silence",
    )
    inputs = np.zeros((len(waves), samples + silence, 1))
    inputs[:, :samples, 0] = waves
    held_out = np.array([name in held for name in phrase])
    variables = {
        "inputs": (
            ("utterance", "step", "channel"),
            inputs,
            "1",
            "sound pressure, full scale 1, 0 in silence",
        ),
        "voice": (("utterance",), voice, "1", "voice, from 0"),
        "phrase": (("utterance",), phrase, "1", "what is said, by the name of the file"),
    }
    coords = {
        "step": ("step", np.arange(samples + silence) / RATE, "s", "time"),
        "speaker": ("speaker", [place.name for place in voices], "1", "name of the voice"),
    }
    return _dataset(
        variables,
        held_out,
        np.array(voice),
        coords,
        title="telephone prompts: which voice, after a silence",
        source="Debian, asterisk-core-sounds 1.6.1",
        parameters={"samples": samples, "silence": silence, "every": every},
        licence="CC BY-SA 3.0 (Russian voice: CC BY 3.0)",
        speakers=len(voices),
        size=f"{len(waves)} recordings, {RATE} samples a second",
        decision=samples + silence - 1,
        dependency=silence,
    )


def read_wave(path):
    """Samples of a 16-bit mono recording, between -1 and 1, an array (samples,). Raises DamageError
    for any other file."""
    import wave

    try:
        with wave.open(str(path), "rb") as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise DamageError(
            f"{path} is no recording that can be read ({error}): install the package anew"
        ) from error
    if form != (1, 2, RATE):
        raise DamageError(
            f"{path} has {form[0]} channels of {8 * form[1]} bits at {form[2]} "
            f"samples a second: expected one of 16 bits at {RATE}"
        )
    return np.frombuffer(data, "<i2") / 32768.0


def loudest(sound, samples):
    """The stretch of so many samples with the most power; None where the recording is shorter, or
    silent.

    >>> loudest(np.array([0.0, 1.0, 2.0, 0.0]), 2).tolist(), loudest(np.zeros(9), 3)
    ([1.0, 2.0], None)
    """
    if len(sound) < samples or not np.any(sound):
        return None
    power = np.cumsum(np.concatenate(([0.0], np.square(sound))))
    at = int(np.argmax(power[samples:] - power[:-samples]))
    return sound[at : at + samples]


def _whole(name, value, unit, least):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} = {value!r:.60}: pass a whole number of {unit}, at least {least}")
    return int(value)


def _dataset(variables, held_out, classes, coords, **attributes):
    """Dataset divided into the parts train and test, with what one answer for all would reach."""
    shares = np.bincount(classes[~held_out]) / np.sum(~held_out)
    facts = {
        "floor": float(-np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)))),
        "floor_meaning": "nats of knowing only how often each one speaks",
        "chance": float(np.bincount(classes[held_out]).max() / held_out.sum()),
        "chance_meaning": "always the most frequent one of the test part",
    }
    split = np.where(held_out, PARTS["test"], PARTS["train"]).astype(np.int8)
    made = dataset(
        variables,
        coords | {"split": ("utterance", split, "1", "part that the utterance belongs to")},
        goal="speaker",
        **facts,
        **attributes,
    )
    made.split.attrs |= MEANINGS
    return made


DATASETS = {"japanese_vowels": vowels, "telephone_prompts": prompts}
