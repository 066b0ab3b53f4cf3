"""Lyapunov exponents of a system known from elsewhere, to compare measurements with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..runtime.validation import public

__all__ = ["Known"]

SPROTT = "Sprott (2003), Chaos and Time-Series Analysis, app. A"
OWN = (
    "own long run, T = {T}, classical Runge-Kutta and variational equations apart from this "
    "package: +-{error}"
)


@public
@dataclass(frozen=True)
class Known:
    """Known Lyapunov exponents of a system at its default parameters.

    They come from the literature or a closed form. Where there is neither, they are those of a long
    run that shares no code with this package; ``source`` then begins with "own".

    Parameters
    ----------
    exponents : tuple of float
        The leading ones, largest first, in nats per unit of time (all n where they are known).
    tolerance : float or tuple of float
        Absolute error within which a long run must agree: one for all, or one for each.
    source : str
        Who states the numbers.
    note : str
        What else a reader should know, such as a conversion from bits.
    dimension : float, optional
        Kaplan-Yorke dimension.
    entropy : float, optional
        Sum of the positive exponents, in nats per unit of time.
    positive : int, optional
        Number of positive exponents.

    Raises
    ------
    ValueError
        Where the source is missing, exponents are not in falling order, or the number of
        tolerances is not that of exponents.

    References
    ----------
    Sprott (2003), Chaos and Time-Series Analysis, app. A; Wolf et al. (1985), Physica D 16, 285.

    Examples
    --------
    >>> henon = Known((0.41922, -1.62319), 2e-3, "Sprott (2003)")
    >>> henon.agrees([0.4190, -1.6229]), henon.agrees([0.6033, -1.62319])
    (True, False)
    """

    exponents: tuple[float, ...] = ()
    tolerance: float | tuple[float, ...] = 0.01
    source: str = ""
    note: str = ""
    dimension: float | None = None
    entropy: float | None = None
    positive: int | None = None

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("source is empty: known exponents need a reference")
        if list(self.exponents) != sorted(self.exponents, reverse=True):
            raise ValueError(f"exponents = {self.exponents}: must be in order, the largest first")
        if isinstance(self.tolerance, tuple) and len(self.tolerance) != len(self.exponents):
            raise ValueError(
                f"{len(self.tolerance)} tolerances for {len(self.exponents)} "
                "exponents: pass one number, or one for each"
            )

    @property
    def tolerances(self) -> tuple[float, ...]:
        """Tolerance of each exponent."""
        if isinstance(self.tolerance, tuple):
            return self.tolerance
        return (self.tolerance,) * len(self.exponents)

    def agrees(self, measured: Sequence[float], errors: Sequence[float] | None = None) -> bool:
        """Whether measured exponents agree with the known ones.

        Parameters
        ----------
        measured : sequence of float
            Leading exponents, at least as many as are known.
        errors : sequence of float, optional
            Their standard errors; three of each widen the tolerance.

        Returns
        -------
        bool
            Whether each exponent lies within its tolerance.

        Raises
        ------
        ValueError
            Where fewer exponents were measured than are known.
        """
        errors = [0.0] * len(self.exponents) if errors is None else errors
        if len(measured) < len(self.exponents):
            raise ValueError(
                f"{len(measured)} exponents were measured, {len(self.exponents)} are "
                "known: measure as many"
            )
        rows = zip(measured, self.exponents, self.tolerances, errors, strict=False)
        return all(
            abs(float(found) - stated) <= allowed + 3.0 * float(error)
            for found, stated, allowed, error in rows
        )
