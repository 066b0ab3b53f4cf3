"""What a vocabulary does to memory, from its characters per token alone."""

import numpy as np

from ..analysis.gradients.token_paths import token_report
from .checks import count, not_negative, vector


def token_paths(
    characters_per_token, *, vocabulary=None, characters=100, spectral_radius=0.9, window=1024
):
    """Steps between characters C apart, the gradient that is left there, and the characters in a
    window of W tokens, at r characters per token.

    path C/r;  gradient rho^(C/r);  window W r.

    As if all tokens were of one length. A text's own gradient is larger, since the mean of rho^k
    exceeds rho^(mean k) (Jensen).

    characters_per_token: r > 0, one or several; vocabulary: a name for each in the Dataset, None
    for 0, 1, 2, ...; characters: C, at least 0; spectral_radius: rho >= 0, per token; window: W,
    from 1. Returns what ``dm.analysis.token_paths`` measures. Raises ValueError where r is not
    positive. Source: Sennrich, Haddow and Birch (2016) for the tokens; Bengio, Simard and Frasconi
    (1994) for rho^k.

    >>> found = token_paths([1.0, 4.0], vocabulary=[256, 32768])
    >>> [f"{g:.6e}" for g in found.gradient.values], found.window_covered.values.tolist()
    (['2.656140e-05', '7.178980e-02'], [1024.0, 4096.0])
    """
    ratio = vector("characters_per_token", characters_per_token)
    if not (np.isfinite(ratio) & (ratio > 0)).all():
        raise ValueError(
            f"characters_per_token = {ratio.tolist()!s:.60}: pass finite numbers above 0"
        )
    names = list(range(ratio.size)) if vocabulary is None else list(np.atleast_1d(vocabulary))
    if len(names) != ratio.size:
        raise ValueError(
            f"vocabulary names {len(names)} entries, characters_per_token has "
            f"{ratio.size}: pass one name for each"
        )
    characters, rho, window = (
        not_negative("characters", characters),
        not_negative("spectral_radius", spectral_radius),
        count("window", window),
    )
    path = characters / ratio
    return token_report(
        names,
        ratio,
        path,
        np.float64(rho) ** path,
        window * ratio,
        characters=round(characters),
        title="paths through a text, from its characters per token",
        parameters={"characters": characters, "spectral_radius": rho, "window": window},
    )
