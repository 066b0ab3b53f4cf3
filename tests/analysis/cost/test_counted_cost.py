"""Counted cost: shapes counted by hand, the formulas on paper, torch's own counter,
curves of known crossings, bad input."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

import dynmem as dm
from dynmem.analysis import counted_cost, match
from dynmem.analysis.cost.counting import Counted, Tally
from dynmem.arrays import VOCABULARY
from dynmem.errors import ShapeError, UnknownNameError
from dynmem.theory import cost_crossover, layer_cost
from tests.reference import BUILD


class Attention(dm.Map):
    """Softmax attention over a whole sequence, its past kept as a register of four inputs in the
    rule."""

    Q: np.ndarray
    K: np.ndarray
    V: np.ndarray
    O: np.ndarray

    inputs = outputs = property(lambda self: len(self.Q))
    size = property(lambda self: 4 * len(self.Q))
    states = property(lambda self: tuple(f"u{i}" for i in range(self.size)))

    def rule(self, x, u):
        return dm.concat((x[..., self.inputs :], u))

    def output(self, x, u):
        past = x.reshape(*x.shape[:-1], 4, self.inputs)
        return self._read(u[..., None, :], past)[..., 0, :]

    def run(self, x, u):
        return self._read(u, u), x

    def _read(self, now, past):
        scores = (now @ self.Q.T) @ dm.transpose(past @ self.K.T) / np.sqrt(self.inputs)
        return dm.softmax(scores) @ (past @ self.V.T) @ self.O.T


def attention(width):
    return Attention(*np.random.default_rng(0).standard_normal((4, width, width)))


def counted(function, *shapes):
    tally = Tally()
    out = function(*(Counted(np.ones(shape), tally) for shape in shapes))
    return tally.multiply_adds, tally.elementwise, out


@pytest.mark.parametrize(
    "function, shapes, expected",
    [
        (lambda a: a + 1.0, [(3, 4)], (0, 12)),
        (lambda a, b: a * b, [(3, 1), (4,)], (0, 12)),
        (lambda a: 2.0 - a / 3.0, [(5,)], (0, 10)),
        (lambda a: a @ np.ones((4, 7)), [(2, 3, 4)], (2 * 3 * 4 * 7, 0)),
        (lambda a: np.ones((7, 4)) @ a, [(4,)], (28, 0)),
        (lambda a, b: a @ b, [(3, 4), (4,)], (12, 0)),
        (lambda a: dm.sigmoid(a) + dm.erf(a), [(6,)], (0, 18)),
        (lambda a: dm.relu(a), [(6,)], (0, 6)),
        (lambda a: dm.stack((a, a))[..., 0] + 0.0, [(6,)], (0, 6)),
        (lambda a: dm.concat((a[..., 2:], a[..., :2])), [(6,)], (0, 0)),
        (lambda a: dm.sum(a), [(3, 4)], (0, 12)),
        (lambda a: a.mean(axis=0, keepdims=True), [(3, 4)], (0, 12)),
        (lambda a: dm.where(a.value > 0, a, 0.0), [(6,)], (0, 6)),
        (lambda a: a.reshape(2, 3).T[0].swapaxes(0, 0), [(6,)], (0, 0)),
        (lambda a: np.einsum("ij,jk->ik", a, np.ones((4, 5))), [(3, 4)], (60, 0)),
        (lambda a: np.einsum("...j,j->...j", a, np.ones(4)), [(2, 3, 4)], (24, 0)),
        (lambda a: dm.solve(np.eye(3), a), [(3, 2)], (9 + 18, 0)),
        (lambda a: np.fft.fft(a), [(8,)], (0, 5 * 8 * 3)),
        (lambda a: np.fft.rfft(a, axis=-2), [(8, 2)], (0, 5 * 8 * 3)),
        (lambda a: np.fft.fft(a) * 2.0, [(8,)], (0, 5 * 8 * 3 + 16)),
        (lambda a: np.fft.fft(a) * np.full(8, 1j), [(8,)], (0, 5 * 8 * 3 + 48)),
        (lambda a: np.fft.fft(a) @ np.full((8, 2), 1j), [(8,)], (4 * 16, 5 * 8 * 3)),
    ],
)
def test_operations_by_hand(function, shapes, expected):
    *found, out = counted(function, *shapes)
    assert tuple(found) == expected and isinstance(out, Counted)


def test_the_chain_of_operations():
    """Two branches count the longer one; moving numbers about waits for nothing."""
    *_, out = counted(lambda a: dm.concat((dm.tanh(dm.exp(a)), a + 1.0))[..., :2] * 2.0, (4,))
    assert out.depth == 3


def test_values_pass_through():
    """What is counted is computed: the numbers of a rule are those of numpy, for every row of the
    reference table that is a map."""
    for name in (
        "tanh",
        "lstm",
        "gru",
        "orthogonal, modrelu",
        "block, pre",
        "network, mixed",
        "lorenz map, order 8",
        "hopfield",
    ):
        system, rng = BUILD[name](), np.random.default_rng(1)
        x, u = (
            rng.standard_normal(system.size),
            rng.standard_normal(system.inputs) if system.inputs else None,
        )
        tally = Tally()
        found = system.rule(Counted(x, tally), None if u is None else Counted(u, tally))
        np.testing.assert_array_equal(found.value, system.rule(x, u))


def test_every_word_of_the_vocabulary_counts():
    calls = {
        "stack": lambda f, a: f((a, a)),
        "concat": lambda f, a: f((a, a)),
        "split": lambda f, a: f(a, 2)[0],
        "roll": lambda f, a: f(a, 1),
        "where": lambda f, a: f(a.value > 0, a, 0.0),
        "clip": lambda f, a: f(a, 0.1, 0.3),
    } | dict.fromkeys(("maximum", "minimum", "hypot", "arctan2", "solve"), lambda f, a: f(a, a))
    for name in VOCABULARY:
        a = Counted(np.array([[0.3, 0.1], [0.2, 0.4]]), Tally())
        assert isinstance(calls.get(name, lambda f, a: f(a))(getattr(dm, name), a), Counted), name


@pytest.mark.parametrize("kind", ["linear", "tanh", "relu", "gru", "lstm"])
@pytest.mark.parametrize("units, inputs", [(1, 1), (8, 3), (16, 16)])
def test_recurrent_layers_as_on_paper(kind, units, inputs):
    """Multiply-adds, parameters and state to the last one; the chain is as long as the sequence."""
    lengths = [1, 7, 300]
    found, paper = (
        counted_cost(dm.models.get(kind, units=units, inputs=inputs), lengths=lengths),
        layer_cost(kind, width=units, lengths=lengths, inputs=inputs),
    )
    np.testing.assert_array_equal(found.multiply_adds, paper.multiply_adds)
    assert (
        found.parameters == paper.parameters
        and found.multiply_adds.dims == paper.multiply_adds.dims
    )
    assert (paper.state_size == found.state_size).all() and (found.length == paper.length).all()
    assert found.operations.equals(2 * found.multiply_adds + found.elementwise)
    assert found.step_multiply_adds == paper.multiply_adds[0]
    chain = found.sequential_steps.values
    assert chain[2] - chain[1] == (300 - 7) * (chain[1] - chain[0]) / 6 and not found.by_rule


@pytest.mark.parametrize(
    "kind, options",
    [("lru", {}), ("attention", {"window": 300, "heads": 2}), ("tcn", {"convolutions": 1})],
)
def test_other_layers_as_on_paper(kind, options):
    """The same of models whose run takes all steps at once."""
    if kind not in dm.models.names():
        pytest.skip(f"there is no {kind}")
    model = dm.models.get(kind, units=16, inputs=16, **options)
    found = counted_cost(model, lengths=[1, 64, 256])
    paper = layer_cost("convolution" if kind == "tcn" else kind, width=16, lengths=[1, 64, 256])
    of_model = layer_cost(model, lengths=[1, 64, 256])
    for name in ("multiply_adds", "parameters", "state_size"):
        assert of_model[name].equals(found[name])
    np.testing.assert_array_equal(found.multiply_adds, paper.multiply_adds)
    # weight normalisation's g
    assert found.parameters == paper.parameters + (16 if kind == "tcn" else 0)


def test_a_loop_counted_by_two_steps_is_the_loop():
    """The same tally and chain as going through every step."""
    for name in ("tanh, leaky", "lstm", "gru", "orthogonal, modrelu", "network, gru"):
        system, length, tally = BUILD[name](), 9, Tally()
        system = system if system.inputs else replace(system, V=np.ones((len(system.b), 1)))
        u, x, chain = np.ones((length, system.inputs)), Counted(np.zeros(system.size), tally), 0
        for step in u:
            x = system.rule(x, Counted(step, tally))
            chain = x.depth
        found = Tally()
        _, last = system.unroll(Counted(np.zeros(system.size), found), Counted(u, found))
        by_output = Tally()
        system.output(Counted(np.zeros((length, system.size)), by_output), Counted(u, by_output))
        found.add(by_output, -1)
        assert found == tally and last.depth == chain


def test_attention_as_on_paper():
    """4 L^2 d for scores and sums, 8 L d^2 for the projections, a chain that does not grow."""
    for width in (4, 32):
        lengths = [1, 4 * width, 8 * width]
        found, paper = (
            counted_cost(attention(width), lengths=lengths),
            layer_cost("attention", width=width, lengths=lengths),
        )
        np.testing.assert_array_equal(found.multiply_adds, paper.multiply_adds)
        assert len(np.unique(found.sequential_steps)) == 1


@pytest.mark.parametrize("width", [4, 16, 64])
def test_attention_and_lstm_cross_at_four_widths(width):
    """By counting: 4 L^2 d against 16 L d^2. With its projections attention costs as much from 2 d
    on."""
    lengths = [4 * width - 1, 4 * width, 4 * width + 1]
    lstm, scores = (
        layer_cost(kind, width=width, lengths=lengths, projections=False).product_operations.values
        for kind in ("lstm", "attention")
    )
    assert scores[0] < lstm[0] and scores[1] == lstm[1] == 64 * width**3 and scores[2] > lstm[2]
    assert cost_crossover("lstm", width).crossover == 4 * width
    models = attention(width), dm.models.get("lstm", units=width, inputs=width)
    both = [counted_cost(model, lengths=2 * width).multiply_adds.item() for model in models]
    assert (
        both[0] == both[1]
        and cost_crossover("lstm", width, projections=True).crossover == 2 * width
    )
    assert (
        cost_crossover("tanh", width, projections=True).crossover == 0
        and cost_crossover("gru", width).crossover == 3 * width
    )


def test_parameters_are_what_trains():
    for name in ("lstm", "gru", "network, tanh", "block, pre", "orthogonal, modrelu"):
        system = BUILD[name]()
        assert counted_cost(system, lengths=2).parameters == sum(
            p.numel() for p in dm.Trainable(system).parameters()
        )
    module = nn.GRU(3, 5)
    second = 10  # biases of two gates, which torch has twice
    assert (
        counted_cost(dm.models.from_torch(module), lengths=1).parameters
        == sum(p.numel() for p in module.parameters()) - second
    )


@pytest.mark.slow  # torch loads its compiler to count
def test_against_the_counter_of_torch():
    """torch.utils.flop_counter on the same stack: the operations of its matrix products."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    system = dm.models.get(
        "gru", units=8, inputs=3, outputs=2, layers=2, rng=0, placement="pre", feedforward=5
    )
    twin = dm.Trainable(system, "float64", fused=True)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin(torch.zeros(1, 11, 3, dtype=torch.float64))
    rule = counted_cost(system, lengths=11)
    plain = 2 * rule.multiply_adds.item()
    assert counter.get_total_flops() == plain


