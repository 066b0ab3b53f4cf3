"""Steps between characters of a text, the gradient left there, and the characters in a window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ShapeError
from ...labels import dataset
from ...runtime.validation import integer, number, public

if TYPE_CHECKING:
    from xarray import Dataset

SOURCE = (
    "characters per token of byte-pair encoding (Sennrich, Haddow and Birch 2016); gradient "
    "rho^steps (Bengio, Simard and Frasconi 1994)"
)


@public
def token_paths(
    lengths: Mapping[int, Any],
    *,
    characters: int = 100,
    spectral_radius: float = 0.9,
    window: int = 1024,
) -> Dataset:
    """Measure on text what a vocabulary does to memory.

    For every pair of characters at a fixed distance, k tokens lie between them, and

        path length = mean of k,    gradient = mean of rho^k.

    Theory: ``dm.theory.token_paths``, from the characters per token alone.

    Parameters
    ----------
    lengths : dict of {int: array_like of int}
        Lengths of the tokens in characters by size of the vocabulary: one array, or a list of them,
        one for each text.
    characters : int
        Distance in characters.
    spectral_radius : float
        rho, per token.
    window : int
        Length of a window, in tokens.

    Returns
    -------
    xarray.Dataset
        characters_per_token : (vocabulary,), character/token
            Mean characters per token.
        path_length : (vocabulary,), token
            Mean number of tokens between characters that far apart.
        gradient : (vocabulary,), 1
            Mean of rho^k.
        log_gradient : (vocabulary,), 1
            Its natural logarithm.
        window_covered : (vocabulary,), character
            Mean number of characters in a window; NaN where no text is as long.

    Raises
    ------
    ShapeError
        If lengths are no whole numbers, or no text is as long as the distance.

    References
    ----------
    Sennrich, Haddow and Birch (2016), ACL. Bengio, Simard and Frasconi (1994), IEEE Trans. Neural
    Netw. 5, 157.

    Examples
    --------
    >>> import dynmem as dm
    >>> lengths = {256: np.ones(500, int), 512: np.full(250, 2)}
    >>> found = dm.analysis.token_paths(lengths, characters=100, window=50)
    >>> found.path_length.values.tolist(), found.window_covered.values.tolist()
    ([100.0, 50.0], [50.0, 100.0])
    """
    characters, window, rho = (
        integer("characters", characters, 0),
        integer("window", window),
        number("spectral_radius", spectral_radius),
    )
    rows = [_measure(key, texts, characters, rho, window) for key, texts in lengths.items()]
    return token_report(
        list(lengths),
        *np.array(rows).T,
        characters=characters,
        title="paths through a text, measured",
        parameters={"characters": characters, "spectral_radius": spectral_radius, "window": window},
    )


def _measure(name, texts, characters, rho, window):
    """Characters per token, path, gradient and window of one vocabulary."""
    texts = [np.asarray(text) for text in ([texts] if np.ndim(texts[0]) == 0 else texts)]
    if any(
        text.ndim != 1 or text.dtype.kind not in "iu" or not text.sum() or text.min() < 0
        for text in texts
    ):
        raise ShapeError(
            f"lengths of vocabulary {name}: pass whole numbers of characters, one "
            "for each token of a text, or a list of such arrays"
        )
    steps, covered = [], []
    for text in texts:
        token = np.repeat(np.arange(len(text)), text)
        steps.append(
            token[characters:] - token[:-characters] if characters else np.zeros(len(token))
        )
        ends = np.cumsum([0, *text])
        covered.append(ends[window:] - ends[:-window])
    steps, covered = np.concatenate(steps), np.concatenate(covered)
    if not steps.size:
        raise ShapeError(
            f"no text of vocabulary {name} has more than {characters} characters: "
            "pass longer texts or a smaller distance"
        )
    ratio = sum(text.sum() for text in texts) / sum(map(len, texts))
    return (
        ratio,
        steps.mean(),
        np.mean(np.float64(rho) ** steps),
        covered.mean() if covered.size else np.nan,
    )


def token_report(vocabulary, ratio, path, gradient, covered, *, characters, title, parameters):
    """Dataset of a measurement or of its theory."""
    with np.errstate(divide="ignore"):
        log_gradient = np.log(gradient)
    distance = f"{characters} characters"
    columns = {
        "characters_per_token": (ratio, "character/token", "mean characters per token"),
        "path_length": (path, "token", f"steps between characters {characters} apart"),
        "gradient": (gradient, "1", f"gradient left over {distance}"),
        "log_gradient": (log_gradient, "1", f"ln of the gradient left over {distance}"),
        "window_covered": (covered, "character", "characters that the window holds"),
    }
    variables = {name: (("vocabulary",), *entry) for name, entry in columns.items()}
    coords = {"vocabulary": (("vocabulary",), vocabulary, "entry", "entries of the vocabulary")}
    return dataset(variables, coords, title=title, source=SOURCE, parameters=parameters)
