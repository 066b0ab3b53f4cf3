"""The studies that ship: each is well formed, and each has a figure of its name that draws what its
quick run stored."""

import importlib
import pkgutil

import numpy as np
import pytest

import dynmem as dm
from dynmem import figures, studies
from dynmem.studies._recurrent import MODELS, build, copy_task, learnable_delay, waiting_spectrum

NAMES = sorted(m.name for m in pkgutil.iter_modules(studies.__path__) if not m.name.startswith("_"))


@pytest.mark.parametrize("name", NAMES)
def test_a_study_has_the_name_of_its_file_and_its_question_in_one_line(name):
    module = importlib.import_module(f"dynmem.studies.{name}")
    assert module.STUDY.name == name
    question, blank = [*module.__doc__.splitlines(), "", ""][:2]
    assert question.endswith("?") and not blank
    assert module.STUDY.question == question
    assert len(module.STUDY.plan(quick=True)) <= len(module.STUDY.plan())


def test_each_study_has_a_figure_of_its_name():
    assert {m.name for m in pkgutil.iter_modules(figures.__path__)} == set(NAMES)
    for name in NAMES:
        assert callable(importlib.import_module(f"dynmem.figures.{name}").draw)


def test_a_quick_run_is_stored_summed_up_and_drawn(tmp_path, monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from dynmem.figures import vanishing
    from dynmem.studies.vanishing import STUDY

    results = STUDY.run(
        output=tmp_path,
        quick=True,
        overrides={"units": 30, "lags": 10, "duration": 50, "gain": [0.9, 1.1]},
        progress=False,
    )
    assert "0.90" in STUDY.summary(results)
    np.testing.assert_allclose(results.linear_gradient, results.linear_gradient_exact, atol=1e-9)
    monkeypatch.setattr(vanishing, "CURVE_POINTS", 5)
    figure = vanishing.draw(results)
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in figure.axes)
    pyplot.close(figure)


@pytest.mark.parametrize("name", MODELS)
def test_models_of_the_studies_fit_their_task(name):
    task = copy_task(5)
    system = build(name, task, 8, 0)
    assert (system.inputs, system.outputs) == (task.inputs, task.outputs)
    assert np.isfinite(waiting_spectrum(system, task, rng=0, duration=20, exponents=1).lyapunov[0])


def test_the_h_only_block_misses_the_carousel():
    from dynmem.studies.carousel import HiddenOnly, hidden_only_exponents

    found = []
    for bias in (0.0, 5.0):
        lstm = dm.models.get("lstm", units=32, inputs=1, rng=0, init="uniform", forget_bias=bias)
        noise = np.random.default_rng(0).standard_normal((600, 1))
        found.append(
            hidden_only_exponents(lstm, noise, transient=100, duration=500, rng=0)
            .lyapunov[0]
            .item()
        )
        point, u = np.full(32, 0.1), np.zeros(33)
        whole = dm.jacobian(lstm, np.concatenate([point, u[1:]]), u[:1])
        np.testing.assert_allclose(
            dm.jacobian(HiddenOnly(lstm), point, u), whole[:32, :32], atol=1e-14
        )
    assert max(found) < -1.5 and abs(found[1] - found[0]) < 0.5


def test_learnable_delay_stops_at_the_first_failure():
    import xarray as xr

    learned = xr.DataArray(
        [[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1]],
        dims=("model", "delay"),
        coords={"delay": [5, 10, 20, 40]},
    )
    assert learnable_delay(learned).values.tolist() == [10, 0, 40]


@pytest.mark.parametrize("name", ["s4d", "s4d_bilinear", "s4"])
def test_textbook_kernels_are_the_models_in_double(name):
    from dynmem.studies.duality import MODELS as FORMS, textbook_kernel

    options = dict(FORMS[name])
    model = dm.models.get(options.pop("kind"), units=2, inputs=2, modes=8, **options)
    np.testing.assert_allclose(
        textbook_kernel(model, 63, "float64").T + model.D * (np.arange(63) == 0)[:, None],
        model.kernel(63),
        atol=1e-11,
    )


def test_counting_places_is_right_by_the_shares_of_the_story():
    """Stories written by hand: shares 2/3 and 1/3, and a tie; then 0.48 at 1.11 nat, where every
    training dwells at first."""
    from dynmem.studies.questions import counting, stories

    task = stories(1, 3)
    word = task.vocabulary.index
    told = [
        ("Mary", "garden", "John", "garden", "Mary", "office"),
        ("Mary", "kitchen", "John", "office", "John", "garden"),
    ]
    inputs = np.array(
        [
            [word(w) for i in range(0, 6, 2) for w in (t[i], "went", t[i + 1])]
            + [word(w) for w in ("where", "is", "Mary", "?")]
            for t in told
        ]
    )
    targets = np.zeros((2, task.steps), int)
    targets[:, -1] = [2, 0]  # office, kitchen
    accuracy, loss = counting(task, inputs, targets)
    assert accuracy == pytest.approx((0 + 1 / 3) / 2) and loss == pytest.approx(np.log(3))
    accuracy, loss = counting(stories(1, 6), *stories(1, 6).arrays(20_000, 1))
    assert abs(accuracy - 0.481) < 0.01 and abs(loss - 1.108) < 0.01