def test_a_compiled_run_is_counted_by_the_rule():
    """A run that converts its input to a plain array does what the rule does at each step."""

    class Compiled(dm.models.Tanh):
        def run(self, x, u):
            return self.unroll(x, np.ascontiguousarray(np.asarray(u)))

    cell = dm.models.Tanh.random(5, 2, rng=0)
    found, plain = (
        counted_cost(Compiled(cell.W, cell.V), lengths=[3, 50]),
        counted_cost(cell, lengths=[3, 50]),
    )
    assert (
        found.by_rule
        and found.operations.equals(plain.operations)
        and found.sequential_steps.equals(plain.sequential_steps)
    )


WIDTH, MODES = 8, 16
SCANS = {  # multiply-adds of a layer in a step, on paper
    # B and C of WIDTH complex modes, D
    "lru": 2 * WIDTH * WIDTH + 2 * WIDTH * WIDTH + WIDTH * WIDTH,
    "selective": 2 * WIDTH + 2 * MODES * WIDTH,  # a step of rank 1; B and C
    # in, gate and out; the same of twice the channels
    "mamba": 3 * 2 * WIDTH * WIDTH + 2 * 2 * WIDTH + 2 * MODES * 2 * WIDTH,
}


@pytest.mark.parametrize("name", SCANS)
def test_a_stack_of_scans_costs_each_layer_once(name):
    """Also where the layers' run is compiled: no layer is counted twice, and no layer waits for the
    last step of the one below."""
    stack = dm.models.get(name, units=WIDTH, inputs=WIDTH, outputs=2, layers=2, rng=0)
    found, alone = (
        counted_cost(stack, lengths=[5, 50]),
        [counted_cost(layer, lengths=[5, 50]) for layer in stack.layers],
    )
    np.testing.assert_array_equal(found.multiply_adds, found.length * (2 * SCANS[name] + 2 * WIDTH))
    assert (
        found.by_rule
        and (found.sequential_steps <= sum(each.sequential_steps for each in alone) + 2).all()
    )
    one = dm.models.get(name, units=WIDTH, inputs=WIDTH, outputs=2, rng=0)
    # the rule of a stack does not compute the output of its last layer
    assert counted_cost(one).step_multiply_adds == SCANS[name] + 2 * WIDTH


