"""The Legendre Memory Unit against a direct loop of its published equations, and its memory against
scipy's hold and against a delay."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import LMU


def test_the_published_equations():
    """Voelker et al. (2019), equations 1 and 5 to 7, the memory discretised by scipy's zero-order
    hold."""
    cell = replace(LMU.random(4, 2, rng=1, order=5, theta=12.0), Em=0.1 * np.ones((1, 5)))
    flow = cell.memory
    A, B, *_ = signal.cont2discrete((flow.A, flow.B, flow.C, flow.D), 1.0, "zoh")
    u, h, m = np.random.default_rng(0).standard_normal((60, 2)), np.zeros(4), np.zeros(5)
    expected = []
    for x in u:
        w = cell.Ex @ x + cell.Eh @ h + cell.Em @ m
        m = A @ m + B @ w
        h = np.tanh(cell.V @ x + cell.W @ h + cell.M @ m)
        expected.append(h)
    outputs, last = cell.run(np.zeros(cell.size), u)
    np.testing.assert_allclose(outputs, expected, atol=1e-12)
    np.testing.assert_allclose(last, np.concatenate((h, m)), atol=1e-12)
    first, middle = cell.run(np.zeros(cell.size), u[:25])
    second, end = cell.run(middle, u[25:])
    np.testing.assert_array_equal(np.concatenate((first, second)), outputs)
    np.testing.assert_array_equal(end, last)


def test_several_memories_are_side_by_side():
    """Two memories with the rows of one each do what two cells do, as long as nothing reads
    across."""
    one, two = (LMU.random(2, 1, rng=seed, order=3, theta=7.0) for seed in (1, 2))
    zero = np.zeros((2, 3))
    both = LMU(
        one.W,
        one.V,
        np.block([one.M, zero]),
        np.concatenate((one.Ex, two.Ex)),
        np.concatenate((one.Eh, two.Eh)),
        np.zeros((2, 6)),
        7.0,
    )
    u = np.random.default_rng(0).standard_normal((30, 1))
    np.testing.assert_allclose(both.run(np.zeros(8), u)[0], one.run(np.zeros(5), u)[0], atol=1e-14)
    assert (both.memories, both.order, both.states[2:4]) == (2, 3, ("m0_0", "m0_1"))


def test_the_memory_is_a_delay_by_theta():
    """With the encoder 1 and no feedback, the memory read out by ones is the input theta steps ago
    (smooth input, order 10)."""
    cell = LMU.random(1, 1, order=10, theta=50.0)
    cell = replace(cell, Ex=np.ones((1, 1)), Eh=np.zeros((1, 1)))
    t = np.arange(600)
    u = np.sin(2 * np.pi * t / 100)[:, None]
    states, x = [], np.zeros(cell.size)
    for each in u:
        x = cell.rule(x, each)
        states.append(x[1:])
    read = np.array(states) @ cell.memory.C[0]
    np.testing.assert_allclose(
        read[200:], np.sin(2 * np.pi * (t[200:] + 0.5 - 50) / 100), atol=2e-3
    )
    memory = cell.memory.discretise(1.0)
    np.testing.assert_allclose(read, memory.run(None, u)[0][:, 0], atol=1e-12)
    np.testing.assert_allclose(memory.convolve(u)[:, 0], read, atol=1e-10)


def test_resampling_keeps_the_window():
    """Samples twice as close, theta twice as many steps: the same memory, exactly for a held
    input."""
    cell = LMU.random(2, 1, order=6, theta=20.0)
    u = np.random.default_rng(1).standard_normal((50, 1))
    finer = cell.resampled(0.5)
    assert finer.theta == 40.0
    coarse = cell.memory.discretise(1.0).run(None, u)[0]
    np.testing.assert_allclose(
        finer.memory.discretise(1.0).run(None, np.repeat(u, 2, axis=0))[0][1::2], coarse, atol=1e-12
    )


def test_theta_can_be_trained():
    import torch

    from dynmem.training import Trainable

    cell = LMU.random(3, 2, rng=4, order=4, theta=9.0)
    net = Trainable(cell, "float64", train=("theta",))
    u = torch.randn(2, 12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    loss = net(u).square().sum()
    loss.backward()

    def at(theta):
        return (replace(cell, theta=theta).unroll(np.zeros(cell.size), u.numpy())[0] ** 2).sum()

    assert loss.item() == pytest.approx(at(9.0), rel=1e-12)
    assert net.weights()["theta"].grad.item() == pytest.approx(
        (at(9.0 + 1e-5) - at(9.0 - 1e-5)) / 2e-5, rel=1e-6
    )
    assert net.frozen().theta == 9.0


def test_formulas():
    """A memory of one state forgets as exp(-1/theta): in symbols, theta included."""
    import sympy

    J = dm.symbolic.jacobian(LMU.random(1, 1, order=1, theta=4.0), parameters="symbols")
    theta, Em = (next(s for s in J.free_symbols if s.name == name) for name in ("theta", "Em"))
    assert sympy.simplify(J[1, 1] - sympy.exp(-1 / theta) - Em * (1 - sympy.exp(-1 / theta))) == 0


def test_initialisation():
    cell = LMU.random(300, 200, order=50, theta=100.0, rng=0)
    assert cell.W.std() == pytest.approx(1 / np.sqrt(300), rel=0.02)
    assert cell.M.std() == pytest.approx(np.sqrt(2 / 350), rel=0.02)
    assert np.abs(cell.Ex).max() <= np.sqrt(3 / 200) and cell.Ex.var() == pytest.approx(
        1 / 200, rel=0.2
    )
    assert not cell.Em.any() and (cell.size, cell.outputs) == (350, 300)


def test_a_memory_that_is_not_fed_has_the_exponents_of_its_matrix():
    """Without encoders the memory block is on its own: the eigenvalues of A / theta are among the
    exponents."""
    cell = LMU.random(2, 1, order=3, theta=10.0)
    cell = replace(cell, Eh=np.zeros((1, 2)), W=np.zeros((2, 2)))
    found = dm.lyapunov_spectrum(cell, np.zeros(5), duration=3000, transient=200).lyapunov.values[
        :3
    ]
    np.testing.assert_allclose(found, cell.memory.exponents, atol=2e-3)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: LMU.random(0, 1), ValueError, "units = 0"),
        (lambda: LMU.random(3, 1, order=0), ValueError, "order = 0"),
        (lambda: LMU.random(3, 1, memories=0), ValueError, "memories = 0"),
        (
            lambda: LMU.random(3, 1, theta=0.0),
            ValueError,
            "theta = 0.0: must be a finite number above 0",
        ),
        (lambda: LMU.random(3, 1, theta="a"), ValueError, "theta = 'a'"),
        (lambda: LMU.random(3, 1).resampled(-1), ValueError, "factor = -1"),
        (lambda: replace(LMU.random(3, 1), M=np.ones(3)), ShapeError, "M of LMU must be a matrix"),
        (
            lambda: replace(LMU.random(3, 1), Ex=np.ones((2, 1))),
            ShapeError,
            r"Ex of LMU has shape \(2, 1\), expected \(1, 1\)",
        ),
        (
            lambda: replace(LMU.random(3, 1, order=3), Eh=np.ones((2, 3))),
            ShapeError,
            "3 columns, which 2 memories do not divide",
        ),
        (lambda: replace(LMU.random(3, 1), W=np.full((3, 3), np.inf)), NotFiniteError, "W of LMU"),
        (
            lambda: dm.models.get("lmu", units=3, inputs=1, gain=1.0),
            TypeError,
            "lmu takes no option 'gain': it takes memories, order, theta",
        ),
    ],
)
def test_bad_cells(make, error, text):
    with pytest.raises(error, match=text):
        make()
