"""What every mixer keeps, from one row of a table: numpy and torch, step by step and all at once,
cut and whole, gradients, exponents, files."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem.analysis import gradient_norms, lyapunov_spectrum
from dynmem.arrays import tensors
from dynmem.training import Trainable, load, save
from dynmem.training.trainable import leaves

UNITS, INPUTS, LENGTH = 4, 2, 70  # longer than a chunk of 64 steps
# name: the model and its options; a mixer that a stack can hold brings its row here and nothing
# else
MIXERS = {
    "linear": ("linear", {"gain": 0.9, "bias_sd": 0.3}),
    "tanh": ("tanh", {"gain": 1.2, "bias_sd": 0.3}),
    "relu": ("relu", {"gain": 0.9, "bias_sd": 0.3, "init": "orthogonal"}),
    "orthogonal": ("orthogonal", {"nonlinearity": "tanh", "bias_sd": 0.3}),
    "modrelu": ("orthogonal", {"nonlinearity": "modrelu", "bias_sd": 0.1}),
    "lstm": ("lstm", {"forget_bias": 1.0, "bias_sd": 0.3}),
    "gru": ("gru", {"bias_sd": 0.3}),
    "lru": ("lru", {"modes": 3, "r_min": 0.6, "r_max": 0.95}),
    "lru, gamma trained": ("lru", {"r_max": 0.9, "gamma": "trained"}),
    "s5": ("s5", {"modes": 4, "blocks": 2, "step_min": 0.05}),
    "s4d": ("s4d", {"modes": 4}),
    "s4d, bilinear": ("s4d", {"modes": 4, "method": "bilinear", "init": "inv", "step_min": 0.05}),
    "s4": ("s4", {"modes": 4, "step_min": 0.05}),
    "lmu": ("lmu", {"order": 4, "theta": 8.0}),
    "selective": ("selective", {"modes": 3, "rank": 2, "step_min": 0.05, "step_max": 0.5}),
    "selective, exact": (
        "selective",
        {"modes": 2, "input_step": "exact", "step_min": 0.1, "step_max": 1.0},
    ),
    "mamba": ("mamba", {"kernel": 3, "expand": 1, "modes": 2, "step_min": 0.05, "step_max": 0.5}),
    "mamba, lru": (
        "mamba",
        {"mixer": "lru", "kernel": 2, "expand": 1, "r_min": 0.6, "r_max": 0.95},
    ),
    "linear attention": ("linear_attention", {"heads": 2}),
    "linear attention, decay": ("linear_attention", {"heads": 2, "keys": 6, "decay": True}),
    "cornn": ("cornn", {"epsilon": 0.5, "step": 0.3}),
    "cornn, explicit": ("cornn", {"damping": "explicit"}),
    "tcn": ("tcn", {"kernel": 3, "layers": 2}),
    "attention": ("attention", {"heads": 2, "window": 12, "positions": "rotary"}),
    "attention, alibi": ("attention", {"heads": 2, "window": 80, "positions": "alibi"}),
    "hybrid": ("hybrid", {"window": 6, "kept": 2, "sharpness": 2.0}),
    "pre": ("lru", {"placement": "pre", "feedforward": 5, "activation": "gelu", "outputs": 3}),
    "post": ("gru", {"placement": "post", "layers": 2, "norm": "rms", "outputs": 3}),
    "deepnorm": (
        "linear_attention",
        {
            "placement": "deepnorm",
            "layers": 2,
            "feedforward": 5,
            "heads": 2,
            "keys": 2,
            "decay": True,
        },
    ),
    "none": (
        "selective",
        {
            "placement": "none",
            "layers": 2,
            "modes": 2,
            "step_min": 0.1,
            "step_max": 1.0,
            "outputs": 1,
        },
    ),
}


def mixer(name):
    model, options = MIXERS[name]
    return dm.models.get(model, units=UNITS, inputs=INPUTS, rng=3, **options)


def course(model, *batch, length=LENGTH):
    """Noise (*batch, length, inputs), and states (*batch, n) that noise has led to."""
    rng = np.random.default_rng(5)
    x = np.stack([model.initial(rng) for _ in range(int(np.prod(batch)))]).reshape(
        *batch, model.size
    )
    return rng.standard_normal((*batch, length, model.inputs)), model.unroll(
        x, rng.standard_normal((*batch, 3, model.inputs))
    )[1]


def close(found, expected, tolerance=1e-10):
    np.testing.assert_allclose(
        found,
        expected,
        rtol=tolerance,
        atol=tolerance * max(1.0, np.abs(expected).max(initial=0.0)),
    )


@pytest.fixture(params=MIXERS)
def model(request):
    return mixer(request.param)


def test_all_at_once_is_step_by_step(model):
    u, x = course(model, 3)
    for found, expected in zip(model.run(x, u), model.unroll(x, u), strict=True):
        assert found.shape == expected.shape
        close(found, expected)
    assert model.run(x, u)[0].shape == (3, LENGTH, model.outputs)
    close(model.run(x, u[:, :1])[1], model.rule(x, u[:, 0]))


def test_torch_is_numpy(model):
    u, x = course(model, 3)
    for fused in (True, False):
        with torch.no_grad():
            for found, expected in zip(
                Trainable(model, torch.float64, fused=fused).run(x, u), model.run(x, u), strict=True
            ):
                close(found.numpy(), expected)


def test_single_precision_loses_no_more_than_its_digits(model):
    u, x = course(model, 2)
    with torch.no_grad():
        found, last = (part.numpy() for part in Trainable(model).run(x, u))
    expected, end = model.run(x, u)
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))
    np.testing.assert_allclose(last, end, atol=1e-5 * max(1.0, np.abs(end).max()))


def everything(trainable, u, x):
    """Outputs, last state, and the gradients of both with respect to inputs, start and every
    weight."""
    u, x = (torch.tensor(value, requires_grad=True) for value in (u, x))
    y, last = trainable.run(x, u)
    mixed = torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=y.dtype)
    wanted = [u, x, *trainable.weights().values()]
    return torch.autograd.grad(
        (mixed * y).sum() + last.square().sum(), wanted, materialize_grads=True
    )


def test_every_gradient_all_at_once_is_that_step_by_step(model):
    u, x = course(model, 2)
    one = Trainable(model, torch.float64)
    found, expected = (
        everything(each, u, x) for each in (one, Trainable(model, torch.float64, fused=False))
    )
    for name, a, b in zip(("u", "x", *one.weights()), found, expected, strict=True):
        assert (a - b).abs().max() <= 1e-10 * max(1.0, b.abs().max()), name
        assert b.abs().sum() > 0, f"the outputs do not depend on {name}"


def test_a_sequence_may_be_cut_and_continued(model):
    u, x = course(model, 2)
    whole, last = model.run(x, u)
    parts = []
    for piece in np.split(u, [1, 30, 66], axis=1):
        part, x = model.run(x, piece)
        parts.append(part)
    close(np.concatenate(parts, axis=1), whole)
    close(x, last)


@pytest.mark.parametrize("states, inputs", [((), (2, 3)), ((2, 1), (3,))])
def test_states_and_inputs_broadcast_to_one_batch(model, states, inputs):
    """One state under many inputs, many states under one input: what a loop over both gives; all at
    once and step by step, numpy and torch."""
    u, x = course(model, *inputs, length=5)[0], course(model, *states, length=1)[1]
    batch = np.broadcast_shapes(states, inputs)
    wide = np.broadcast_to(u, (*batch, *u.shape[-2:])).reshape(-1, *u.shape[-2:])
    start = np.broadcast_to(x, (*batch, x.shape[-1])).reshape(-1, x.shape[-1])
    loop = zip(*(model.unroll(*one) for one in zip(start, wide, strict=True)), strict=True)
    twin = Trainable(model, torch.float64).twin()
    for expected, *founds in zip(
        loop,
        model.run(x, u),
        model.unroll(x, u),
        twin.run(*map(torch.tensor, (x, u))),
        strict=True,
    ):
        expected = np.reshape(expected, (*batch, *expected[0].shape))
        for found in founds:
            found = tensors(found)
            assert found.shape == expected.shape
            close(found, expected)


@pytest.mark.parametrize("name", ["lstm", "lru", "selective", "linear attention, decay", "gru"])
def test_the_slope_of_the_gradient_is_the_first_exponent(name):
    """Over the same 400 steps of one orbit under noise, once both have found their directions;
    there a direction and the root mean square of all may still part by a factor e, an error of
    1/400."""
    model = mixer(name)
    u, x = course(model, length=601)
    logs = gradient_norms(
        model, drive=u, x0=x, transient=0, lags=[200, 600], anchor="start"
    ).log_state_gradient.values
    exponent = lyapunov_spectrum(
        model, x, drive=u[:-1], transient=200, duration=400, exponents=1
    ).lyapunov.item()
    assert (logs[1] - logs[0]) / 400 == pytest.approx(exponent, abs=1 / 400)


def test_gradients_over_the_lag_are_those_of_autograd(model):
    """d y_T / d u_(T-lag) of the whole model three ways: products of Jacobians, probes through the
    run, and torch through every step at once."""
    u, lags, start = course(model, length=13)[0], [0, 1, 3, 9], np.zeros(model.size)
    t = torch.tensor(u[None], requires_grad=True)
    y = Trainable(model, torch.float64)(t)[0, -1]
    whole = torch.stack([torch.autograd.grad(each, t, retain_graph=True)[0][0] for each in y])[
        :, [12 - lag for lag in lags]
    ]
    with np.errstate(divide="ignore"):
        expected = np.log(np.sqrt(whole.square().sum((0, 2)).numpy() / model.inputs))
    for found in (
        gradient_norms(model, drive=u, lags=lags, transient=3, x0=start),
        dm.gradient_profile(model, drive=u, lags=lags, transient=3, x0=start, probes=model.outputs),
    ):
        np.testing.assert_allclose(found.log_input_gradient, expected, atol=1e-11)


@pytest.mark.parametrize("name", ["linear attention", "linear attention, decay", "deepnorm"])
def test_the_contract_holds_where_a_linear_attention_starts(name):
    """Its output is a quotient, too steep for central differences next to an empty memory."""
    dm.check_system(mixer(name))


LOGARITHMS = [
    ("lru", "nu"),
    ("lru", "theta"),
    ("lru, gamma trained", "log_gamma"),
    ("s5", "log_step"),
    ("s5", "log_decay"),
    ("s4d", "log_decay"),
    ("s4d", "log_step"),
    ("s4", "log_decay"),
    ("selective", "log_A"),
    ("linear attention, decay", "log_rate"),
]


@pytest.mark.parametrize("name, array", LOGARITHMS)
def test_logarithms_without_an_exponential_are_refused(name, array):
    """What a step of training too far leaves is reported when the model is built, not as an
    overflow in its rule."""
    model = mixer(name)
    model = model.layers[-1] if isinstance(model, dm.models.Network) else model
    for value in (800.0, -800.0):
        with pytest.raises(
            dm.errors.NotFiniteError,
            match=f"{array} of {type(model).__name__} exceeds .*lower learning_rate",
        ):
            replace(model, **{array: np.full_like(getattr(model, array), value)})


def test_saved_is_loaded(model, tmp_path):
    save(model, tmp_path / "model.pt")
    again = load(tmp_path / "model.pt")
    assert type(again) is type(model) and again.parameters == model.parameters
    for (path, one), (other, two) in zip(leaves(model), leaves(again), strict=True):
        assert path == other and np.array_equal(one, two)
    u, x = course(model)
    np.testing.assert_array_equal(again.run(x, u)[0], model.run(x, u)[0])
    back = Trainable(model, torch.float64).frozen()
    assert type(back) is type(model) and back.parameters == model.parameters


@pytest.mark.parametrize("name", ["lstm", "s4d", "pre"])
def test_a_trainable_changes_its_precision_as_torch_modules_do(name):
    model = mixer(name)
    u, x = course(model, 2, length=6)
    one = Trainable(
        model,
        fixed=[
            path for path, value in leaves(model) if isinstance(value, np.ndarray) and value.size
        ][:1],
    )
    with torch.no_grad():
        close(
            one.double()(torch.tensor(u), torch.tensor(x)).numpy(),
            Trainable(model, torch.float64)(u, x).numpy(),
            1e-5,
        )
    assert one.dtype == torch.float64 and one.to(torch.float32)(u, x).dtype == torch.float32
    with pytest.raises(ValueError, match="dtype = torch.float16: must be float32 or float64"):
        one.half()
