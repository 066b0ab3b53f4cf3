"""Linear systems: one object for everything linear."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import cayley, tensors
from .autodiff.jacobian import jacobian
from .errors import NotFiniteError, ShapeError, UnknownAttributeError
from .runtime.docstrings import summary
from .runtime.html import card, listed
from .runtime.validation import choice, integer, number, public
from .system import Flow, System, as_input, as_state, as_system
from .typing import ArrayLike


@public
@dataclass(frozen=True, eq=False)
class LinearSystem:
    """Linear system dx/dt = A x + B u, or x_t = A x_(t-1) + B u_t, with the output y = C x + D u.

    The discrete output reads the state that u_t has just changed, as recurrent networks and S4
    write it; ``lagged`` gives the control engineer's x_(t+1) = A x_t + B u_t.

    Parameters
    ----------
    A : array_like (n, n)
    B : array_like (n, inputs), optional
        No inputs by default.
    C : array_like (outputs, n), optional
        The identity by default.
    D : array_like (outputs, inputs), optional
        Zero by default.
    dt : float, optional
        Step of a discrete system; None for a continuous one.

    Raises
    ------
    ShapeError
        If the matrices do not fit.
    NotFiniteError
        If one holds NaN or infinity.

    References
    ----------
    Gu, Goel and Re (2022), ICLR, eq. 4, for the discrete output.

    Examples
    --------
    >>> import numpy as np
    >>> import dynmem as dm
    >>> dm.LinearSystem(np.array([[0.5]]), np.array([[1.0]]), dt=1.0).kernel(4).ravel().tolist()
    [1.0, 0.5, 0.25, 0.125]
    """

    A: np.ndarray
    B: np.ndarray = None  # type: ignore[assignment]
    C: np.ndarray = None  # type: ignore[assignment]
    D: np.ndarray = None  # type: ignore[assignment]
    dt: float | None = None

    def __post_init__(self):
        A = _matrix("A", self.A)
        n = len(A)
        if A.shape != (n, n) or not n:
            raise ShapeError(
                f"A must be square, got shape {A.shape}: eigenvalues belong to a map "
                "of a space to itself"
            )
        B = np.zeros((n, 0)) if self.B is None else _matrix("B", self.B)
        C = np.eye(n) if self.C is None else _matrix("C", self.C)
        D = np.zeros((len(C), B.shape[1])) if self.D is None else _matrix("D", self.D)
        if len(B) != n or C.shape[1] != n or D.shape != (len(C), B.shape[1]):
            raise ShapeError(
                f"A {A.shape}, B {B.shape}, C {C.shape}, D {D.shape} do not fit: "
                "expected (n, n), (n, inputs), (outputs, n), "
                "(outputs, inputs)"
            )
        if self.dt is not None:
            number("dt", self.dt, above=0)
        for name, matrix in zip("ABCD", (A, B, C, D), strict=True):
            object.__setattr__(self, name, matrix)

    inputs = property(lambda self: self.B.shape[1])

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """An error for a name that the system does not have, with the one probably meant."""
            raise UnknownAttributeError(self, name)

    def __repr__(self) -> str:
        time = "continuous" if self.dt is None else f"dt={self.dt:.6g}"
        n, outputs = len(self.A), len(self.C)
        return f"LinearSystem({n} states, {self.inputs} inputs, {outputs} outputs, {time})"

    def _repr_html_(self) -> str:
        """The system as a notebook shows it: equations, sizes and eigenvalues."""
        discrete = self.dt is not None
        left, now = (r"x_t", "x_{t-1}") if discrete else (r"\frac{dx}{dt}", "x")
        u, y, x = ("u_t", "y_t", "x_t") if discrete else ("u", "y", "x")
        driven = self.inputs > 0
        formula = rf"{left} = A {now}{f' + B {u}' if driven else ''}, \quad {y} = C {x}" + (
            f" + D {u}" if driven else ""
        )
        label = "largest modulus" if discrete else "largest real part"
        value = np.abs(self.eigenvalues[0]) if discrete else self.eigenvalues[0].real
        rows: list[tuple[str, Any]] = [
            (name, f"matrix {getattr(self, name).shape}") for name in "ABCD"
        ]
        rows += [("step dt", self.dt), (f"eigenvalue of {label}", f"{value:.6g}")]
        rows.append(("exponents", listed(self.exponents.tolist())))
        return card(repr(self), summary(type(self)), rows, [formula])

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues of A, shape (n,), largest modulus (discrete) or largest real part
        (continuous) first."""
        values = np.linalg.eigvals(self.A)
        return values[np.argsort(-(values.real if self.dt is None else np.abs(values)))]

    @property
    def spectral_radius(self) -> float:
        """Largest modulus of an eigenvalue of A."""
        return float(np.abs(self.eigenvalues).max())

    @property
    def exponents(self) -> np.ndarray:
        """Lyapunov exponents, shape (n,): real parts of the eigenvalues, or ln|eigenvalue| / dt."""
        with np.errstate(divide="ignore"):
            return (
                self.eigenvalues.real
                if self.dt is None
                else np.log(np.abs(self.eigenvalues)) / self.dt
            )

    @property
    def lagged(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(A, B, C, D) for x_(t+1) = A x_t + B u_t, y_t = C x_t + D u_t with the same response, as
        scipy.signal writes it."""
        self._discrete("lagged")
        return self.A, self.B, self.C @ self.A, self.C @ self.B + self.D

    def discretise(self, dt: float, method: str = "zoh") -> LinearSystem:
        """Discrete system of step dt.

        Parameters
        ----------
        dt : float
        method : {"zoh", "bilinear", "euler"} Exact for inputs held over the step; (I - dt A/2)^-1
            (I + dt A/2), the Cayley transform of -dt A/2; or I + dt A.

        Returns
        -------
        LinearSystem

        Raises
        ------
        ValueError
            If the method is unknown, the step not positive, or the system discrete already.

        Examples
        --------
        >>> decay = LinearSystem(-np.eye(1))
        >>> [round(decay.discretise(0.1, m).A.item(), 6) for m in ("zoh", "bilinear", "euler")]
        [0.904837, 0.904762, 0.9]
        """
        if self.dt is not None:
            raise ValueError(f"the system is discrete already, with dt = {self.dt}")
        dt = number("dt", dt, above=0)
        choice("method", method, ("zoh", "bilinear", "euler"))
        n, eye = len(self.A), np.eye(len(self.A))
        if method == "zoh":
            from scipy.linalg import expm

            m = self.B.shape[1]
            block = expm(dt * np.block([[self.A, self.B], [np.zeros((m, n + m))]]))
            A, B = block[:n, :n], block[:n, n:]
        elif method == "bilinear":
            A, B = cayley(-0.5 * dt * self.A), np.linalg.solve(eye - 0.5 * dt * self.A, dt * self.B)
        else:
            A, B = eye + dt * self.A, dt * self.B
        return LinearSystem(A, B, self.C, self.D, dt)

    def kernel(self, length: int) -> np.ndarray:
        """Convolution kernel C A^j B (+ D at j = 0), shape (length, outputs, inputs), of a discrete
        system."""
        self._discrete("kernel")
        length = integer("length", length)
        out, state = (
            np.empty(
                (length, len(self.C), self.B.shape[1]),
                np.result_type(self.A, self.B, self.C, self.D),
            ),
            self.B,
        )
        for j in range(length):
            out[j] = self.C @ state
            state = self.A @ state
        out[:1] += self.D
        return out

    def run(self, x: ArrayLike | None, u: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (..., T, outputs) and last state (..., n) by the recurrence, from the state x
        (None: zero) for inputs u (..., T, inputs)."""
        self._discrete("run")
        inputs = self._input(u)
        state = np.zeros((*inputs.shape[:-2], len(self.A))) if x is None else tensors(x)
        if state.shape[-1:] != (len(self.A),) or not inputs.shape[-2]:
            raise ShapeError(
                f"x of shape {state.shape} and {inputs.shape[-2]} steps: a run takes x of "
                f"shape (..., {len(self.A)}) and at least one step"
            )
        outputs = []
        for t in range(inputs.shape[-2]):
            state = state @ self.A.T + inputs[..., t, :] @ self.B.T
            outputs.append(state @ self.C.T + inputs[..., t, :] @ self.D.T)
        return np.stack(outputs, axis=-2), state

    def convolve(self, u: ArrayLike) -> np.ndarray:
        """The same outputs (..., T, outputs) as one causal convolution by FFT, zero padded, from
        the state zero."""
        self._discrete("convolve")
        inputs = self._input(u)
        length = inputs.shape[-2]
        kernel = self.kernel(length)
        real = np.isrealobj(kernel) and np.isrealobj(inputs)
        forward, backward = (np.fft.rfft, np.fft.irfft) if real else (np.fft.fft, np.fft.ifft)
        product = np.einsum(
            "foi,...fi->...fo",
            forward(kernel, 2 * length, axis=0),
            forward(inputs, 2 * length, axis=-2),
        )
        return backward(product, 2 * length, axis=-2)[..., :length, :]

    @property
    def time_constants(self) -> np.ndarray:
        """Times (n,) over which the modes fall to 1/e, longest first, -1 / exponents; infinite for
        what does not decay.

        >>> LinearSystem(np.diag([-0.5, -2.0])).time_constants.tolist()
        [2.0, 0.5]
        """
        with np.errstate(divide="ignore"):
            return np.where(self.exponents < 0, -1.0 / self.exponents, np.inf)

    def transfer(self, s: ArrayLike) -> np.ndarray:
        """Transfer function at the points s (...), shape (..., outputs, inputs): C (s - A)^-1 B + D
        of a continuous system, and of a discrete one, whose output sees the state that the input
        has just changed, C (1 - A/z)^-1 B + D, the z-transform of ``kernel``.

        >>> LinearSystem([[-1.0]], [[1.0]]).transfer(1.0).item().real
        0.5
        """
        s = np.asarray(s, dtype=complex)[..., None, None]
        eye = np.eye(len(self.A))
        if self.dt is not None and not s.all():
            raise ValueError(
                "the transfer function of a discrete system is a series in 1/z: leave z = 0 out"
            )
        pencil = s * eye - self.A if self.dt is None else eye - self.A / s
        try:
            return (
                self.C
                @ np.linalg.solve(
                    pencil, np.broadcast_to(self.B, (*pencil.shape[:-2], *self.B.shape))
                )
                + self.D
            )
        except np.linalg.LinAlgError:
            raise ValueError(
                "one of the points is an eigenvalue of A, where the transfer "
                "function has a pole: leave it out"
            ) from None

    def frequency_response(self, omega: ArrayLike) -> np.ndarray:
        """Transfer function at the angular frequencies omega (...) in radians per unit of time, on
        the imaginary axis or the unit circle."""
        omega = np.asarray(omega, dtype=float)
        return self.transfer(1j * omega if self.dt is None else np.exp(1j * omega * self.dt))

    def impulse_response(self, times: ArrayLike) -> np.ndarray:
        """Response C exp(A t) B to a unit impulse, shape (times, outputs, inputs), of a continuous
        system; D, an impulse itself, is left out."""
        if self.dt is not None:
            raise ValueError("the impulse response of a discrete system is its kernel(length)")
        from scipy.linalg import expm

        return np.array([self.C @ expm(t * self.A) @ self.B for t in np.ravel(tensors(times))])

    def gramian(self, kind: str = "controllability") -> np.ndarray:
        """Controllability (or observability) Gramian (n, n) of a stable system, by scipy's Lyapunov
        solvers."""
        from scipy.linalg import solve_continuous_lyapunov, solve_discrete_lyapunov

        choice("kind", kind, ("controllability", "observability"))
        if self.exponents[0] >= 0:
            raise ValueError(
                f"a Gramian needs a stable system, the first exponent is {self.exponents[0]:.6g}"
            )
        A, B = (self.A, self.B) if kind == "controllability" else (self.A.conj().T, self.C.conj().T)
        noise = B @ B.conj().T
        return (
            solve_continuous_lyapunov(A, -noise)
            if self.dt is None
            else solve_discrete_lyapunov(A, noise)
        )

    def _input(self, u):
        """A sequence of inputs (..., T, inputs), checked."""
        if np.ndim(u) < 2:
            raise ShapeError(
                f"u has shape {np.shape(u)}, expected (..., T, {self.inputs}), one row a step; the "
                "state is the first argument, None for zero"
            )
        return as_input(self, u)

    def _discrete(self, what):
        if self.dt is None:
            raise ValueError(f"{what} needs a discrete system: call discretise(dt) first")


def _matrix(name, value):
    value = tensors(value)
    if value.ndim != 2:
        raise ShapeError(f"{name} must be a matrix, got shape {value.shape}")
    if not np.isfinite(value).all():
        raise NotFiniteError(f"{name} holds NaN or infinity")
    return value


@public
def linearize(system: System, x: ArrayLike, u: ArrayLike | None = None) -> LinearSystem:
    """Linear system of small deviations around a state: A = df/dx, B = df/du, C = dy/dx, D = dy/du.

    Parameters
    ----------
    system : Map or Flow
    x : array_like (n,)
        State.
    u : array_like (inputs,), optional
        Input; zero by default.

    Returns
    -------
    LinearSystem
        Continuous for a Flow, discrete with the step of the Map otherwise.

    Raises
    ------
    ShapeError
        If x is not one state, or u not one input.

    Examples
    --------
    >>> import dynmem as dm
    >>> network = dm.models.get("tanh", units=5, gain=0.5, rng=0)
    >>> bool(dm.linearize(network, [0.0] * 5).spectral_radius < 1)
    True
    """
    system = as_system(system)
    x = as_state(system, x)
    if x.ndim != 1:
        raise ShapeError(f"linearize takes one state of shape (n,), got {x.shape}")
    driven = system.inputs > 0
    u = np.zeros(system.inputs) if driven and u is None else as_input(system, u)
    flow = isinstance(system, Flow)
    after = x if flow else np.asarray(system.rule(x, u))
    return LinearSystem(
        jacobian(system, x, u),
        jacobian(system, x, u, wrt="input") if driven else None,  # type: ignore[arg-type]
        jacobian(system, after, u, of="output"),
        jacobian(system, after, u, wrt="input", of="output") if driven else None,  # type: ignore[arg-type]
        None if flow else system.dt,
    )
