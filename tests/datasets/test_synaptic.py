"""Traces of memories in synapses against theory."""

import dynmem as dm


def test_traces_agree_with_theory():
    d = dm.datasets.load("synapse_traces", lags=40, synapses=1000)
    # 123 numbers: the largest of as many normal ones is below that
    assert float((abs(d.trace - d.theory) / d.trace_error).max()) < 4.5
    assert d.synapse.values.tolist() == ["exponential", "cascade", "benna_fusi"]
