"""A model that runs on its own output, as an autonomous map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import models
from ..arrays import concat
from ..errors import NotFiniteError, ShapeError
from ..runtime.validation import number
from ..system import Map, as_system
from ..typing import Array, ArrayLike, Rng
from .orbit_data import inputs_and_increments, scales

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["Forecaster"]

WARMUP_STEPS = 20  # first steps of a window, in which the model reads the truth and is not scored


class Forecaster(Map):
    """A model that reads its own output: an autonomous map of the states (h, z).

    h_t = rule(h_(t-1), z_(t-1)), z_t = z_(t-1) + gain output(h_t, z_(t-1)), z = (y - mean)/scale,
    so that exponents, fixed points and orbits of what was learned come from the ordinary analysis.
    The output is y, in the data's own unit, and a step lasts ``dt`` of the data's time.

    Parameters
    ----------
    model : Map
        With as many outputs as inputs; its output is the increment of z in units of ``gain``.
    mean, scale : array_like (inputs,)
        Mean and standard deviation of each component of y.
    gain : array_like (inputs,)
        Standard deviation of the increments of z.
    dt : float
        Time of a step.

    Raises
    ------
    ShapeError
        Where widths do not fit.
    NotFiniteError
        For scales that are not finite, or not above 0.

    Notes
    -----
    What h and z have in common, the readout, leaves exponents of -inf behind the n of the dynamics.

    References
    ----------
    Pathak et al. (2018), Phys. Rev. Lett. 120, 024102.

    Examples
    --------
    >>> import dynmem as dm
    >>> model, one = dm.models.get("tanh", units=2, inputs=1, outputs=1), np.ones(1)
    >>> forecaster = dm.training.Forecaster(model, one, one, one, dt=0.1)
    >>> forecaster.size, forecaster.outputs
    (3, 1)
    """

    model: Map
    mean: np.ndarray
    scale: np.ndarray
    gain: np.ndarray
    dt: float = 1.0

    source = "Pathak et al. (2018), Phys. Rev. Lett. 120, 024102"

    def __post_init__(self) -> None:
        model = as_system(self.model, Map)
        if model.inputs != model.outputs or not model.inputs:
            raise ShapeError(
                f"{type(model).__name__} has {model.inputs} inputs and "
                f"{model.outputs} outputs: a forecast needs as many of each"
            )
        for name in ("mean", "scale", "gain"):
            value = np.asarray(getattr(self, name), float)
            if value.shape != (model.inputs,):
                raise ShapeError(
                    f"{name} has shape {value.shape}: pass ({model.inputs},), a "
                    "number for each component"
                )
            if not np.isfinite(value).all() or (name != "mean" and not (value > 0).all()):
                raise NotFiniteError(
                    f"{name} = {value}: pass finite numbers{'' if name == 'mean' else ' above 0'}"
                )
            object.__setattr__(self, name, value)
        number("dt", self.dt, above=0)

    @property
    def size(self) -> int:
        """States of the model, and one for each output."""
        return self.model.size + self.model.outputs

    @property
    def outputs(self) -> int:
        """Number of components of the orbit."""
        return self.model.outputs

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states (h, z)."""
        return (*self.model.states, *(f"z{i}" for i in range(self.outputs)))

    def rule(self, x: Array, u: Array | None) -> Array:
        """Next state (h, z)."""
        n = self.model.size
        h, z = x[..., :n], x[..., n:]
        h = self.model.rule(h, z)
        return concat((h, z + self.gain * self.model.output(h, z)))

    def output(self, x: Array, u: Array | None) -> Array:
        """y in the data's own unit."""
        return self.mean + self.scale * x[..., self.model.size :]

    def initial(self, rng: Rng = 0) -> np.ndarray:
        """The model at rest, z independent standard normal numbers."""
        z = np.random.default_rng(rng).standard_normal(self.outputs)
        return np.concatenate((np.zeros(self.model.size), z))

    def standard(self, y: ArrayLike) -> np.ndarray:
        """z of values y in the data's own unit."""
        return (np.asarray(y, float) - self.mean) / self.scale

    def warmed_up(self, y: ArrayLike) -> np.ndarray:
        """State (..., n) after reading the values y (..., T, outputs), from rest: the forecast
        begins at the last of them."""
        z = self.standard(y)
        _, h = self.model.run(np.zeros((*z.shape[:-2], self.model.size)), z[..., :-1, :])
        return np.concatenate((h, z[..., -1, :]), axis=-1)

    def targets(self, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Inputs z (..., T-1, outputs) of values y (..., T, outputs), and the model's targets."""
        return inputs_and_increments(y, {"mean": self.mean, "scale": self.scale, "gain": self.gain})


def untrained_forecaster(model: Map, data: Dataset) -> Forecaster:
    """A ``Forecaster`` of a model and an orbit x(time, state), its scales those of the training
    part."""
    return Forecaster(model, **scales(data))


def check_forecaster(forecaster: Any, y: np.ndarray) -> None:
    """Refuse what is no forecaster of these values."""
    if not isinstance(forecaster, Forecaster):
        raise TypeError(
            "expected a Forecaster, the result of dm.fit, dm.training.fit_forecaster or "
            "dm.training.echo_state_forecaster on an orbit, got "
            f"{type(forecaster).__name__}"
        )
    if forecaster.outputs != y.shape[-1]:
        raise ShapeError(
            f"the forecaster has {forecaster.outputs} components and the orbit "
            f"{y.shape[-1]}: pass the dataset that it was trained on"
        )


def as_model(model: Any, inputs: int, outputs: int, units: int, rng: np.random.Generator) -> Any:
    """The model itself, or the one of this name with these widths."""
    if not isinstance(model, str):
        return model
    return models.get(model, units=units, inputs=inputs, outputs=outputs, rng=rng)
