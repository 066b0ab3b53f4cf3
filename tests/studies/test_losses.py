"""What studies report of a training is the test loss: the validation loss chose the weights."""

from importlib import import_module
from pathlib import Path

import pytest
import xarray as xr

import dynmem as dm

STUDIES = sorted(Path(__file__, "../../../studies").resolve().glob("*.py"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_no_study_reports_the_loss_that_chose_the_weights(path):
    text = path.read_text()
    for name in (
        "validation_loss.min",
        "validation_loss[",
        "validation_accuracy.max",
        "held_out_loss",
    ):
        assert name not in text, f"{path.name} reports {name}: expected test_loss or test_accuracy"


@pytest.mark.parametrize("study", ["orthogonal", "gates"])
def test_the_loss_of_a_point_is_that_of_the_test(study, monkeypatch):
    """With twice the test loss, and all else the same, a point reports twice the loss."""
    module, fit, reported = import_module(f"dynmem.studies.{study}"), dm.fit, []
    plan = module.STUDY.plan(quick=True)
    point = next(iter(plan.points())) | dict(plan.settings) | {"units": 4, "steps": 2}
    for loss in (0.125, 0.25):

        def known(*arguments, loss=loss, **options):
            trained, history = fit(*arguments, **options)
            return trained, history.assign(test_loss=xr.full_like(history.test_loss, loss))

        monkeypatch.setattr(dm, "fit", known)
        reported.append(float(module.measure(**point).loss_over_floor))
    assert reported[1] == pytest.approx(2 * reported[0])