def test_the_hippo_study_measures_what_theory_predicts():
    from dynmem.studies.hippo import measure

    found = measure("legs", 12, 10.0, seed=0, theta=2.0, steps=200, duration=40)
    np.testing.assert_allclose(found.error[5:], found.predicted[5:], rtol=0.2)
    assert 0.5 < found.reach < 3.0 and float(found.longest_time_constant) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["lstm", "attention", "tcn", "s4d", "lru", "selective"])
def test_stacks_of_the_frontier_match_and_see_the_first_step(name):
    from dynmem.studies.cost_frontier import build, matched, operations

    for steps in (12, 60):
        units, parameters = matched(name, steps, 6000)
        system = build(name, steps, units)
        assert (
            abs(parameters / 6000 - 1) < 0.15
            and dm.Trainable(system).system.inputs == copy_task(1).inputs
        )
        rng = np.random.default_rng(0)
        u = rng.standard_normal((2, steps, system.inputs))
        u[1, 1:] = u[0, 1:]  # they differ at the first step alone
        first, second = system.run(np.zeros((2, system.size)), u)[0][:, -1]
        assert abs(first - second).max() > 1e-12
    short, long = operations(name, [64, 128], 6000)
    assert long > 1.5 * short


def test_a_stack_for_each_length_costs_what_that_length_asks():
    import torch

    from dynmem.studies.cost_frontier import ByLength, build

    module = ByLength({n: build("tcn", n, 4) for n in (10, 40)})
    assert len(module.stacks["10"].system.layers) < len(module.stacks["40"].system.layers)
    u = torch.randn(1, 40, module.input_size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(u), module.stacks["40"](u))


def test_gradients_of_a_network_that_learned_chaos_grow_at_its_exponent():
    from dynmem.studies.chaos_forecast import measure

    found = measure("esn", 0, "lorenz63", 24_000, 1, 1, 48, 20, 8)
    assert bool(found.valid_time.isel(stage=1).isnull()) and float(found.valid_time[0]) > 5.0
    slope, error = float(found.gradient_slope[0]), float(found.gradient_slope_error[0])
    assert abs(slope - 0.9056) < 3 * error < 0.1  # Sprott (2003)
    assert (
        abs(np.polyfit(found.lag[16:] / 0.9056, found.true_log_gradient[16:], 1)[0] - 0.9056) < 0.06
    )


def test_the_memory_of_one_bit_is_two_points_and_a_ridge():
    from dynmem.studies.working_memory import measure

    found = measure("flip_flop", "gru", 1, 0, 8, 200, 60)
    # those of one bistable unit
    np.testing.assert_array_equal(found.points, found.predicted_points)
    assert found.memories == found.ends == 2 and float(found.recall.min()) > 0.98


# a thousand steps of training and Newton's method from 600 starts in 48 dimensions: ten seconds
@pytest.mark.slow
def test_three_bits_are_eight_stable_points():
    from dynmem.studies.working_memory import measure

    found = measure("flip_flop", "tanh", 3, 0, 48, 1000, 600)
    assert found.learned and found.memories == found.ends == 8  # Sussillo and Barak (2013)
    # and the ridges between them, by their kind: 12, 6, 1
    np.testing.assert_array_equal(found.points, found.predicted_points)
    assert float(found.recall.min()) > 0.99 and float(found.slowest) < 0.9


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_ridges_between_memories_are_counted_by_their_directions(bits):
    from dynmem.studies.working_memory import predicted

    counts = predicted("flip_flop", bits)
    # Poincare and Hopf
    assert counts.sum() == 3**bits and counts[0] == 2**bits and counts @ (-1.0) ** np.arange(4) == 1


def test_the_floor_of_a_forecast_is_to_stand_still():
    """An orbit leaves where it stood at its own speed: the floor is when |y(t) - y(0)| exceeds 0.4
    of its spread, in the mean."""
    from dynmem.studies.chaos_forecast import still

    data = dm.datasets.load("lorenz63", samples=6000)
    times = dm.training.valid_time(still(data), data, starts=20, longest=3.0)
    y, unit = dm.datasets.part(data, "test").x.values, data.attrs["lyapunov_time"]
    far = [
        np.linalg.norm(y[at : at + 150] - y[at - 1], axis=1) > 0.4 * np.sqrt(np.sum(y.var(0)))
        for at in times.start.values
    ]
    np.testing.assert_allclose(
        times.valid_time,
        [row.argmax() * data.attrs["sampling_step"] / unit for row in far],
        atol=1e-12,
    )
    assert 0.02 < float(times.mean_valid_time) < 0.3
