"""Machine code: the program of every small system does what its rule does, wherever it is run, and
no cache can spoil it."""

import os
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import DOP853

import dynmem as dm
from dynmem.autodiff.branches import BranchFlow, on_branch
from dynmem.compiler import program as program_module
from dynmem.compiler.program import program
from dynmem.compiler.trace import (
    TooLargeError,
    UntraceableError,
    parameter_values,
    same_structure,
    trace_rule,
)
from dynmem.errors import NotFiniteError, ShapeError, SlowWarning
from dynmem.integrate.discontinuity import jumps
from dynmem.integrate.runge_kutta import tableau
from dynmem.orbits import FlowMap, trajectory
from dynmem.runtime import jit
from tests.reference import BUILD, Henon, Lorenz, Lorenz96, row


def branch(flow, x):
    """What is compiled of a flow that jumps, its branch at x, and the input of that."""
    modes = on_branch(flow, x, None)[1].modes
    return BranchFlow(flow, tuple(map(np.shape, modes))), np.concatenate([*map(np.ravel, modes)])


@pytest.mark.parametrize("name", BUILD)
def test_a_program_does_what_the_rule_does(name):
    system, x, u = row(name)
    if isinstance(system, dm.Flow) and jumps(system, len(x)):
        system, u = branch(system, x)
    if isinstance(system, dm.Flow):
        system = FlowMap(system, 0.03, order=8)
    n = len(x)
    made = program(system, n)
    if made is None:  # numpy serves these
        with pytest.raises(TooLargeError):
            trace_rule(system, n)
        return
    frames, states, J = np.eye(n)[None].copy(), x[None].copy(), dm.jacobian(system, x, u)
    full = np.linalg.matrix_rank(J, tol=1e-13) == n
    result = made.run(
        system,
        states,
        frames if full else np.zeros((1, 0, n)),
        1,
        inputs=u,
        keep=("factors",),
        check_every=1 if full else 0,
    )
    np.testing.assert_allclose(states[0], system.rule(x, u), rtol=1e-13, atol=1e-14)
    if full:
        np.testing.assert_allclose((result.factors[0, 0] @ frames[0]).T, J, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(result.growths[0, 0].sum(), np.linalg.slogdet(J)[1], atol=1e-11)
        assert result.sums[0, 1] == 1 and abs(result.sums[0, 0]) < (
            1e-11 if system.flow is None else 1e-6
        )


def test_a_directional_derivative_on_either_side_of_a_kink():
    for b in (-0.3, 0.4):
        for a in (-0.5, 0.2, 0.6):
            x = np.array([a, b])
            system, u = branch(BUILD["implicit"](), x)
            step, frames = FlowMap(system, 1e-3), np.eye(2)[None].copy()
            made = program(step, 2)
            result = made.run(step, x[None].copy(), frames, 1, inputs=u, keep=("factors",))
            J = (result.factors[0, 0] @ frames[0]).T
            np.testing.assert_allclose(J, dm.jacobian(step, x, u), atol=1e-12)
            whole = dm.jacobian(FlowMap(BUILD["implicit"](), 1e-3), x)
            np.testing.assert_allclose(J, whole, atol=1e-12)


def test_the_coefficients_of_order_8_are_those_of_scipy():
    A, B = tableau(8)
    assert (
        all(np.array_equal(row, DOP853.A[i, :i]) for i, row in enumerate(A))
        and np.array_equal(B, DOP853.B)
        and len(A) == len(B)
    )


@pytest.mark.parametrize("steps", [1, 7, 3000])
def test_orbits_by_machine_code_are_those_of_the_rule(steps, monkeypatch):
    henon, starts = Henon(), 0.1 * np.random.default_rng(0).standard_normal((4, 2))
    made = program(henon, 2)
    by_machine = (
        trajectory(henon, starts, steps, None)
        if steps == 3000
        else compiled_orbit(made, henon, starts, steps)
    )
    monkeypatch.setattr("dynmem.orbits.program", lambda *_: None)
    np.testing.assert_allclose(
        by_machine[: min(steps, 20)],
        trajectory(henon, starts, min(steps, 19), None)[: min(steps, 20)],
        atol=1e-10,
    )
    assert by_machine.shape == (steps + 1, 4, 2)


def compiled_orbit(made, system, starts, steps):
    from dynmem.orbits import _compiled_trajectory

    return _compiled_trajectory(made, system, starts, steps, None)


class Damped(dm.Flow):
    """A driven system with a parameter array and a count."""

    stiffness: np.ndarray = None
    order: int = 2
    damping: float = 1.0
    states = ("q", "v")
    inputs = 1

    def rule(self, x, u):
        q, v = x[..., 0], x[..., 1]
        return dm.stack(
            (
                v,
                -self.stiffness[0] * q
                - self.stiffness[1] * q**self.order
                - self.damping * v
                + u[..., 0],
            )
        )


def test_a_user_s_own_driven_system_by_machine_code_and_by_numpy(monkeypatch):
    system, rng = Damped(np.array([1.0, 0.5])), np.random.default_rng(0)
    drive = rng.standard_normal((6000, 1))
    fast = dm.lyapunov_spectrum(system, [0.1, 0.0], duration=50, transient=10, dt=0.01, drive=drive)
    noisy = dm.lyapunov_spectrum(
        system, [0.1, 0.0], duration=50, transient=10, dt=0.01, drive=0.1, rng=3
    )
    monkeypatch.setattr("dynmem.analysis.lyapunov.lyapunov_spectrum.program", lambda *_: None)
    slow = dm.lyapunov_spectrum(system, [0.1, 0.0], duration=50, transient=10, dt=0.01, drive=drive)
    same = dm.lyapunov_spectrum(
        system, [0.1, 0.0], duration=50, transient=10, dt=0.01, drive=0.1, rng=3
    )
    np.testing.assert_allclose(fast.lyapunov, slow.lyapunov, atol=1e-11)
    np.testing.assert_allclose(noisy.lyapunov, same.lyapunov, atol=1e-11)
    assert abs(float(fast.lyapunov.sum()) + 1.0) < 1e-8


def test_fewer_directions_than_states():
    made, F = program(Henon(), 2), np.array([[[0.6, 0.8]]])
    one, two = F.copy(), np.array([[[0.6, 0.8], [-0.8, 0.6]]])
    a, b = (
        made.run(
            Henon(), np.array([[0.1, 0.1]]), frames, 3000, every=1000, keep=("frames", "factors")
        )
        for frames in (one, two)
    )
    np.testing.assert_allclose(a.growths[..., 0], b.growths[..., 0], rtol=1e-12)
    np.testing.assert_allclose(a.frames[:, :, 0], b.frames[:, :, 0], rtol=1e-10)
    assert a.factors.shape == (1, 3, 1, 1) and not a.status.any()


def test_an_ensemble_is_its_members(monkeypatch):
    systems = [Damped(np.array([k, 0.1]), damping=d) for k, d in ((1.0, 0.5), (2.0, 1), (0.5, 2.5))]
    together = dm.lyapunov_spectrum(systems, [0.1, 0.0], duration=100, transient=10, dt=0.01)
    alone = [
        dm.lyapunov_spectrum(s, [0.1, 0.0], duration=100, transient=10, dt=0.01) for s in systems
    ]
    np.testing.assert_array_equal(together.lyapunov, [a.lyapunov for a in alone])
    np.testing.assert_array_equal(together.lyapunov_error, [a.lyapunov_error for a in alone])
    np.testing.assert_allclose(together.lyapunov.sum("exponent"), [-0.5, -1.0, -2.5], atol=1e-8)
    assert together.converged.dims == ("model",) and together.attrs["title"] == (
        "Lyapunov spectrum of Damped"
    )
    two = dm.lyapunov_spectrum(systems, [0.1, 0.0], duration=100, transient=10, dt=0.01, workers=2)
    assert two.identical(together)


def test_systems_of_one_equation_share_a_program():
    a, b = Lorenz(rho=30), Lorenz(rho=28.5)
    assert same_structure([a, b]) and program(FlowMap(a, 0.1), 3) is program(FlowMap(b, 0.2), 3)
    assert not same_structure(
        [Damped(np.ones(2)), Damped(np.ones(2), order=3)]
    ) and not same_structure([a, Lorenz96()])
    np.testing.assert_array_equal(parameter_values(a), [8 / 3, 30.0, 10.0])


class Branches(Henon):
    def rule(self, x, u):
        return Henon.rule(self, x, u) * (1.0 if np.all(x[..., 0] < 1e9) else 0.0)


@pytest.mark.parametrize("kind, said", [(Branches, "dm.where")])
def test_a_rule_that_cannot_be_compiled_says_so_once_and_runs(kind, said):
    program_module._warn.cache_clear()
    with pytest.warns(SlowWarning, match=f"{kind.__name__} runs at numpy's speed.*{said}"):
        found = dm.lyapunov_spectrum(kind(), [0.1, 0.1], duration=20_000, transient=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dm.lyapunov_spectrum(kind(), [0.1, 0.1], duration=20_000, transient=100)
    assert abs(float(found.lyapunov.sum()) - np.log(0.3)) < 1e-10


def test_what_a_trace_refuses():
    with pytest.raises(UntraceableError, match="dm.where"):
        trace_rule(Branches(), 2)
    with pytest.raises(TooLargeError):
        trace_rule(dm.models.Tanh.random(60, rng=0), 60)
    assert (
        program(dm.models.Tanh.random(60, rng=0), 60) is None
        and program(Henon(), 2, work=10) is None
    )
    _, results = trace_rule(Henon(), 2)
    with pytest.raises(UntraceableError, match="not known"):
        float(results[0])


def test_a_program_refuses_what_does_not_fit():
    made = program(Henon(), 2)
    with pytest.raises(ShapeError, match="do not fit"):
        made.run(Henon(), np.zeros((1, 3)), np.zeros((1, 1, 3)), 5)
    with pytest.raises(ShapeError, match="inputs"):
        made.run(Henon(), np.zeros((1, 2)), np.zeros((1, 1, 2)), 5, inputs=np.zeros((3, 1)))


@pytest.mark.parametrize("system, x, match", [
    (Henon(), [50.0, 0.0], r"not finite at step \d+ of"),
    (Henon(a=np.nan), [0.1, 0.1], "not finite"),
    (Henon(a=1e300), [0.5, 0.1], "not finite"),
])  # fmt: skip
def test_a_lost_orbit_is_an_error_by_machine_code_too(system, x, match):
    with pytest.raises(NotFiniteError, match=match):
        dm.lyapunov_spectrum(system, x, duration=100_000)
    with pytest.raises(NotFiniteError, match=match):
        dm.orbit(system, x, duration=200_000)


def test_one_member_that_escapes_is_named():
    systems = [Henon(a=a) for a in (1.2, 5.0)]
    with pytest.raises(NotFiniteError, match="a=5"):
        dm.lyapunov_spectrum(systems, [0.1, 0.1], duration=50_000)


SCRIPT = """
import dynmem as dm
from tests.reference import Henon
print(float(dm.lyapunov_spectrum(Henon(), [0.1, 0.1], duration=100_000, transient=100).lyapunov[0]))
"""


def run(cache, **options):
    environment = {
        "PATH": "/usr/bin:/bin",
        "XDG_CACHE_HOME": str(cache),
        "HOME": str(cache),
        "PYTHONPATH": ".",
        "PYTHONWARNINGS": "error",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        cwd=options.get("cwd"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def root():
    from pathlib import Path

    return Path(dm.__file__).parents[1]


@pytest.mark.slow  # compiles the loops anew, some seconds in each process
def test_the_cache_is_used_and_damage_to_it_does_no_harm(tmp_path, root):
    first = run(tmp_path, cwd=root)
    kept = sorted((tmp_path / "dynmem" / "programs" / "__pycache__").iterdir())
    assert len(kept) == 2 and {path.suffix for path in kept} == {".nbc", ".nbi"}
    times = [path.stat().st_mtime_ns for path in kept]
    assert run(tmp_path, cwd=root) == first and [path.stat().st_mtime_ns for path in kept] == times
    codes = sorted((tmp_path / "dynmem" / "programs").glob("steps_*.o"))
    assert codes
    for path in (*kept, *codes):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert run(tmp_path, cwd=root) == first
    for path in codes:
        path.write_bytes(path.read_bytes()[:-200] + bytes(200))
    assert run(tmp_path, cwd=root) == first
    for text in (tmp_path / "dynmem" / "programs").glob("*.py"):
        text.write_text("raise SystemExit('code read from disk has run')\n")
    assert run(tmp_path, cwd=root) == first


def test_kept_code_goes_by_its_own_name(tmp_path, monkeypatch):
    """A file that was copied to the name of another equation would run in its place."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jit.keep("steps_one", b"code")
    assert jit.kept("steps_one") == b"code"
    folder = jit.cache_folder()
    (folder / "steps_two.o").write_bytes((folder / "steps_one.o").read_bytes())
    assert jit.kept("steps_two") is None


def test_a_cache_folder_must_be_absolute(monkeypatch):
    """As the XDG base directory specification asks: a relative one would be another in every
    working directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere/else")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(jit.cache_folder()) == "/home/someone/.cache/dynmem/programs"


@pytest.mark.slow  # compiles the loops anew, some seconds in each process
def test_a_cache_that_others_may_write_to_is_left_alone(tmp_path, root):
    folder = tmp_path / "dynmem" / "programs"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert np.isfinite(float(run(tmp_path, cwd=root))) and not list(folder.iterdir())


@pytest.mark.slow  # compiles the loops anew, some seconds in each process
def test_without_a_place_for_the_cache_it_still_runs(tmp_path, root):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert np.isfinite(float(run(blocked, cwd=root)))


def test_exponents_are_the_same_by_machine_code_and_by_numpy(monkeypatch):
    system = replace(Lorenz(), rho=20.0)  # at rest in the end: nothing amplifies rounding
    fast = dm.lyapunov_spectrum(system, [8.0, 8.0, 20.0], duration=60, transient=20)
    monkeypatch.setattr("dynmem.analysis.lyapunov.lyapunov_spectrum.program", lambda *_: None)
    slow = dm.lyapunov_spectrum(system, [8.0, 8.0, 20.0], duration=60, transient=20)
    np.testing.assert_allclose(fast.lyapunov, slow.lyapunov, atol=2e-6)
    assert fast.attrs["parameters"] == slow.attrs["parameters"]


def test_of_many_programs_those_used_last_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jit, "MAX_CACHED_PROGRAMS", 3)
    for i in range(3):
        jit.keep(f"steps_{i}", bytes([i]))
        os.utime(tmp_path / "dynmem" / "programs" / f"steps_{i}.o", (i, i))
    assert jit.kept("steps_0") == b"\0"
    jit.keep("steps_3", b"\3")
    assert [jit.kept(f"steps_{i}") for i in range(4)] == [b"\0", None, b"\2", b"\3"]
