"""Real speech that packages ship, followed by a silence, so that the length of the memory is a
parameter. Nothing is downloaded.

``vowels``: nine speakers, as cepstra, from the wheel of aeon (or sktime). ``prompts``: raw waves,
from Debian's packages asterisk-core-sounds-*.
"""

from __future__ import annotations

import importlib.util
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DamageError
from ..labels import dataset
from ..runtime.memory import require_memory
from ..runtime.validation import all_errors, integer
from .entry import Entry
from .splits import MEANINGS, PARTS

if TYPE_CHECKING:
    from xarray import Dataset

MAX_FRAMES, COEFFICIENTS, SPEAKERS = 29, 12, 9
SHIPS = ("aeon", "sktime")  # the same two files
VOWELS = (
    "the Japanese Vowels are read from files in the wheel of aeon, which is missing here: pip "
    "install 'dynmem[speech]', or, where that would "
    "move pinned versions, pip install --no-deps aeon (6 MB; only its files are read, nothing is "
    "imported or downloaded)"
)
EXPECTED = (
    f"expected {COEFFICIENTS} lists of at most {MAX_FRAMES} numbers, and a speaker from 1 to "
    f"{SPEAKERS}: install the package anew"
)
SOUNDS = "/usr/share/asterisk/sounds"
SAMPLING_RATE = 8000  # samples a second
VOWELS_LICENCE = "CC BY 4.0"
PROMPTS_LICENCE = "CC BY-SA 3.0 (Russian voice: CC BY 3.0)"
FLOOR_MEANING = "nats of knowing only how often each one speaks"
PROMPTS = (
    "recordings are read from Debian's packages asterisk-core-sounds-*-wav: apt-get install "
    "asterisk-core-sounds-en-wav "
    "asterisk-core-sounds-it-wav, or pass folder=, a folder with one folder of .wav files for "
    "each voice"
)


