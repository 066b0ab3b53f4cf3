"""Distances in tokens by hand."""

from dynmem.datasets import text_sources, token_distances


def test_distances_by_hand(monkeypatch):
    documents = {"a": "other words", "b": "summer is summer, and Summer"}
    monkeypatch.setattr(text_sources, "_read", lambda source: documents)
    found = token_distances.distances("python", vocabularies=[256], held_out=["b"])
    assert found.characters_apart.values.tolist() == [
        10,
        12,
    ] and found.tokens_apart.values.tolist() == [[10, 12]]
