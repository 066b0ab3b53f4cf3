"""Receptive fields of stacks of dilated convolutions, by counting and by the spread of random
gradients."""

import numpy as np

from ..analysis.gradients.receptive_field import field_report
from .checks import count, not_negative, number

LONGEST = 2**22  # lags that an answer may hold


def receptive_field(kernel, layers, *, base=2, convolutions=1, dilations=None, path_power=None):
    """Receptive field of a stack of causal convolutions, and how a random gradient is spread over
    it.

    Layer i has ``convolutions`` (m) of ``kernel`` (k) taps and dilation d_i = base^i: the field is
    1 + m (k-1) sum_i d_i, thus 1 + (k-1)(2^L - 1) for one convolution a layer and doubled
    dilations, 1 + 2 (k-1)(2^L - 1) for two (Bai et al. 2018), 1 + L (k-1) without dilation.

    Independent random weights of mean zero spread the squared gradient evenly over the taps of each
    convolution, so that the share of each lag is the distribution of a sum of independent steps
    (Luo et al. 2016, sec. 2): of standard deviation sqrt(m L (k^2-1)/12) without dilation, and even
    over the whole field for k = base and m = 1. The relu halves the gradient of every lag alike. A
    block with a residual connection takes each step with probability rho/(1 + rho) only, rho =
    ``path_power`` being the mean square of its convolutions' gain over that of its skip connection:
    1 for ``init="he"``, 1/36 for two convolutions of ``init="uniform"`` and equal widths. In the
    first block, whose input may be negative, the last relu cuts the skip connection more: with P =
    1/4 + arctan(sqrt(2 rho))/2 pi, rho becomes 2 P rho/(P + 1/4).

    kernel, layers, base, convolutions: whole numbers of at least 1; dilations: one for each layer,
    in place of base; path_power: None for no residual connections, or a number of at least 0, or
    one for each layer. Returns reached(lag), share(lag), receptive_field, effective_field,
    mean_lag, as ``dm.analysis.receptive_field`` measures them.

    >>> int(receptive_field(2, 10).receptive_field), int(receptive_field(3, 6, convolutions=2).receptive_field)
    (1024, 253)
    >>> round(float(receptive_field(2, 10).effective_field), 9), round(float(receptive_field(2, 100, base=1).effective_field), 3)
    (1024.0, 17.349)
    """
    kernel, layers, convolutions = (
        count("kernel", kernel),
        count("layers", layers),
        count("convolutions", convolutions),
    )
    steps = _dilations(layers, base, dilations)
    field = 1 + convolutions * (kernel - 1) * sum(steps)
    if field > LONGEST:
        raise ValueError(
            f"the field is {field} steps long: pass fewer layers or a smaller base, "
            f"for at most {LONGEST}"
        )
    powers = _powers(path_power, layers)
    share, reached = np.ones(1), np.ones(1, bool)
    for step, power in zip(steps, powers, strict=True):
        share, reached = (
            _block(share, kernel, step, convolutions, power),
            _block(reached, kernel, step, convolutions, power),
        )
    return field_report(
        reached > 0,
        share / share.sum(),
        False,
        title="receptive field of a stack of convolutions",
        source="Bai, Kolter and Koltun (2018), sec. 3; Luo, Li, Urtasun and Zemel (2016), sec. 2",
        parameters={
            "kernel": kernel,
            "layers": layers,
            "dilations": steps,
            "convolutions": convolutions,
            "path_power": path_power,
        },
    )


def _block(share, kernel, step, convolutions, power):
    """Shares after one block more: each convolution spreads them over its taps, the skip connection
    leaves them where they are.

    Booleans say by "or" what is reached."""
    spread = share
    for _ in range(convolutions):
        wide = np.zeros(len(spread) + (kernel - 1) * step, spread.dtype)
        for tap in range(kernel):
            wide[tap * step : tap * step + len(spread)] += spread
        spread = wide if spread.dtype == bool else wide / kernel
    if power is None:
        return spread
    if spread.dtype == bool:
        spread = spread & (power > 0)
    else:
        spread = spread * (power / (1 + power))
        share = share / (1 + power)
    spread[: len(share)] += share
    return spread


def _dilations(layers, base, dilations):
    if dilations is None:
        base = count("base", base)
        if layers * np.log(base) > 60:
            raise ValueError(
                f"base = {base} to the power of {layers} layers: pass fewer layers "
                "or a smaller base"
            )
        return [base**i for i in range(layers)]
    if np.ndim(dilations) != 1 or len(dilations) != layers:
        raise ValueError(f"dilations = {dilations!r:.60}: pass one for each of the {layers} layers")
    return [count("dilation", d) for d in dilations]


def _powers(path_power, layers):
    """Share of the convolutions' path over the skip connection's in each block, the first one's
    corrected for its relu."""
    if path_power is None:
        return [None] * layers
    powers = [path_power] * layers if np.ndim(path_power) == 0 else list(path_power)
    if len(powers) != layers:
        raise ValueError(
            f"path_power has {len(powers)} entries: pass a number, or one for each "
            f"of the {layers} layers"
        )
    powers = [not_negative("path_power", number("path_power", power)) for power in powers]
    both = 0.25 + np.arctan(np.sqrt(2.0 * powers[0])) / (2.0 * np.pi)
    return [2.0 * both * powers[0] / (both + 0.25), *powers[1:]]
