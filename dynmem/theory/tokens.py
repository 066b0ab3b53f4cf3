"""What a vocabulary does to memory, from its characters per token alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.gradients.token_paths import token_report
from ..runtime.validation import integer, number, public
from ..typing import ArrayLike
from .checks import vector

if TYPE_CHECKING:
    from xarray import Dataset


@public
def token_paths(
    lengths: Mapping | ArrayLike,
    *,
    vocabulary: ArrayLike | None = None,
    characters: float = 100,
    spectral_radius: float = 0.9,
    window: int = 1024,
) -> Dataset:
    """Steps between characters, the gradient left there, and the characters in a window.

    At r characters per token and C characters apart, for a window of W tokens,

        path C/r,   gradient rho^(C/r),   window W r,

    as if all tokens were of one length. The twin of ``dm.analysis.token_paths``. A text's own
    gradient is larger, since the mean of rho^k exceeds rho^(mean k) (Jensen).

    Parameters
    ----------
    lengths : dict, float or array_like
        {vocabulary: lengths of the tokens in characters, one array or a list of them, one for each
        text}, of which only the mean r counts; or r itself, one or several numbers above 0.
    vocabulary : array_like, optional
        A name for each number r; by default 0, 1, 2, ... A dict has names of its own.
    characters : float, default 100
        Distance C.
    spectral_radius : float, default 0.9
        rho, per token.
    window : int, default 1024
        Window W, in tokens.

    Returns
    -------
    xarray.Dataset
        characters_per_token : (vocabulary,), character/token
            Mean characters per token.
        path_length : (vocabulary,), token
            Steps between characters that far apart.
        gradient : (vocabulary,), 1
            Gradient left over that distance.
        log_gradient : (vocabulary,), 1
            Its natural logarithm.
        window_covered : (vocabulary,), character
            Characters that the window holds.

    Raises
    ------
    ValueError
        Where r is not above 0, or the names do not match the numbers.

    References
    ----------
    Sennrich, Haddow and Birch (2016), ACL, for the tokens; Bengio, Simard and Frasconi (1994),
    IEEE Trans. Neural Netw. 5, 157, for rho^k.

    Examples
    --------
    >>> import dynmem as dm
    >>> found = dm.theory.token_paths([1.0, 4.0], vocabulary=[256, 32768])
    >>> [f"{g:.6e}" for g in found.gradient.values], found.window_covered.values.tolist()
    (['2.656140e-05', '7.178980e-02'], [1024.0, 4096.0])
    """
    if isinstance(lengths, Mapping):
        if vocabulary is not None:
            raise ValueError(
                f"vocabulary = {vocabulary!r:.60}: lengths names its own, leave it out"
            )
        names, ratio = list(lengths), np.array([_mean_length(texts) for texts in lengths.values()])
    else:
        ratio = vector("lengths", lengths)
        names = list(range(ratio.size)) if vocabulary is None else list(np.atleast_1d(vocabulary))
    if not (ratio > 0).all():
        raise ValueError(f"characters per token = {ratio.tolist()!s:.60}: must be above 0")
    if len(names) != ratio.size:
        raise ValueError(f"vocabulary has {len(names)} names, expected {ratio.size}")
    characters = number("characters", characters, least=0)
    rho = number("spectral_radius", spectral_radius, least=0)
    window = integer("window", window)
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


def _mean_length(texts: Any) -> float:
    """Mean characters per token of one text, or of several."""
    return float(np.mean(texts if np.ndim(texts[0]) == 0 else np.concatenate(texts)))
