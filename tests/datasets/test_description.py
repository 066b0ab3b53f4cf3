"""Summaries of Datasets, and the checksum of their content."""

import pytest

import dynmem as dm
from dynmem.datasets import description


def test_a_summary_holds_the_facts_of_a_dataset():
    text = dm.datasets.summary(
        dm.datasets.load("lorenz63", samples=2000, rho=[20.0, 28.0], noise=0.1)
    )
    rows = {line[:18].strip(): line[19:] for line in text.splitlines()[1:] if line[0] != " "}
    # at rho = 20 Lorenz's flow comes to rest
    rest, chaos, unit = rows["Lyapunov time"].replace(",", "").split(maxsplit=2)
    assert rest == "inf" and unit == "time unit"
    assert float(chaos) == pytest.approx(1 / 0.9056, rel=0.1)
    assert rows["sampling step"].endswith("time unit") and rows["transient"].startswith("0, 2")
    assert (
        rows["exponents from"].startswith("eigenvalues")
        and "measured over" in rows["exponents from"]
    )
    assert rows["made by"] == (
        "integrated by dynmem: Runge-Kutta of order 8 (Dormand and Prince), "
        "error below 1e-07 a unit of time"
    )
    assert '"fraction": 0.02' in text and "0 train, 1 validation, 2 test" in text
    text = dm.datasets.summary(dm.datasets.load("henon", samples=100))
    assert (
        "exponents          0.41922, -1.62319 1/step" in text
        and "made by            iterated by dynmem" in text
    )
    text = dm.datasets.summary(dm.datasets.load("figure_eight", samples=100, gap=0.0))
    assert "N bodies under their own gravity. q_i'' = G sum" in " ".join(text.split())
    text = dm.datasets.summary(dm.tasks.get("questions").sample(3, part="test"))
    expected = (
        "law Read a story",
        "floor 1.79176: least mean cross entropy in nats",
        "chance 0.166667: share of right",
        "lag in steps 33",
        "vocabulary Mary John",
        "answers kitchen garden",
        "part test",
        "licence none needed",
        "loss cross_entropy",
    )
    assert all(words in " ".join(text.split()) for words in expected)


def test_only_datasets_are_saved_and_described(tmp_path):
    made = dm.datasets.load("henon", samples=100)
    for use in (dm.datasets.summary, lambda d: dm.datasets.save(d, tmp_path / "x.nc")):
        with pytest.raises(TypeError, match="to_dataset"):
            use(made.x)
        with pytest.raises(TypeError, match="is no Dataset: pass what dm.datasets.load"):
            use({"x": 1})
    with pytest.raises(TypeError, match=r"'henon' is a name: pass it to dm.datasets.describe"):
        dm.datasets.summary("henon")
    for other in (made, made.x):
        with pytest.raises(TypeError, match="pass a Dataset to summary"):
            dm.datasets.describe(other)


def test_equal_datasets_and_files_have_one_checksum(tmp_path):
    made = dm.datasets.load("henon", samples=300)
    one, two = (dm.datasets.save(made, tmp_path / f"{name}.nc") for name in "ab")
    assert one.read_bytes() == two.read_bytes()
    assert description.fingerprint(made) != description.fingerprint(made.assign_attrs(seed=1))