def vowels(*, silence: int = 0) -> Dataset:
    """Two Japanese vowels by nine men; the speaker is due ``silence`` frames after the utterance.

    640 utterances of 7 to 29 frames (6.4 ms apart), 12 cepstral coefficients of linear prediction
    each. Each utterance ends at frame 28, zeros precede it, and ``silence`` frames of zeros follow;
    the answer is due at the last frame, so that the evidence lies ``silence`` to silence + 28
    frames back. The publishers' own split: 270 utterances to train on, 30 a speaker, and 370 held
    out. The class is the speaker, so that speakers are shared, utterances are not.

    Parameters
    ----------
    silence : int
        Frames of silence, at least 0.

    Returns
    -------
    xarray.Dataset
        inputs : (utterance, step, coefficient), 1
            Cepstral coefficients, 0 in silence.
        speaker : (utterance), 1
            Speaker, from 0.
        frames : (utterance), frame
            Length of the utterance.

        Coordinates: split(utterance). Attributes: licence, speakers, size, chance (share of the
        most frequent speaker of the test), decision (step of the answer), dependency (``silence``).

    Raises
    ------
    ImportError
        With what to install, where the file is missing.
    ValueError
        For a silence that is no whole number of at least 0.

    References
    ----------
    Kudo, Toyama and Shimbo (1999), Pattern Recognition Letters 20, 1103.

    Examples
    --------
    >>> vowels(silence=-1)
    Traceback (most recent call last):
    ...
    ValueError: silence = -1: must be a whole number of at least 0
    """
    silence = integer("silence", silence, 0)
    require_memory(
        16 * 640 * COEFFICIENTS * (MAX_FRAMES + silence),
        f"640 utterances and {silence} frames of silence",
        "pass a shorter silence",
    )
    folder = _folder()
    parts = [read_ts(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST")]
    utterances = [series for part in parts for series, _ in part]
    speaker = np.array([label for part in parts for _, label in part]) - 1
    held_out = np.repeat([False, True], [len(part) for part in parts])
    inputs = np.zeros((len(utterances), MAX_FRAMES + silence, COEFFICIENTS))
    for row, series in zip(inputs, utterances, strict=True):
        row[MAX_FRAMES - len(series) : MAX_FRAMES] = series
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
        {"step": ("step", np.arange(MAX_FRAMES + silence), "frame of 6.4 ms", "frame")},
        title="Japanese vowels: the speaker, after a silence",
        parameters={"silence": silence},
        source="Kudo, Toyama and Shimbo (1999), Pattern Recognition Letters 20, 1103; "
        "UCI Machine Learning Repository, "
        "doi:10.24432/C5NS47, in the wheel of "
        f"{_release(folder.parents[2].name)}",
        licence=VOWELS_LICENCE,
        speakers=SPEAKERS,
        size="640 utterances of 7 to 29 frames, 1.1 MB",
        decision=MAX_FRAMES + silence - 1,
        dependency=silence,
        frame_in_milliseconds=6.4,
    )


def _folder() -> Path:
    """Folder of the Japanese vowels. Raises ImportError with what to install."""
    for package in SHIPS:
        found = importlib.util.find_spec(package)
        if found is not None:
            folder = (
                Path((found.submodule_search_locations or [""])[0])
                / "datasets"
                / "data"
                / "JapaneseVowels"
            )
            if folder.is_dir():
                return folder
    raise ImportError(VOWELS)


def _release(package: str) -> str:
    """A package and its version, where that is known."""
    from importlib import metadata

    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return package


def read_ts(path: str | PathLike) -> list[tuple[np.ndarray, int]]:
    """Series (frames, coefficients) and label of each line of a .ts file, a list. Raises
    DamageError where it is not the file it should be."""
    found = []
    for number, line in enumerate(Path(path).read_text("utf-8").splitlines(), 1):
        if line.startswith(("#", "@")) or not line.strip():
            continue
        try:
            *channels, name = line.split(":")
            series = np.array(
                [[float(value) for value in channel.split(",")] for channel in channels]
            ).T
            label = int(name)
        except ValueError as error:
            raise DamageError(f"{path}, line {number}: {error}; {EXPECTED}") from error
        if (
            series.ndim != 2
            or series.shape[1] != COEFFICIENTS
            or not 0 < len(series) <= MAX_FRAMES
            or not 0 < label <= SPEAKERS
        ):
            raise DamageError(
                f"{path}, line {number}: {series.shape} numbers of speaker {label}; {EXPECTED}"
            )
        if not np.isfinite(series).all():
            raise DamageError(f"{path}, line {number}: numbers that are not finite; {EXPECTED}")
        found.append((series, label))
    return found


def prompts(
    *, samples: int = 800, silence: int = 0, folder: str | PathLike = SOUNDS, every: int = 5
) -> Dataset:
    """Raw waves of telephone prompts; the voice is due ``silence`` samples after the sound.

    Of each recording, 8000 samples a second of 16 bits, the loudest stretch of ``samples``, between
    -1 and 1. A voice is a folder, such as en_US_f_Allison of asterisk-core-sounds-en-wav.

    Parameters
    ----------
    samples : int
        Samples of each recording.
    silence : int
        Samples of silence after it, at least 0.
    folder : path
        Folder with a folder of .wav files for each voice.
    every : int
        Each ``every``-th phrase is held out, in all voices, so that no phrase is in both parts.

    Returns
    -------
    xarray.Dataset
        inputs : (utterance, step, channel), 1
            Sound pressure, full scale 1, 0 in silence.
        voice : (utterance), 1
            Voice, from 0, with its names along ``speaker``.
        phrase : (utterance), 1
            Name of the file.

        Coordinates: split(utterance). Attributes as of ``vowels``.

    Raises
    ------
    ImportError
        With what to install, where there are fewer than two voices.
    ValueError
        With a line for each option that is out of its bounds.
    DamageError
        For a file that is no such recording.

    Examples
    --------
    >>> prompts(samples=0)
    Traceback (most recent call last):
    ...
    ValueError: samples = 0: must be a whole number of at least 1
    """
    with all_errors() as check:
        samples = check(integer, "samples", samples)
        silence = check(integer, "silence", silence, 0)
        every = check(integer, "every", every, 2)
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
    held_phrases = set(sorted(set(phrase))[every - 1 :: every])
    require_memory(
        16 * len(waves) * (samples + silence),
        f"{len(waves)} recordings of {samples + silence} samples",
        "pass a shorter silence",
    )
    inputs = np.zeros((len(waves), samples + silence, 1))
    inputs[:, :samples, 0] = waves
    held_out = np.array([name in held_phrases for name in phrase])
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
        "step": ("step", np.arange(samples + silence) / SAMPLING_RATE, "s", "time"),
        "speaker": ("speaker", [place.name for place in voices], "1", "name of the voice"),
    }
    return _dataset(
        variables,
        held_out,
        np.array(voice),
        coords,
        title="telephone prompts: the voice, after a silence",
        source="Debian, asterisk-core-sounds 1.6.1",
        parameters={"samples": samples, "silence": silence, "every": every},
        licence=PROMPTS_LICENCE,
        speakers=len(voices),
        size=f"{len(waves)} recordings, {SAMPLING_RATE} samples a second",
        decision=samples + silence - 1,
        dependency=silence,
    )


def read_wave(path: str | PathLike) -> np.ndarray:
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
    if form != (1, 2, SAMPLING_RATE):
        raise DamageError(
            f"{path} has {form[0]} channels of {8 * form[1]} bits at {form[2]} "
            f"samples a second: expected one of 16 bits at {SAMPLING_RATE}"
        )
    return np.frombuffer(data, "<i2") / 32768.0


def loudest(sound: np.ndarray, samples: int) -> np.ndarray | None:
    """The stretch of ``samples`` with the most power; None of a shorter or silent recording.

    >>> loudest(np.array([0.0, 1.0, 2.0, 0.0]), 2).tolist(), loudest(np.zeros(9), 3)
    ([1.0, 2.0], None)
    """
    if len(sound) < samples or not np.any(sound):
        return None
    power = np.cumsum(np.concatenate(([0.0], np.square(sound))))
    at = int(np.argmax(power[samples:] - power[:-samples]))
    return sound[at : at + samples]


def _dataset(
    variables: dict[str, tuple],
    held_out: np.ndarray,
    classes: np.ndarray,
    coords: dict[str, tuple],
    **attributes: Any,
) -> Dataset:
    """Dataset divided into the parts train and test, with the floor of one answer for all."""
    shares = np.bincount(classes[~held_out]) / np.sum(~held_out)
    facts: dict[str, Any] = {
        "floor": float(-np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)))),
        "floor_meaning": FLOOR_MEANING,
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


DATASETS = {
    "japanese_vowels": Entry(
        vowels, "speaker", VOWELS_LICENCE, "none: human speech", FLOOR_MEANING
    ),
    "telephone_prompts": Entry(
        prompts, "speaker", PROMPTS_LICENCE, "none: human speech", FLOOR_MEANING
    ),
}
