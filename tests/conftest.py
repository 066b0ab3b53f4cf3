"""Marks that every file of tests may use."""

import pytest

pytest_plugins = ["tests.promises", "tests.stores"]


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU that torch can use")
