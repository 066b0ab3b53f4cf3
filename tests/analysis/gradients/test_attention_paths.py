"""How gradients go through attention: measurement against closed forms, reference rows on
attention, path lengths, dilution, depth."""

from dataclasses import replace

import numpy as np
import pytest

import dynmem as dm
from dynmem.analysis import attention_dilution, attention_paths, path_length
from dynmem.errors import ShapeError
from dynmem.models import GRU, LSTM, Attention, Block, Hybrid, Linear, Network, Norm, Relu, Tanh
from dynmem.models.attention import POSITIONS
from dynmem.theory import gaussian_dilution, softmax_jacobian, stochastic_spectrum
from tests.models.test_attention import build, noise

PARTS = ("total_gradient", "direct_gradient", "score_gradient")


@pytest.mark.parametrize("positions", sorted(set(POSITIONS) - {"rotary"}))
@pytest.mark.parametrize("window, steps", [(12, 12), (12, 9), (5, 11)])
def test_paths_are_their_closed_form(positions, window, steps):
    if positions == "absolute" and steps > window:
        return
    attention, u = build(positions, window), noise(steps)
    lags = np.arange(min(window, steps))
    measured, predicted = (
        attention_paths(attention, drive=u, lags=lags),
        dm.theory.attention_paths(attention, drive=u, lags=lags),
    )
    for part in PARTS:
        np.testing.assert_allclose(measured[part], predicted[part], atol=1e-12)
        assert measured[part].dims == predicted[part].dims
    assert (measured.direct_gradient <= predicted.direct_bound + 1e-12).all()


def test_paths_are_those_of_the_rule():
    """The total is d y_T / d u_(T-lag) of gradient_norms, by the products of Jacobians of the
    cache."""
    attention, u = build("rotary", 8, heads=1), noise(8)
    expected = dm.gradient_norms(attention, drive=u, lags=6, x0=attention.initial(), transient=1)
    np.testing.assert_allclose(
        attention_paths(attention, drive=u, lags=6).total_gradient,
        expected.input_gradient,
        rtol=1e-10,
    )


def test_uniform_attention_has_the_direct_path_alone():
    """Scores of zero: nothing flows through them but what moves the values about, alpha = 1/t, and
    d y / d u_j = Wo Wv / t for each j."""
    attention = Attention.random(6, 6, rng=0, window=20, sharpness=0.0)
    paths = attention_paths(attention, drive=noise(20), lags=19)
    np.testing.assert_allclose(
        paths.direct_gradient,
        np.linalg.norm(attention.Wo @ attention.Wv) / 20 / np.sqrt(6),
        rtol=1e-12,
    )
    np.testing.assert_allclose(paths.score_gradient, 0, atol=1e-15)


def test_paths_through_a_stack_hold_the_weights_and_nothing_else():
    """With one block: the direct part is alpha Wo Wv and, at lag 0, the residual connection; norms
    are differentiated in either part."""
    mixer = build(window=6, heads=1)
    plain, u = Block(mixer, None, (), "none"), noise(6)
    inside, whole = attention_paths(mixer, drive=u, lags=5), attention_paths(plain, drive=u, lags=5)
    for part in PARTS:
        np.testing.assert_allclose(whole[part][1:], inside[part][1:], atol=1e-13)
    np.testing.assert_allclose(whole.score_gradient, inside.score_gradient, atol=1e-13)
    deep = attention_paths(
        dm.models.get(
            "attention", units=6, inputs=2, layers=2, outputs=1, rng=0, placement="pre", window=8
        ),
        lags=7,
    )
    assert (deep.score_gradient > 0).all() and (deep.direct_gradient > 0).all()
    recurrent = attention_paths(Tanh.random(4, 3, rng=0), lags=5)
    np.testing.assert_array_equal(recurrent.total_gradient, recurrent.direct_gradient)
    assert not recurrent.score_gradient.any()


def test_the_hybrid_has_both_paths():
    """Without sharpness its weights are equal whatever the states, so that nothing goes through the
    scores."""
    equal, sharp = (
        attention_paths(Hybrid.random(4, 2, rng=0, window=8, kept=2, sharpness=s), lags=12)
        for s in (0.0, 2.0)
    )
    np.testing.assert_allclose(equal.score_gradient, 0, atol=1e-15)
    assert (sharp.score_gradient[1:] > 1e-6).all() and (sharp.direct_gradient > 1e-6).all()


