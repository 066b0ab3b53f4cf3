"""What is known of a system's exponents from elsewhere: numbers with their source, to hold a
measurement to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """Lyapunov exponents of a system at its default parameters, as the literature states them or a
    closed form gives them.

    Where neither does, they are those of a long run that shares no code with this package;
    ``source`` then begins with "own".

    ``exponents``: the leading ones, largest first, natural logarithms per unit of time (all n of
    them where they are known). ``tolerance``: absolute error within which a long run must agree,
    one number for all of them or one for each. ``source``: who states the numbers; ``note``:
    anything the reader should know, such as a conversion from bits. ``dimension``, ``entropy``,
    ``positive``: Kaplan-Yorke dimension, sum of the positive exponents and their number, where
    published.

    >>> henon = Known((0.41922, -1.62319), 2e-3, "Sprott (2003)")
    >>> henon.agrees([0.4190, -1.6229]), henon.agrees([0.6033, -1.62319])
    (True, False)
    """

    exponents: tuple = ()
    tolerance: float | tuple = 0.01
    source: str = ""
    note: str = ""
    dimension: float | None = None
    entropy: float | None = None
    positive: int | None = None

    def __post_init__(self):
        if not self.source:
            raise ValueError("known exponents need their source: who states them?")
        if list(self.exponents) != sorted(self.exponents, reverse=True):
            raise ValueError(f"exponents = {self.exponents}: the largest stands first")
        if isinstance(self.tolerance, tuple) and len(self.tolerance) != len(self.exponents):
            raise ValueError(
                f"{len(self.tolerance)} tolerances for {len(self.exponents)} "
                "exponents: pass one number, or one for each"
            )

    @property
    def tolerances(self) -> tuple:
        """Tolerance of each exponent."""
        return (
            self.tolerance
            if isinstance(self.tolerance, tuple)
            else (self.tolerance,) * len(self.exponents)
        )

    def agrees(self, measured, errors=None) -> bool:
        """Whether the leading measured exponents lie within the tolerance, widened by three
        standard errors where these are given."""
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
