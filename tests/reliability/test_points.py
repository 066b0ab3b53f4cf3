"""Points in processes of their own: seeds, what ends a process, and what is larger than memory."""

import json
import subprocess
import sys

import pytest

from dynmem.study import Store
from tests.study.test_points import draws, run
from tests.tiny import environment


@pytest.mark.promise("R10")
def test_torch_is_seeded_where_a_measure_imports_it(tmp_path):
    """Each point in a process of its own, so that each is the first to import torch."""
    code = (
        "import sys; from tests.study.test_points import run, draws; "
        "assert 'torch' not in sys.modules; "
        "print(run(sys.argv[1], draws, [float(sys.argv[2])]).torch.item())"
    )
    expected = run(tmp_path / "here", draws, (1.0, 2.0)).torch.values.tolist()
    for gain, value in zip(("1.0", "2.0"), expected, strict=True):
        out = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / gain), gain],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
        )
        assert float(out.stdout) == value, out.stderr


@pytest.mark.promise("R3")
def test_a_point_that_ends_the_only_process_does_not_block_the_study(tmp_path):
    (tmp_path / "deadly.py").write_text(
        "import os, xarray\n"
        "from dynmem.study import Study\n"
        "def measure(gain):\n"
        "    if gain == 2.0: os._exit(3)\n"
        "    return xarray.Dataset({'x': gain})\n"
        "STUDY = Study('deadly', 'q', {'gain': [1.0, 2.0, 3.0]}, measure)\n"
        "if __name__ == '__main__': raise SystemExit(STUDY.main(['--workers', '1']))\n"
    )

    def once():
        command = [sys.executable, "deadly.py"]
        env = environment(tmp_path)
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)

    assert once().returncode == 3
    for _ in range(2):
        ran = once()
        assert ran.returncode == 1 and "it ended 3 workers" in ran.stderr, ran.stderr
        found = Store("deadly", tmp_path / "results").load()
        assert found.x.sel(gain=[1.0, 3.0]).values.tolist() == [1.0, 3.0]


@pytest.mark.promise("S7")
def test_points_are_never_in_memory_together(tmp_path):
    code = (
        "import resource, sys, numpy as np, xarray as xr\n"
        "from dynmem.study import Study, store, run\n"
        "store.MEMORY_BYTES = run.MEMORY_BYTES = 2**20\n"
        "def measure(gain): return xr.Dataset({'x': ('k', np.full(2_500_000, gain))})\n"
        "def finish(dataset): return dataset.assign(last=dataset.x[:, -1].load())\n"
        "study = Study('large', 'q', {'gain': [1.0 * i for i in range(10)]}, measure, "
        "finish=finish)\n"
        "study.run(output=sys.argv[1], overrides={'gain': [1.0]}); "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = study.run(output=sys.argv[1])\n"
        "print(found['last'].values.tolist(), found.nbytes, "
        "(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    values, _, rest = out.stdout.partition("] ")
    total, grown = map(int, rest.split())
    assert json.loads(values + "]") == list(range(10)), out.stderr
    assert total > 200e6 and grown < 60e6