def test_the_softmax_jacobian_is_at_most_one_half():
    """diag(a) - a a^T has rows of absolute sum 2 a_i (1 - a_i), so a norm of at most 1/2
    (Gershgorin); against differences and, at (1/2, 1/2), with equality."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((200, 7)) * rng.uniform(0, 5, (200, 1))
    weights = dm.softmax(z)
    found = softmax_jacobian(weights)
    assert (found.jacobian_norm <= found.row_bound + 1e-12).all() and (found.row_bound <= 0.5).all()
    assert softmax_jacobian([0.5, 0.5, 0.0]).jacobian_norm.item() == pytest.approx(0.5, abs=1e-12)
    step = 1e-6
    J = np.array(
        [
            (dm.softmax(z[0] + step * e) - dm.softmax(z[0] - step * e)) / (2 * step)
            for e in np.eye(7)
        ]
    )
    assert found.jacobian_norm[0].item() == pytest.approx(np.linalg.norm(J, 2), abs=1e-9)


def test_dilution_of_uniform_attention():
    measured = attention_dilution(Attention.random(6, 6, heads=2, window=30, sharpness=0.0))
    predicted = dm.theory.attention_dilution(measured.step.values)
    for name in ("largest_weight", "entropy", "effective_slots"):
        for head in (0, 1):
            np.testing.assert_allclose(
                measured[name][:, head], predicted[name], rtol=1e-12, atol=1e-14
            )
    np.testing.assert_allclose(predicted.largest_weight, 1 / measured.step, rtol=1e-14)
    np.testing.assert_allclose(predicted.entropy, np.log(measured.step), atol=1e-13)


def test_what_a_sharp_score_changes():
    """A query along one key of an otherwise zero cache: the score stands above the others by the
    gap, e^g / (e^g + t - 1)."""
    gap = 3.0
    attention = Attention(np.eye(1), np.eye(1), np.eye(1), np.eye(1), window=50)
    u = np.zeros((50, 1))
    u[-1] = np.sqrt(gap)  # its own key is the one it looks for: the score is gap, all others 0
    found = attention_dilution(attention, drive=u).isel(step=-1, head=0)
    predicted = dm.theory.attention_dilution([50], gap=gap).isel(step=0)
    for name in ("largest_weight", "entropy", "effective_slots"):
        assert found[name].item() == pytest.approx(predicted[name].item(), rel=1e-12)
    assert dm.theory.attention_dilution(
        [1000], gap=np.log(999)
    ).largest_weight.item() == pytest.approx(0.5, rel=1e-12)


def test_dilution_with_gaussian_scores():
    """Derrida (1981): entropy ln t - spread^2/2 before freezing, with a correction of order
    spread^2 exp(spread^2) / t, here below 2e-3."""
    rng, t = np.random.default_rng(0), 20_000
    for spread in (0.5, 1.0, 1.5):
        alpha = dm.softmax(spread * rng.standard_normal((20, t)))
        entropy = -(alpha * np.log(alpha)).sum(-1).mean()
        assert gaussian_dilution([t], spread=spread).entropy.item() == pytest.approx(
            entropy, abs=0.02
        )
    assert gaussian_dilution([t], spread=6.0).effective_slots.item() == 1.0


@pytest.mark.parametrize(
    "make, kind, given",
    [
        (lambda: Tanh.random(4, 2, rng=0), "recurrence", {}),
        (lambda: LSTM.random(3, 2, rng=0), "recurrence", {}),
        (lambda: GRU.random(3, 2, rng=0), "recurrence", {}),
        (lambda: Relu.random(6, 2, rng=0), "recurrence", {}),
        (lambda: build(window=8), "attention", {"window": 8}),
        (
            lambda: dm.models.get(
                "attention",
                units=4,
                inputs=2,
                layers=2,
                outputs=1,
                rng=0,
                placement="pre",
                window=5,
                feedforward=4,
            ),
            "attention",
            {},
        ),
        (lambda: Hybrid.random(4, 2, rng=0, window=12), "attention", {}),
    ],
)
def test_path_lengths(make, kind, given):
    """Vaswani et al. (2017), table 1; two layers of attention with window 5 reach 8 lags back,
    beyond 4 by two steps."""
    lags = np.arange(10)
    system = make()
    found, predicted = (
        part.path_length.values
        for part in (
            path_length(system, lags=lags),
            dm.theory.path_length(kind, lags=lags, **given),
        )
    )
    if isinstance(system, Network):
        predicted = np.array([0, 1, 1, 1, 1, 2, 2, 2, 2, np.inf])
    np.testing.assert_array_equal(found, predicted)


def test_a_readout_of_a_recurrent_state_is_one_step_more():
    net = dm.models.get("tanh", units=4, inputs=2, outputs=1, rng=0)
    np.testing.assert_array_equal(path_length(net, lags=3).path_length, [1, 2, 3, 4])
    relay = Network((Tanh.random(4, 2, rng=0), build_wide(4, 9)))
    # h is read at once, by attention as by a readout
    np.testing.assert_array_equal(path_length(relay, lags=4).path_length, [1, 1, 1, 1, 1])


def build_wide(units, window):
    return Attention.random(units, units, rng=1, window=window)


def test_path_length_of_dilated_convolutions():
    """Dilations 1, 2, 4 of two taps: digits of the lag to the base 2, at most ceil(log2(lag + 1)),
    here by a search over all sums of taps."""
    from itertools import product

    shortest = np.full(8, np.inf)
    for taps in product(*((0, 2**i) for i in range(3))):
        shortest[sum(taps)] = min(shortest[sum(taps)], np.count_nonzero(taps))
    np.testing.assert_array_equal(
        dm.theory.path_length("convolution", lags=np.arange(8)).path_length, shortest
    )
    assert (
        dm.theory.path_length("convolution", lags=np.arange(1, 500), kernel=3).path_length
        <= np.ceil(np.log(np.arange(1, 500) + 1) / np.log(3) - 1e-12)
    ).all()


def test_random_attention_is_diluted_as_its_theory_says():
    """Root mean squares over 40 weights and noises and 100 lags, from the closed form, which is the
    measurement to 1e-12: by |q|^2 of one query a run they scatter by 3 %."""
    lags, rng = np.arange(1, 101), np.random.default_rng(0)
    for sharpness in (0.0, 0.5, 0.8):
        made = [
            Attention.random(48, 48, rng=rng, window=101, sharpness=sharpness) for _ in range(40)
        ]
        runs = [
            dm.theory.attention_paths(each, drive=rng.standard_normal((101, 48)), lags=lags)
            for each in made
        ]
        predicted = dm.theory.diluted_gradient(lags, steps=101, sharpness=sharpness)
        for part in PARTS:
            found = np.sqrt(np.mean([run[part] ** 2 for run in runs]))
            assert found == pytest.approx(predicted[part][0].item(), rel=0.08, abs=1e-12)


def test_recurrence_with_uniform_attention_keeps_what_its_theory_says():
    """N = 48, so that single lags scatter; without attention lag 30 would have 0.2^30."""
    runs = [
        attention_paths(
            Hybrid.random(48, 48, rng=[i, 1], gain=0.4, window=31, sharpness=0.0), rng=i, lags=30
        )
        for i in range(2)
    ]
    found = np.sqrt(np.mean([run.total_gradient.values**2 for run in runs], axis=0))
    predicted = dm.theory.hybrid_gradient(
        runs[0].lag.values, steps=31, gain=0.4
    ).input_gradient.values
    np.testing.assert_allclose(found[:22], predicted[:22], rtol=0.25)
    assert np.sqrt((found[8:22] ** 2).mean()) == pytest.approx(
        np.sqrt((predicted[8:22] ** 2).mean()), rel=0.08
    )


def test_row_stochastic_attention_over_depth_has_first_exponent_zero():
    """Rows of sum 1 leave the vector of ones as it is: exponent 0, to 1e-12; and rank collapse:
    what is not constant over the tokens dies at the second exponent."""
    A = dm.softmax(np.random.default_rng(0).standard_normal((6, 6)))
    predicted = stochastic_spectrum(A)
    measured = dm.lyapunov_spectrum(
        Linear(A), np.ones(6), duration=3000, transient=200, exponents=2
    )
    assert (
        abs(np.log(np.abs(np.linalg.eigvals(A)).max())) < 1e-12
        and predicted.lyapunov[0].item() == 0.0
    )
    assert abs(measured.lyapunov[0].item()) < 1e-12
    assert measured.lyapunov[1].item() == pytest.approx(predicted.lyapunov[1].item(), abs=2e-3)
    assert predicted.lyapunov[1].item() <= np.log(predicted.contraction.item())
    tokens = np.random.default_rng(1).standard_normal((6, 3))
    spread = [
        np.linalg.norm(X - X.mean(0))
        for X in (np.linalg.matrix_power(A, k) @ tokens for k in (10, 15))
    ]
    assert np.log(spread[1] / spread[0]) / 5 == pytest.approx(
        predicted.lyapunov[1].item(), abs=0.05
    )
    # uniform attention: one layer is enough
    assert stochastic_spectrum(np.full((4, 4), 0.25)).lyapunov[1].item() < -30


def test_norms_do_not_hide_the_scores():
    """A norm in front turns uniform inputs into zero: the score path is then exactly nothing, the
    residual connection is what is left."""
    block = Block(
        replace(build(window=4, heads=1), bq=np.zeros(6), bk=np.zeros(6), bv=np.zeros(6)),
        None,
        (Norm.plain(6),),
        "pre",
    )
    paths = attention_paths(block, drive=np.ones((4, 6)), lags=3)
    assert not paths.score_gradient.values.round(12).any() and paths.direct_gradient[0] > 0


def test_the_study_is_run_and_drawn(tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from figures.attention_path import draw
    from studies.attention_path import STUDY

    small = {"units": 6, "lags": 8, "samples": 1, "model": ["attention", "hybrid"]}
    results = STUDY.run(output=tmp_path, quick=True, overrides=small, workers=1, progress=False)
    assert "attention" in STUDY.summary(results)
    assert results.path_length.sel(seed=0, lag=8).values.tolist() == [1, 1]
    figure = draw(results)
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in figure.axes)
    pyplot.close(figure)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (
            lambda: attention_paths(build(), drive=noise(3), lags=5),
            ShapeError,
            r"lags up to 5 need at least "
            r"\(6, 6\)",
        ),
        (
            lambda: attention_paths(build(), drive=1.0, lags=-1),
            ValueError,
            "whole numbers of steps of at least 0",
        ),
        (
            lambda: attention_paths(dm.FlowMap, lags=2),
            TypeError,
            "pass an instance|expected a dynmem Map",
        ),
        (
            lambda: attention_dilution(Tanh.random(3, 2)),
            TypeError,
            "one Attention, got Tanh: pass the mixer",
        ),
        (
            lambda: path_length(Tanh.random(3), lags=2),
            ShapeError,
            "takes no input",
        ),
        (
            lambda: dm.theory.attention_paths(build("rotary"), lags=1),
            ValueError,
            "measure it with dm.analysis.attention_paths",
        ),
        (
            lambda: dm.theory.attention_paths(build(), drive=noise(3), lags=3),
            ShapeError,
            "expected at least",
        ),
        (lambda: dm.theory.attention_dilution([0]), ValueError, "number of slots = 0"),
        (lambda: dm.theory.attention_dilution([3], gap=-1), ValueError, "gap = -1"),
        (
            lambda: dm.theory.diluted_gradient([0], steps=3),
            ValueError,
            "at least 1 and below steps = 3",
        ),
        (
            lambda: dm.theory.hybrid_gradient([3], steps=3, gain=0.5),
            ValueError,
            "the first input being that of lag 2",
        ),
        (lambda: dm.theory.hybrid_gradient([1], steps=3, gain=5.0), ValueError, "does not forget"),
        (lambda: dm.theory.path_length("attention", lags=[1], window=0), ValueError, "window = 0"),
        (
            lambda: dm.theory.path_length("rnn", lags=[1]),
            ValueError,
            "system = 'rnn': must be one of",
        ),
        (
            lambda: dm.theory.path_length("convolution", lags=[1], kernel=1),
            ValueError,
            "kernel = 1",
        ),
        (lambda: stochastic_spectrum(np.eye(2) * 0.5), ValueError, "not row-stochastic"),
        (lambda: softmax_jacobian([0.5, 0.6]), ValueError, "none negative, with sum 1"),
    ],
)
def test_bad_questions(make, error, text):
    with pytest.raises(error, match=text):
        make()
