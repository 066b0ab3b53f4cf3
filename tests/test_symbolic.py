"""Symbols: formulas derived from the rule, and no text that reaches eval."""

import numpy as np
import pytest
import sympy

import dynmem as dm
from dynmem import symbolic
from dynmem.errors import ShapeError
from dynmem.models import GRU, LSTM, Linear, Network, Orthogonal, Relu, Tanh
from tests.reference import Henon, Logistic, Lorenz, Lorenz96, Pendulum, row


def test_the_derivative_of_the_lstm_cell_is_its_forget_gate():
    """d c'/d c = f, derived from the rule and compared with the gate of the same cell on the same
    symbols (Gers et al. 2000)."""
    cell = LSTM.random(1, 1)
    named = symbolic._with_parameters(cell, "symbols")
    x, u = symbolic.symbols(cell)
    _, forget, _, _ = named.gate_values(x, u)
    J = symbolic.jacobian(cell, parameters="symbols")
    assert J.shape == (2, 2)
    assert sympy.simplify(J[1, 1] - forget[0]) == 0
    assert {str(s) for s in J[1, 1].free_symbols} == {"W_10", "V_10", "b_1", "h", "u0"}
    assert J[0, 0].has(sympy.tanh)


def test_the_gru_keeps_by_its_update_gate():
    """With the recurrent weights out, d h'/d h = z."""
    cell = GRU.zeros(1, 1)
    J = symbolic.jacobian(GRU(cell.W, np.ones((3, 1)), np.array([0.2, 0.7, -0.1])))
    gate = (1 + sympy.tanh((sympy.Symbol("u0", real=True) + sympy.Float(0.7)) / 2)) / 2
    assert (
        abs(sympy.N((J[0, 0] - gate).subs("u0", 0)).subs(sympy.Symbol("u0", real=True), 0.3))
        < 1e-15
    )


def test_formulas_of_cells():
    W, h = sympy.symbols("W h", real=True)
    assert symbolic.jacobian(Linear.zeros(1), parameters="symbols") == sympy.Matrix([[W]])
    assert symbolic.jacobian(Linear.zeros(1, leak=0.5), parameters="symbols")[0].free_symbols == {
        W,
        sympy.Symbol("leak", real=True),
    }
    assert (
        symbolic.jacobian(Relu.zeros(1), parameters="symbols")[0]
        .subs({h: 1, W: 2, "b": 0})
        .has(sympy.Integer(2))
    )
    assert "forget" not in symbolic.latex(LSTM.zeros(1))
    assert symbolic.latex(Tanh.zeros(1)).startswith(r"\left[\begin{matrix}W")
    assert symbolic.jacobian(Tanh.zeros(1, 1), wrt="input", parameters="symbols")[0].has(
        sympy.Symbol("V", real=True)
    )
    assert symbolic.jacobian(Orthogonal.random(2), wrt="state").shape == (2, 2)
    assert symbolic.equations(Network((Tanh.random(1, 1), LSTM.random(1, 1)))).shape == (3, 1)


def test_numbers_and_symbols_of_flows():
    x, y, z, rho = sympy.symbols("x y z rho", real=True)
    assert symbolic.jacobian(Lorenz(), parameters="symbols")[1, 0] == rho - z
    # an int for a float
    assert symbolic.jacobian(Lorenz(rho=28), parameters="symbols")[1, 0] == rho - z
    assert symbolic.equations(Lorenz())[2] == x * y - sympy.Float(8 / 3) * z
    assert symbolic.jacobian(Pendulum(), parameters="symbols")[1, 0] == -sympy.cos(
        sympy.Symbol("angle", real=True)
    )
    assert symbolic.jacobian(Lorenz96(), size=4).shape == (4, 4)


def test_names_of_matrix_entries_do_not_run_together():
    """W_111 could be W_1,11 or W_11,1."""
    cell = Tanh.zeros(2, 12)
    assert len(symbolic.equations(cell, parameters="symbols").free_symbols) == 2 + 12 + 4 + 24 + 2
    wide = symbolic._named(
        type("Field", (), {"name": "W", "type": "np.ndarray"}), np.zeros((12, 12))
    )
    assert len(set(wide.flat)) == 144


