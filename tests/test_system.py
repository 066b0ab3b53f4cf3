"""Systems: a user's own in five lines, its parameters, and what bad input is told."""

import pickle
from functools import cached_property

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.system import as_input, as_state, as_system, map_arrays
from tests.reference import BUILD, Lorenz, Lorenz96, Pendulum, row


@pytest.mark.parametrize("name", BUILD)
def test_every_row_describes_itself(name):
    import json

    system, x, u = row(name)
    assert json.loads(json.dumps(system.parameters)) == json.loads(json.dumps(system.parameters))
    assert type(system).__name__ in str(system)
    if system.size is not None:
        assert system.initial(3).shape == (system.size,) == x.shape
        np.testing.assert_array_equal(system.initial(3), system.initial(np.random.default_rng(3)))
        assert np.shape(system.output(x, u)) == (system.outputs,)
        assert len(set(system.states)) == system.size


def test_a_parameter_that_a_system_does_not_take():
    with pytest.raises(
        TypeError,
        match="Lorenz63 takes no parameter 'rh' .did you mean rho..: it takes sigma, rho, beta",
    ):
        dm.systems.get("lorenz63", rh=3)


def test_systems_are_frozen():
    with pytest.raises(AttributeError):
        Pendulum().damping = 2.0


def test_a_system_of_unknown_size_asks_for_a_state():
    assert Lorenz96().size is None
    with pytest.raises(
        ShapeError, match="or pass the state .x0 of a run, starts of dm.fixed_points"
    ):
        Lorenz96().initial()


@pytest.mark.parametrize(
    "bad, error, text",
    [
        (
            [1.0, 2.0],
            ShapeError,
            r"x has 2 components, Lorenz has 3 states \(x, y, z\): pass shape "
            r"\(\.\.\., 3\)",
        ),
        (1.0, ShapeError, r"got a single number: pass \[1\.0\]"),
        ([1.0, np.nan, 0.0], NotFiniteError, "NaN or infinity: Lorenz cannot start there"),
        ([1.0, np.inf, 0.0], NotFiniteError, "NaN or infinity"),
        (["a", "b", "c"], ShapeError, r"must be an array of numbers, in the order x, y, z"),
        (None, ShapeError, "must be an array of numbers"),
        ([[1.0], [1.0, 2.0]], ShapeError, "must be an array of numbers"),
        ({"x": 1.0}, ShapeError, "in the order x, y, z, got {'x': 1.0}"),
    ],
)
def test_bad_states(bad, error, text):
    with pytest.raises(error, match=text):
        as_state(Lorenz(), bad)


def test_bad_inputs():
    tanh = dm.models.Tanh.zeros(2, 3)
    for bad in (np.ones(2), 1.0):
        with pytest.raises(ShapeError, match=r"takes 3: pass shape \(\.\.\., 3\)"):
            as_input(tanh, bad)
    with pytest.raises(NotFiniteError, match="u holds NaN"):
        as_input(tanh, [np.nan, 0, 0])
    assert as_input(tanh, None) is None


def test_what_is_not_a_system():
    with pytest.raises(TypeError, match=r"pass an instance, Lorenz\(\.\.\.\)"):
        as_system(Lorenz)
    with pytest.raises(TypeError, match=r"pass dm\.FlowMap\(flow, dt\)"):
        as_system(Lorenz(), dm.Map)
    with pytest.raises(TypeError, match="the system is the first argument"):
        as_system(np.eye(3))


def test_states_are_copied():
    x = np.ones(3)
    as_state(Lorenz(), x)[0] = 7
    assert x[0] == 1


def test_parameters_hold_plain_numbers():
    parameters = dm.models.get("tanh", units=2, layers=2).parameters
    assert [layer["system"] for layer in parameters["layers"]] == ["Tanh", "Tanh"]
    assert dm.models.Linear(np.zeros((5, 5))).parameters["W"] == "array(5, 5)"


def test_map_arrays_reaches_every_array_and_recomputes_what_is_cached():
    class Own(dm.Map):
        pair: tuple = ()
        scale: float = 2.0
        states = ("x",)

        def __post_init__(self):
            object.__setattr__(self, "derived", np.ones(1))  # not a field, and it must not be lost

        @cached_property
        def total(self):
            return sum(a.sum() for a in self.pair)

        def rule(self, x, u):
            return x * self.derived * self.total * self.scale

    system = Own((np.ones(2), np.ones(3)))
    assert system.total == 5
    twin = map_arrays(system, lambda a: 10 * a)
    assert (twin.total, twin.derived.item(), twin.scale, system.total) == (50, 10, 2.0, 5)
    assert (
        dm.jacobian(system, [1.0], engine="torch").item()
        == dm.jacobian(system, [1.0]).item()
        == 10.0
    )
    assert dm.jacobian(system, [1.0], engine="symbolic").item() == 10.0
    nested = map_arrays(dm.models.get("gru", units=2, layers=2), np.zeros_like)
    assert all(not layer.W.any() for layer in nested.layers)


