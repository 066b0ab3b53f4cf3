"""Memories of neurons and synapses as datasets."""

DATASETS = {}