def test_fixed_points():
    points = symbolic.fixed_points(Henon())
    assert sorted(float(p[0]) for p in points) == pytest.approx(
        [-1.1313544770895048, 0.6313544770895048], abs=1e-12
    )
    assert all(isinstance(p, tuple) and len(p) == 2 for p in points)
    assert sorted(map(float, sum(symbolic.fixed_points(Logistic(3.0)), ()))) == pytest.approx(
        [0.0, 2 / 3]
    )
    assert sorted(float(p[2]) for p in symbolic.fixed_points(Lorenz())) == pytest.approx(
        [0, 27, 27]
    )
    # sympy hands a dict back for these
    linear = Linear(np.diag([0.5, 0.25]), np.ones((2, 1)), np.ones(2))
    assert [tuple(map(float, p)) for p in symbolic.fixed_points(linear)] == [
        pytest.approx((2.0, 4 / 3))
    ]


@pytest.mark.parametrize("name", ["tanh, one unit", "gru", "lstm", "quadratic", "relu"])
def test_fixed_points_without_a_closed_form_end_soon(name):
    """sympy, left alone, fills the memory with rational powers."""
    with pytest.raises(NotImplementedError):
        symbolic.fixed_points(row(name)[0])


def test_evaluate_in_batches_matches_the_rule():
    x, u = (
        np.random.default_rng(0).standard_normal((4, 5, 2)),
        np.random.default_rng(1).standard_normal((5, 1)),
    )
    cell = LSTM.random(1, 1, rng=2)
    found = symbolic.evaluate(symbolic.equations(cell), cell, x, u)
    np.testing.assert_allclose(
        found[..., 0], cell.rule(x, np.broadcast_to(u, (4, 5, 1))), atol=1e-14
    )


def test_conditions_become_piecewise():
    class Tent(dm.Map):
        states = ("x",)

        def rule(self, x, u):
            return dm.where(x < 0.5, 2 * x, 2 - 2 * x)

    x = sympy.Symbol("x", real=True)
    assert symbolic.jacobian(Tent())[0] == sympy.Piecewise((2, x < 0.5), (-2, True))
    for at, slope in ((0.2, 2), (0.7, -2)):
        assert dm.jacobian(Tent(), [at], engine="symbolic") == dm.jacobian(Tent(), [at]) == slope


HOSTILE = [
    "x; import os",
    "__import__('os').system('true')",
    "x.y",
    "a b",
    "",
    "1x",
    "x+y",
    "lambda: 0",
    "x\n",
    "x[0]",
]


@pytest.mark.parametrize("name", [*HOSTILE, 3, None])
def test_hostile_names_are_refused(name):
    class Own(dm.Map):
        states = (name,)

        def rule(self, x, u):
            return x

    for call in (symbolic.jacobian, symbolic.equations, symbolic.latex, symbolic.fixed_points):
        with pytest.raises(ValueError, match="is not a name"):
            call(Own())


@pytest.mark.parametrize(
    "name", ["lambda", "__import__", "exec", "tanh", "numpy", "u0", "_Dummy_1"]
)
def test_names_that_mean_something_to_python_stay_names(name):
    class Own(dm.Map):
        states = (name, "other")
        inputs = 1

        def rule(self, x, u):
            return dm.tanh(x) + u

    np.testing.assert_allclose(
        dm.jacobian(Own(), [0.1, 0.2], [0.3], engine="symbolic"),
        dm.jacobian(Own(), [0.1, 0.2], [0.3]),
        atol=1e-15,
    )


def test_names_that_would_be_mixed_up_are_refused():
    class Own(dm.Map):
        x: float = 2.0
        states = ("x",)

        def rule(self, x, u):
            return self.x * x

    assert symbolic.jacobian(Own())[0] == sympy.Float(2.0)
    with pytest.raises(ValueError, match="x names a state and a parameter of Own: rename one"):
        symbolic.jacobian(Own(), parameters="symbols")

    class Twice(dm.Map):
        states = ("x", "x")

        def rule(self, x, u):
            return x

    with pytest.raises(ValueError, match="different names"):
        symbolic.jacobian(Twice())


def test_limits_and_options():
    with pytest.raises(ShapeError, match="9 states, symbols are made for up to 8"):
        symbolic.jacobian(Tanh.zeros(9))
    with pytest.raises(ShapeError, match="pass size=n"):
        symbolic.jacobian(Lorenz96())
    with pytest.raises(ShapeError, match="takes no input"):
        symbolic.jacobian(Lorenz(), wrt="input")
    with pytest.raises(ValueError, match="'numbers' or 'symbols'"):
        symbolic.equations(Lorenz(), parameters="letters")
    with pytest.raises(ValueError, match="take one of its layers"):
        symbolic.equations(Network((Tanh.random(1),)), parameters="symbols")
    with pytest.raises(TypeError, match="expected a dynmem System"):
        symbolic.jacobian("x**2")
