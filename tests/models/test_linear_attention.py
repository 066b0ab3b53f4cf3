"""Linear attention: the recurrence against the sum over the past that it stands for, its exponents,
and its chunks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import dynmem as dm
from dynmem.errors import NotFiniteError, ShapeError
from dynmem.models import LinearAttention
from dynmem.models.linear_attention import NORMALISER_EPSILON, STEPS_PER_CHUNK, feature
from dynmem.training import Trainable


def layer(**options):
    return LinearAttention.random(6, 3, rng=1, **options)


def drive(steps=30):
    return np.random.default_rng(0).standard_normal((steps, 3))


@pytest.mark.parametrize("decay", [False, True])
def test_it_is_the_sum_over_the_past(decay):
    """Katharopoulos et al. (2020), equation 9: sum_j phi(q_i).phi(k_j) v_j / sum_j
    phi(q_i).phi(k_j), head by head; with decay r^(i - j)."""
    model, u = layer(heads=2, keys=4, decay=decay), drive()
    q, k, v = u @ model.Q.T, u @ model.K.T, u @ model.V.T
    phi = lambda x: torch.nn.functional.elu(torch.tensor(x)).numpy() + 1  # noqa: E731
    outputs = np.zeros((30, 6))
    for head in range(2):
        kept = 1 - 2.0 ** (-5 - head) if decay else 1.0
        keys, values = slice(2 * head, 2 * head + 2), slice(3 * head, 3 * head + 3)
        for i in range(30):
            weights = [kept ** (i - j) * phi(q[i, keys]) @ phi(k[j, keys]) for j in range(i + 1)]
            outputs[i, values] = weights @ v[: i + 1, values] / (sum(weights) + NORMALISER_EPSILON)
    found, last = model.run(np.zeros(model.size), u)
    np.testing.assert_allclose(found, outputs @ model.O.T, rtol=1e-12, atol=1e-13)
    written = sum(
        np.outer(phi(k[j, :2]), np.append(v[j, :3], 1.0)) * (31 / 32 if decay else 1.0) ** (29 - j)
        for j in range(30)
    )
    np.testing.assert_allclose(last[:8].reshape(2, 4), written, rtol=1e-12)


@pytest.mark.parametrize(
    "steps", [1, STEPS_PER_CHUNK - 1, STEPS_PER_CHUNK, STEPS_PER_CHUNK + 1, 3 * STEPS_PER_CHUNK + 5]
)
def test_chunks_of_every_length(steps):
    model, u = layer(heads=3, decay=True), drive(steps)
    x = model.initial(0)
    for found, expected in zip(model.run(x, u), model.unroll(x, u), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_the_feature_map_and_its_slope():
    """elu(x) + 1, with slope 1 at zero from either side, and no NaN in the gradient where exp would
    overflow."""
    x = torch.tensor([-1e4, -2.0, 0.0, 0.5, 1e4], dtype=torch.float64, requires_grad=True)
    found = feature(x)
    (slope,) = torch.autograd.grad(found.sum(), x)
    torch.testing.assert_close(found, torch.nn.functional.elu(x) + 1)
    torch.testing.assert_close(
        slope, torch.tensor([0.0, np.exp(-2.0), 1.0, 1.0, 1.0], dtype=torch.float64)
    )
    np.testing.assert_array_equal(feature(x.detach().numpy()), found.detach().numpy())


def test_nothing_is_forgotten_without_decay_and_r_with_it():
    """The state map's Jacobian is r times the identity in each head: exponents 0, or ln r."""
    plain, decaying = layer(heads=2), layer(heads=2, decay=True)
    x, u = plain.initial(0), np.ones(3)
    np.testing.assert_array_equal(dm.jacobian(plain, x, u), np.eye(plain.size))
    r = np.repeat([1 - 2.0**-5, 1 - 2.0**-6], plain.size // 2)
    np.testing.assert_allclose(dm.jacobian(decaying, x, u), np.diag(r), atol=1e-15)
    spectrum = dm.lyapunov_spectrum(decaying, duration=400, transient=400, drive=1.0)
    np.testing.assert_allclose(spectrum.lyapunov, np.sort(np.log(r))[::-1], atol=1e-3)
    np.testing.assert_allclose(
        dm.lyapunov_spectrum(plain, duration=50, drive=1.0).lyapunov, 0.0, atol=1e-12
    )


def test_a_memory_thins_out_as_one_over_t():
    """What a written value still weighs in the output: its share of all that has been written, 1/t
    where keys are alike."""
    model = replace(layer(keys=1), K=np.zeros((1, 3)))
    gradients = dm.gradient_norms(
        model, drive=1.0, x0=np.zeros(model.size), lags=[100, 1000], transient=0, anchor="start"
    )
    fall = np.diff(gradients.log_input_gradient) / np.diff(np.log([100, 1000]))
    assert fall[0] == pytest.approx(-1.0, abs=0.02)


def test_single_precision_over_many_chunks():
    model = layer(heads=2, decay=True)
    u = drive(1000)
    with torch.no_grad():
        found = Trainable(model)(u[None])[0].numpy()
    expected, _ = model.run(np.zeros(model.size), u)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: layer(heads=4), ValueError, "heads = 4: must divide units = 6 and keys = 6"),
        (
            lambda: layer(heads=3, keys=4),
            ValueError,
            "heads = 3: must divide units = 6 and keys = 4",
        ),
        (lambda: layer(heads=0), ValueError, "heads = 0"),
        (lambda: layer(keys=-1), ValueError, "keys = -1"),
        (lambda: replace(layer(), heads=5), ValueError, "heads = 5: must divide 6 rows of K"),
        (
            lambda: replace(layer(), Q=np.zeros((2, 3))),
            ShapeError,
            r"Q of LinearAttention has shape \(2, 3\), expected \(6, 3\)",
        ),
        (
            lambda: replace(layer(), V=np.zeros(3)),
            ShapeError,
            "V of LinearAttention must be a matrix",
        ),
        (
            lambda: replace(layer(heads=2), log_rate=np.zeros(3)),
            ShapeError,
            r"log_rate of LinearAttention has shape \(3,\), expected \(2,\)",
        ),
        (
            lambda: replace(layer(), O=np.full((6, 6), np.nan)),
            NotFiniteError,
            "O of LinearAttention holds NaN",
        ),
    ],
)
def test_bad_input(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_without_decay_a_layer_knows_no_order():
    """A sum over the past: inputs in another order leave the same state, and the same answer to the
    last query; with a decay they do not."""
    u = np.random.default_rng(4).standard_normal((9, 3))
    turned = np.concatenate((u[7::-1], u[8:]))
    for built, alike in ((layer(heads=2), True), (layer(heads=2, decay=True), False)):
        (y, x), (z, w) = (built.run(np.zeros(built.size), each) for each in (u, turned))
        assert (
            np.allclose(y[-1], z[-1], rtol=0, atol=1e-12) is alike
            and np.allclose(x, w, rtol=0, atol=1e-12) is alike
        )
