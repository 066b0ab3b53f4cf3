"""Receptive fields of stacks of dilated convolutions, by counting and by the spread of random
gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.gradients.receptive_field import field_report
from ..models import Convolution, ConvolutionBlock, Network
from ..runtime.validation import integer, is_real, number, public
from ..system import System
from ..typing import ArrayLike

if TYPE_CHECKING:
    from xarray import Dataset

MAX_FIELD = 2**22  # steps
SOURCE = "Bai, Kolter and Koltun (2018), sec. 3; Luo, Li, Urtasun and Zemel (2016), sec. 2"


@public
def receptive_field(
    system: System | int,
    layers: int | None = None,
    *,
    base: int = 2,
    convolutions: int = 1,
    dilations: ArrayLike | None = None,
    path_power: ArrayLike | None = None,
) -> Dataset:
    """Receptive field of a stack of causal convolutions, and the spread of a random gradient.

    Layer i has m convolutions of k taps and dilation d_i = base^i: the field is
    1 + m (k-1) sum_i d_i, thus 1 + (k-1)(2^L - 1) for one convolution a layer and doubled
    dilations, 1 + 2 (k-1)(2^L - 1) for two, 1 + L (k-1) without dilation. The twin of
    ``dm.analysis.receptive_field``.

    Parameters
    ----------
    system : Map or int
        A Convolution, a ConvolutionBlock, or a Network of them, whose kernels, dilations and mean
        squared weights are read; or the number k of taps, with the arguments below.
    layers : int, optional
        Number L of layers; needed with a number of taps, read from a system.
    base : int, default 2
        Factor of the dilation from layer to layer.
    convolutions : int, default 1
        Number m of convolutions of a layer.
    dilations : array_like (layers,) of int, optional
        Dilation of each layer, in place of base^i.
    path_power : float or array_like (layers,), optional
        Mean square of the gain of a block's convolutions over that of its skip connection, for all
        blocks or one each; None where there is no skip connection.

    Returns
    -------
    xarray.Dataset
        reached : (lag,), 1
            Whether the output depends on the input so many steps ago.
        share : (lag,), 1
            Share of the squared gradient of the output by the input so many steps ago.
        receptive_field : (), step
            1 + the largest lag that is reached.
        effective_field : (), step
            sqrt(1 + 12 variance of the lag): width of the box with the spread of the shares.
        mean_lag : (), step
            Mean lag of the squared gradient.

    Raises
    ------
    ValueError
        For another system, for numbers that are not whole and at least 1, and where the field is
        longer than 2^22 steps.
    TypeError
        Where a system is given together with arguments of a number of taps, or a number of taps
        without ``layers``.

    Notes
    -----
    Independent random weights of mean zero spread the squared gradient evenly over the taps of each
    convolution, so that the share of each lag is the distribution of a sum of independent steps: of
    standard deviation sqrt(m L (k^2-1)/12) without dilation, and even over the whole field for
    k = base and m = 1. The relu halves the gradient of every lag alike. A block with a residual
    connection takes each step with probability rho/(1 + rho) only, rho = ``path_power``: 1 for
    ``init="he"``, 1/36 for two convolutions of ``init="uniform"`` and equal widths. In the first
    block, whose input may be negative, the last relu cuts the skip connection more: with
    P = 1/4 + arctan(sqrt(2 rho))/2 pi, rho becomes 2 P rho/(P + 1/4).

    References
    ----------
    Bai, Kolter and Koltun (2018), arXiv:1803.01271, section 3; Luo, Li, Urtasun and Zemel (2016),
    NeurIPS 29, section 2.

    Examples
    --------
    >>> import dynmem as dm
    >>> int(dm.theory.receptive_field(2, 10).receptive_field)
    1024
    >>> model = dm.models.get("tcn", units=4, inputs=1, layers=3, kernel=3)
    >>> int(dm.theory.receptive_field(model).receptive_field)
    29
    """
    if isinstance(system, System):
        if layers is not None or dilations is not None or path_power is not None:
            raise TypeError(
                "layers, dilations and path_power are read from the system: leave them out"
            )
        blocks, path_power = _blocks(system)
        described: dict[str, Any] = {"system": type(system).__name__}
    else:
        if layers is None:
            raise TypeError("a number of taps needs layers: receptive_field(kernel, layers)")
        kernel, layers = integer("kernel", system), integer("layers", layers)
        steps = _dilations(layers, base, dilations)
        blocks = [[(kernel, step)] * integer("convolutions", convolutions) for step in steps]
        described = {"kernel": kernel, "dilations": steps, "convolutions": convolutions}
    field = 1 + sum((kernel - 1) * step for block in blocks for kernel, step in block)
    if field > MAX_FIELD:
        raise ValueError(
            f"the field is {field} steps long: pass fewer layers or a smaller base, "
            f"for at most {MAX_FIELD}"
        )
    powers = _powers(path_power, len(blocks))
    share, reached = np.ones(1), np.ones(1, bool)
    for block, power in zip(blocks, powers, strict=True):
        share, reached = _after(share, block, power), _after(reached, block, power)
    return field_report(
        reached > 0,
        share / share.sum(),
        False,
        title="receptive field of a stack of convolutions",
        source=SOURCE,
        parameters=described | {"layers": len(blocks), "path_power": path_power},
    )


def _blocks(system: System) -> tuple[list[list[tuple[int, int]]], list[float] | None]:
    """(kernel, dilation) of each convolution of each block, and the path power of each block."""
    layers: Any = system.layers if isinstance(system, Network) else (system,)
    if all(isinstance(layer, Convolution) for layer in layers):
        return [[(layer.kernel, layer.dilation)] for layer in layers], None
    if not all(isinstance(layer, ConvolutionBlock) for layer in layers):
        raise ValueError(
            "the field is known of Convolutions alone or of ConvolutionBlocks alone, got "
            f"{', '.join(type(layer).__name__ for layer in layers)}: measure it with "
            "dm.analysis.receptive_field"
        )
    blocks = [[(c.kernel, c.dilation) for c in layer.convolutions] for layer in layers]
    return blocks, [_path_power(layer) for layer in layers]


def _path_power(block: ConvolutionBlock) -> float:
    """Mean square of the gain of the convolutions, a relu halving each, over that of the skip
    connection."""
    gains = [c.W.shape[1] * np.mean(c.W**2) / 2 for c in block.convolutions]
    skip = 1.0 if block.skip is None else block.inputs * np.mean(block.skip.V**2)
    return float(np.prod(gains) / skip)


def _after(share: np.ndarray, block: list[tuple[int, int]], power: float | None) -> np.ndarray:
    """Shares after one more block: each convolution spreads them over its taps, the skip connection
    leaves them where they are. Truth values mark what is reached."""
    spread = share
    for kernel, step in block:
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


def _dilations(layers: int, base: int, dilations: Any) -> list[int]:
    if dilations is None:
        base = integer("base", base)
        if layers * np.log(base) > 60:
            raise ValueError(
                f"base = {base} to the power of {layers} layers: pass fewer layers "
                "or a smaller base"
            )
        return [base**i for i in range(layers)]
    if np.ndim(dilations) != 1 or len(dilations) != layers:
        raise ValueError(
            f"dilations = {dilations!r:.60}: expected one for each of the {layers} layers"
        )
    return [integer("dilation", d) for d in dilations]


def _powers(path_power: Any, layers: int) -> list[float | None]:
    """Share of the convolutions' path over the skip connection's in each block, the first one's
    corrected for its relu."""
    if path_power is None:
        return [None] * layers
    powers = [path_power] * layers if is_real(path_power) else list(path_power)
    if len(powers) != layers:
        raise ValueError(
            f"path_power has {len(powers)} entries: expected a number, or one for each "
            f"of the {layers} layers"
        )
    powers = [number("path_power", power, least=0) for power in powers]
    both = 0.25 + np.arctan(np.sqrt(2.0 * powers[0])) / (2.0 * np.pi)
    return [2.0 * both * powers[0] / (both + 0.25), *powers[1:]]
