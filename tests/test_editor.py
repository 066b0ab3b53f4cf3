"""What an editor shows without running anything: names, signatures, types."""

import subprocess
import sys
from pathlib import Path

import jedi
import pytest

import dynmem
from dynmem.runtime import stubs

HEADER = "import dynmem as dm\n"


def completions(text):
    return {found.name for found in jedi.Script(HEADER + text).complete()}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("dm.lyapu", "lyapunov_spectrum"),
        ("dm.analysis.para", "parameter_map"),
        ("dm.theory.critical_g", "critical_gain"),
        ("dm.systems.Lor", "Lorenz63"),
        ("dm.models.LS", "LSTM"),
        ("dm.tasks.Cop", "Copy"),
        ("dm.training.fit_f", "fit_forecaster"),
        ("dm.Map.from_f", "from_function"),
    ],
)
def test_names_are_completed(text, name):
    assert name in completions(text)


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("dm.lyapunov_spectrum(", {"system", "x0", "drive", "duration", "transient", "rng"}),
        ("dm.gradient_norms(", {"system", "x0", "drive", "lags"}),
        ("dm.fit(", {"model", "task", "steps"}),
    ],
)
def test_signatures_are_shown(call, parameters):
    (signature,) = jedi.Script(HEADER + call).get_signatures()
    assert parameters <= {parameter.name for parameter in signature.params}
    assert signature.docstring()


def test_the_stubs_are_up_to_date():
    for package in stubs.PACKAGES:
        path = stubs.ROOT / package / "__init__.pyi"
        assert path.read_text(encoding="utf-8") == stubs.stub(package), "run `make stubs`"


def test_the_package_says_that_it_is_typed():
    assert Path(dynmem.__file__).with_name("py.typed").exists()


def test_star_import_shadows_no_builtin():
    code = "from dynmem import *; print(sum([1, 2]), abs(-1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["3", "1"], done.stderr


def test_a_trained_model_completes():
    trained = "model, history = dm.fit('gru', 'copy', steps=3)\n"
    assert {"run", "unroll", "initial", "parameters"} <= completions(trained + "model.")
    assert {"attrs", "sizes", "isel"} <= completions(trained + "history.")