def test_cost_of_a_system_of_nature():
    found = counted_cost(dm.FlowMap(BUILD["lorenz map"]().flow, 0.01), lengths=100)
    assert (
        found.multiply_adds == 0
        and found.elementwise == 100 * found.step_elementwise
        and found.parameters == 0
    )


def test_matched_widths():
    """Each within half a step of its width, on each of the three."""
    for quantity, budget in (("parameters", 20_000), ("state", 100), ("operations", 1e6)):
        found = match(
            ["tanh", "lstm", "gru", "orthogonal"],
            budget=budget,
            quantity=quantity,
            inputs=4,
            outputs=2,
            length=20,
        )
        assert abs(found.deviation).max() < 0.03 and found.units.dims == ("model",)
    assert (
        match("lstm", budget=100, quantity="state").units == 50
        and match("tanh", budget=100, quantity="state").units == 100
    )
    against = match(["lstm", "gru"], budget=("lstm", 32), inputs=3, multiple=4)
    assert against.units[0] == 32 and against.units[1] % 4 == 0 and against.deviation[0] == 0
    stack = match(
        ["gru", "lstm"],
        budget=30_000,
        inputs=3,
        layers=2,
        placement="pre",
        feedforward=16,
        options={"lstm": {"forget_bias": 1.0}},
    )
    assert abs(stack.deviation).max() < 0.05


