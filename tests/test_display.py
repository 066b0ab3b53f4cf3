"""How objects show themselves: one line without arrays, and a card for notebooks."""

import numpy as np
import pytest

import dynmem as dm
from dynmem.runtime.html import card
from dynmem.studies import vanishing

SHOWN = {
    "system": lambda: dm.systems.get("lorenz63"),
    "large system": lambda: dm.systems.get("lorenz96"),
    "flow as a map": lambda: dm.FlowMap(dm.systems.get("lorenz63")),
    "network": lambda: dm.models.get("lstm", units=64, inputs=8, outputs=2, layers=2),
    "linearised": lambda: dm.linearize(dm.systems.get("henon"), [0.0, 0.0]),
    "task": lambda: dm.tasks.get("copy", delay=30),
    "study": lambda: vanishing.STUDY,
    "trainable": lambda: dm.Trainable(dm.models.get("gru", units=4, inputs=2)),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_repr_is_one_short_line_without_arrays(name):
    text = repr(SHOWN[name]())
    assert "\n" not in text and "array" not in text and len(text) < 120


@pytest.mark.parametrize("name", [name for name in SHOWN if name != "linearised"])
def test_a_card_has_facts(name):
    html = SHOWN[name]()._repr_html_()
    assert "<table>" in html and "array(" not in html


@pytest.mark.parametrize("name", dm.systems.names())
def test_every_system_shows_its_equation(name):
    assert "=" in (dm.systems.get(name)._repr_latex_() or "")


@pytest.mark.parametrize("name", dm.models.names())
def test_every_model_shows_its_equation(name):
    assert "=" in (dm.models.get(name, units=4, inputs=4)._repr_latex_() or "")


def test_known_exponents_are_shown_where_they_hold():
    assert "0.9056" in dm.systems.get("lorenz63")._repr_html_()
    assert "0.9056" not in dm.systems.get("lorenz63", rho=20.0)._repr_html_()


def test_what_is_shown_is_escaped():
    hostile = type("<script>alert(1)</script>", (dm.Map,), {"states": ("x",), "rule": lambda *_: 0})
    assert "<script>" not in hostile()._repr_html_()
    assert "<img" not in card("a", "<img src=x>", [("<img>", "<img onerror=1>")])


def test_weights_are_counted():
    assert "525,312 weights" in repr(dm.models.get("lstm", units=256, inputs=256))


def test_an_array_as_a_default_belongs_to_each_instance():
    class Scaled(dm.Map):
        W: np.ndarray = np.eye(2)
        states = ("x", "y")

        def rule(self, x, u):
            return x @ self.W.T

    assert Scaled().W is not Scaled().W and "4 weights" in repr(Scaled())
