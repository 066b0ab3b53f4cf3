"""Vocabulary and memory: characters per token, gradient, window, and bits at equal compute."""

import json

import numpy as np

from dynmem.plotting import CYCLE, house_style, panels

TITLES = {
    "python": "the documentation of Python, every fifth topic held out",
    "shakespeare": "Shakespeare, Hamlet held out",
}


def draw(results):
    """Figure of the study ``tokens``."""
    settings = _settings(results)
    characters, rho, window = (
        settings.get(name, usual)
        for name, usual in (("characters", 100), ("spectral_radius", 0.9), ("window", 1024))
    )
    note = (
        f"Text: {TITLES.get(settings.get('source'), 'see the store')}. Characters per token "
        "come from one training of byte-pair encoding, whose "
        "first merges are every smaller vocabulary. Dots: measured over every pair of "
        "characters of the held-out text; lines: theory, from "
        "characters per token alone. The measured gradient lies above, since tokens differ in "
        "length and the mean of rho^k exceeds "
        "rho^(mean k). Right: an LSTM that predicts the next token, all with the same number "
        "of operations (dots: seeds; bars: two standard "
        "errors of the held-out loss). Vocabulary 256 predicts characters. The grey line "
        "knows only how frequent each token is; learned is what "
        "lies, with its bar, below nine tenths of it (dotted), as "
        f"{int(results.learned.sum())} of {results.learned.size} networks do."
    )
    with house_style():
        figure, (ratio, gradient, covered, bits) = panels(
            4, title="What a vocabulary does to memory", note=note, width=3.5
        )
        one = results.isel(seed=0)
        sizes, curve = results.size.values, one.curve.isel(vocabulary=0).values
        ratio.plot(sizes, curve, color=CYCLE[0])
        ratio.plot(one.vocabulary, one.characters_per_token, "o", color=CYCLE[1])
        ratio.set(
            xscale="log",
            xlabel="entries of the vocabulary",
            ylabel="characters per token",
            title="length of a token",
        )
        gradient.plot(
            sizes,
            rho ** (characters / curve),
            color=CYCLE[0],
            label=f"theory, {rho:g}^({characters}/r)",
        )
        gradient.plot(one.vocabulary, one.gradient, "o", color=CYCLE[1], label="measured")
        gradient.set(
            xscale="log",
            yscale="log",
            xlabel="entries of the vocabulary",
            ylabel=f"gradient after {characters} characters",
            title="gradient",
        )
        gradient.legend(loc="lower right")
        covered.plot(sizes, window * curve, color=CYCLE[0], label=f"theory, {window} r")
        covered.plot(one.vocabulary, one.window_covered, "o", color=CYCLE[1], label="measured")
        covered.set(
            xscale="log",
            xlabel="entries of the vocabulary",
            ylabel=f"characters in {window} tokens",
            title="window covered",
        )
        covered.legend(loc="lower right")
        _bits(bits, results)
        for axis in (ratio, gradient, covered, bits):
            top = sizes[-1] if axis is not bits else results.vocabulary.values[-1]
            axis.set_xticks(
                [256 * 4**i for i in range(12) if 256 * 4**i <= top]
                if top > 2048
                else results.vocabulary.values
            )
            axis.xaxis.set_major_formatter("{x:g}")
            axis.minorticks_off() if axis is not gradient else axis.tick_params(
                axis="x", which="minor", bottom=False, labelbottom=False
            )
        return figure


def _settings(results):
    """Settings of the run, as the store keeps them; empty where there are none."""
    try:
        return json.loads(results.attrs.get("parameters", "{}"))
    except ValueError:
        return {}


def _bits(axis, results):
    vocabulary = results.vocabulary.values
    axis.plot(
        vocabulary,
        results.present_token.mean("seed"),
        "s--",
        color="#999999",
        ms=3.5,
        lw=1.1,
        label="the present token alone",
    )
    axis.plot(
        vocabulary,
        (results.asked * results.present_token).mean("seed"),
        ":",
        color="#999999",
        lw=1.1,
    )
    for index in range(results.sizes["seed"]):
        at, shift = results.isel(seed=index), 1.0 + 0.03 * (index - (results.sizes["seed"] - 1) / 2)
        axis.errorbar(
            vocabulary * shift,
            at.bits,
            2 * at.bits_error,
            fmt="o",
            color=CYCLE[2],
            ms=3.5,
            lw=0.9,
            label="LSTM, each seed" if index == 0 else None,
        )
    axis.plot(vocabulary, results.bits.mean("seed"), color=CYCLE[2], lw=1.2)
    axis.set(
        xscale="log",
        xlabel="entries of the vocabulary",
        ylabel="bits per character, held out",
        title="learned for equal compute",
    )
    axis.set_ylim(0, 1.05 * float(np.nanmax(results.present_token)))
    axis.legend(loc="lower right")