CELL = dm.models.get("tanh", units=3, inputs=1)


class Nameless(dm.Map):
    def rule(self, x, u):
        return x


class Foreign(dm.Map):
    states, inputs = ("x",), 1

    def rule(self, x, u):
        return np.sort(x)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: counted_cost(nn.Conv2d(2, 3, 1)), TypeError, "from_torch takes"),
        (lambda: counted_cost(BUILD["lorenz"]()), TypeError, "pass dm.FlowMap"),
        (lambda: counted_cost(CELL, lengths=0), ValueError, "lengths = 0"),
        (lambda: counted_cost(CELL, lengths=[1, 2.5]), ValueError, "lengths = 2.5"),
        (lambda: counted_cost(Nameless()), ShapeError, "set states"),
        (lambda: counted_cost(Foreign()), TypeError, "operations of numpy's sort are not known"),
        (lambda: np.asarray(Counted(np.ones(2), Tally())), TypeError, "cannot become a plain one"),
        (
            lambda: counted_cost(CELL, lengths=10**15),
            MemoryError,
            "steps does not fit into memory .*count shorter ones",
        ),
        (
            lambda: match("tanh", budget=100, quantity="width"),
            ValueError,
            "quantity = 'width': must be one of 'parameters', 'state', 'operations'",
        ),
        (
            lambda: match("perceptron", budget=100),
            UnknownNameError,
            "no model is called 'perceptron'",
        ),
        (
            lambda: match("tanh", budget=100, options={"lstm": {}}),
            UnknownNameError,
            "choose one of tanh",
        ),
        (lambda: match("tanh", budget=0), ValueError, "budget = 0"),
        (lambda: match("lstm", budget=3, inputs=9), ValueError, "lstm of 1 units costs 44"),
        (
            lambda: match("tanh", budget=1e9, quantity="state", max_units=64),
            ValueError,
            "raise max_units = 64",
        ),
        (lambda: layer_cost("rnn", width=4), UnknownNameError, "no layer is called 'rnn'"),
        (lambda: layer_cost("lstm", width=0), ValueError, "width = 0"),
        (lambda: layer_cost("lstm", width=4, lengths=0), ValueError, "lengths = 0"),
        (lambda: layer_cost("attention", width=4, inputs=3), ValueError, "leave inputs out"),
        (lambda: cost_crossover("attention", 4), UnknownNameError, "no layer"),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()
