"""What a vocabulary does to memory: steps between characters, the gradient left there, the
characters that a window holds; measured on text."""

import numpy as np

from ...errors import ShapeError
from ...labels import dataset
from ...runtime.validation import integer, number

SOURCE = (
    "characters per token of byte-pair encoding (Sennrich, Haddow and Birch 2016); gradient "
    "rho^steps (Bengio, Simard and Frasconi 1994)"
)


def token_paths(lengths, *, characters=100, spectral_radius=0.9, window=1024):
    """Steps between characters a fixed number apart, the gradient rho^steps that is left there, and
    the characters that a window holds.

    Every pair of characters of the text at this distance is asked: k tokens lie between them, the
    gradient is the mean of rho^k, and the window the mean number of characters in so many tokens
    one after another.

    lengths: {vocabulary: lengths of the tokens in characters, one array or a list of them, one for
    each text}; characters: the distance; spectral_radius: rho, per token; window: in tokens, NaN
    where no text is as long. Returns over ``vocabulary``: characters_per_token, path_length,
    gradient, log_gradient, window_covered. ``dm.theory.token_paths`` predicts them from
    characters_per_token alone. Raises ShapeError where no text is as long as the distance.

    >>> found = token_paths({256: np.ones(500, int), 512: np.full(250, 2)}, characters=100, window=50)
    >>> found.path_length.values.tolist(), found.window_covered.values.tolist(), f"{float(found.gradient[0]):.6e}"
    ([100.0, 50.0], [50.0, 100.0], '2.656140e-05')
    """
    characters, window, rho = (
        integer("characters", characters, 0),
        integer("window", window, 1),
        number("spectral_radius", spectral_radius),
    )
    rows = [_measured(key, texts, characters, rho, window) for key, texts in lengths.items()]
    return token_report(
        list(lengths),
        *np.array(rows).T,
        characters=characters,
        title="paths through a text, measured",
        parameters={"characters": characters, "spectral_radius": spectral_radius, "window": window},
    )


def _measured(name, texts, characters, rho, window):
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
    variables = {
        "characters_per_token": (
            ("vocabulary",),
            ratio,
            "character/token",
            "mean characters per token",
        ),
        "path_length": (
            ("vocabulary",),
            path,
            "token",
            f"steps between characters {characters} apart",
        ),
        "gradient": (("vocabulary",), gradient, "1", f"gradient left over {characters} characters"),
        "log_gradient": (
            ("vocabulary",),
            log_gradient,
            "1",
            f"ln of the gradient left over {characters} characters",
        ),
        "window_covered": (
            ("vocabulary",),
            covered,
            "character",
            "characters that the window holds",
        ),
    }
    coords = {"vocabulary": (("vocabulary",), vocabulary, "entry", "entries of the vocabulary")}
    return dataset(variables, coords, title=title, source=SOURCE, parameters=parameters)