def test_a_system_without_a_state_has_nothing_to_hold_to_a_batch():
    """Its empty states broke the reshaping: an orbit of memoryless layers, and all that follows
    one, failed."""
    from dynmem.models import Dense
    from dynmem.orbits import trajectory

    dense = Dense.random(2, 3)
    assert trajectory(dense, np.zeros((4, 0)), 5, np.ones((5, 4, 3))).shape == (6, 4, 0)
    assert dm.analysis.receptive_field(dense).receptive_field == 1


# ---- what a user types ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gru", "lru", "attention", "tcn", "esn"])
def test_a_run_without_a_state_starts_at_zero(name):
    model = dm.models.get(name, units=4, inputs=2, outputs=3)
    u = np.random.default_rng(0).standard_normal((7, 2))
    for run in (model.run, model.unroll):
        outputs, last = run(None, u)
        expected = run(np.zeros(model.size), u)
        np.testing.assert_array_equal(outputs, expected[0])
        np.testing.assert_array_equal(last, expected[1])
        np.testing.assert_array_equal(outputs, run(None, u.tolist())[0])
        on_torch = run(None, torch.tensor(u))[0]
        np.testing.assert_allclose(on_torch.numpy(), outputs, atol=1e-12)
    half = model.run(None, torch.tensor(u, dtype=torch.float32))[0]
    assert half.dtype == torch.float32


def test_a_batch_without_a_state_starts_at_zero():
    model = dm.models.get("lstm", units=3, inputs=2)
    u = np.random.default_rng(0).standard_normal((5, 7, 2))
    batch = model.run(None, u)[0]
    np.testing.assert_allclose(batch[2], model.run(None, u[2])[0], atol=1e-14)
    step = dm.FlowMap(Pendulum(), 0.1)
    assert step.run(None, np.zeros((4, 0)))[0].shape == (4, 2)


@pytest.mark.parametrize(
    ("x", "u", "words"),
    [
        (
            np.zeros((7, 2)),
            np.zeros(4),
            r"u is of shape \(4,\): the inputs of GRU .* first argument",
        ),
        (np.zeros((7, 2)), None, "u is None: the inputs of GRU"),
        (np.zeros(3), np.zeros((7, 2)), r"x is of shape \(3,\): the state of GRU has shape"),
        (None, np.zeros(7), r"shape \(\.\.\., T, 2\), one row a step"),
        (None, np.zeros((7, 3)), r"u is of shape \(7, 3\)"),
        (0.0, np.zeros((7, 2)), r"x is 0\.0: the state of GRU"),
        (None, 0.3, "u is 0.3"),
    ],
)
def test_swapped_and_misshapen_arguments_of_run(x, u, words):
    model = dm.models.get("gru", units=4, inputs=2)
    for run in (model.run, model.unroll):
        with pytest.raises(ShapeError, match=words):
            run(x, u)


@pytest.mark.parametrize(
    ("thing", "name", "words"),
    [
        (dm.systems.get("lorenz63"), "rhoo", r"Lorenz63 has no attribute 'rhoo' .did you mean rho"),
        (dm.systems.get("lorenz63"), "x0", "it has sigma, rho, beta"),
        (dm.models.get("gru", units=2), "unrol", "did you mean unroll"),
        (dm.LinearSystem(np.eye(2)), "eigenvalue", "did you mean eigenvalues"),
    ],
)
def test_an_attribute_that_was_probably_meant(thing, name, words):
    with pytest.raises(AttributeError, match=words):
        getattr(thing, name)
    assert not hasattr(thing, name) and getattr(thing, name, 3) == 3


def test_an_error_inside_a_property_is_not_hidden():
    class Broken(dm.Map):
        states = ("x",)

        @property
        def half(self):
            return self.parameters.missing

    with pytest.raises(AttributeError, match="'dict' object has no attribute 'missing'"):
        _ = Broken().half
    assert pickle.loads(pickle.dumps(dm.systems.get("henon"))).a == 1.4


def test_completion_lists_what_a_user_calls():
    listed = dir(dm.systems.get("lorenz63"))
    assert {"rho", "rule", "initial", "known", "exponent_sum", "states"} <= set(listed)
    hooks = {"branch_gain", "levels", "tile", "neutral", "jump", "weight", "balanced", "splitting"}
    assert not hooks & set(listed) and "energy" not in listed and "conserves_energy" not in listed
    assert {"energy", "conserves_energy"} <= set(dir(dm.systems.get("henon_heiles")))


def test_scipy_order_of_arguments_is_refused():
    with pytest.raises(TypeError, match="takes the time t first"):
        dm.Flow.from_function(lambda t, x: -x)
    with pytest.raises(TypeError, match=r"'parameter' .did you mean parameters"):
        dm.Flow.from_function(lambda x: -x, parameter={})
