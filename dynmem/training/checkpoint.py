"""Checkpoints: one file with the weights of a system and what it takes to build it again; reading
one cannot run code."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from dataclasses import fields
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..arrays import tensors
from ..errors import DamageError, ShapeError
from ..models import Activation, Block, Convolution, Dense, FeedForward, Network, Norm
from ..models.registry import MODELS
from ..runtime import files
from ..runtime.validation import public
from ..system import System
from .forecaster import Forecaster
from .trainable import join, leaves, rebuilt

KINDS = {
    kind.__name__: kind
    for kind in (
        *MODELS.values(),
        Network,
        Activation,
        Block,
        Convolution,
        Dense,
        FeedForward,
        Norm,
        Forecaster,
    )
}
KEYS = {"weights", "record", "sha256"}
MAX_DEPTH = 32  # systems inside systems; a damaged file may nest deeper


@public
def save(system: System, path: str | PathLike, **facts: Any) -> None:
    """Write a system and facts about it to a file.

    The file is written aside and renamed, so that a killed process leaves the old file or the new.
    ``torch.load(path, weights_only=True)`` reads it: weights by their path, a JSON record, and the
    SHA-256 of both.

    Parameters
    ----------
    system : System
        A trained model or any other system.
    path : path
        File to write.
    **facts
        What JSON can hold, such as the step and the loss.

    Raises
    ------
    OSError
        Where the file cannot be written; the old one stays.

    Examples
    --------
    >>> import tempfile, dynmem as dm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dm.training.save(dm.models.get("gru", units=3, inputs=2), folder + "/gru.pt", step=5)
    ...     sorted(torch.load(folder + "/gru.pt", weights_only=True))
    ['record', 'sha256', 'weights']
    """
    write(system, path, facts)


def write(
    system: System,
    path: str | PathLike,
    facts: dict[str, Any],
    training: tuple[dict[str, torch.Tensor], str] | None = None,
) -> None:
    """``save``, with the tensors and the JSON record from which a training goes on."""
    weights = {
        name: torch.from_numpy(value.copy())
        for name, value in leaves(system)
        if isinstance(value, np.ndarray)
    }
    record = json.dumps({"system": system_record(system), "facts": facts}, sort_keys=True)
    payload: dict[str, Any] = sealed(weights, record)
    if training is not None:
        payload["training"] = sealed(*training)
    data = BytesIO()
    torch.save(payload, data)
    files.write(Path(path), data.getvalue())


def sealed(weights: dict[str, torch.Tensor], record: str) -> dict[str, Any]:
    """Tensors and a record, with their digest."""
    return {"weights": weights, "record": record, "sha256": digest(weights, record)}


@public
def load(path: str | PathLike, like: System | None = None) -> System:
    """Read the system of a checkpoint, with float64 arrays, validated as any other.

    Parameters
    ----------
    path : path
        File that ``save`` or ``dm.fit(..., checkpoint=path)`` has written.
    like : System, optional
        For a system of your own, one of the same class and shapes; a model of dynmem is built from
        the record.

    Returns
    -------
    System

    Raises
    ------
    DamageError
        Where the file does not match its checksum, is not a checkpoint, or holds objects other than
        tensors.
    ShapeError
        Where ``like`` has other shapes.
    TypeError
        For a system of your own without ``like``.

    Examples
    --------
    >>> import tempfile, dynmem as dm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dm.training.save(dm.models.get("gru", units=3, inputs=2), folder + "/gru.pt")
    ...     dm.training.load(folder + "/gru.pt").size
    3
    """
    weights, record = read(path)
    arrays = {
        name: tensors(weight) if weight.is_floating_point() else weight.numpy()
        for name, weight in weights.items()
    }
    described = record["system"]
    if like is not None:
        return _into(like, described, arrays, path)
    system = _build(described, arrays, path)
    if unknown := sorted(arrays.keys() - dict(_shapes(described)).keys()):
        raise _foreign(path, f"a {described['kind']} has no array {', '.join(unknown)}")
    return system


def read(path: str | PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights (a dict of tensors) and record (a dict with "system" and "facts") of a checkpoint,
    compared with its checksum."""
    payload = _whole(path)
    weights, text = _opened({key: payload[key] for key in payload if key != "training"}, path)
    return weights, _record(text, path)


def read_training(path: str | PathLike) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Tensors and record from which a training goes on, compared with their checksum; None where a
    checkpoint holds a system alone."""
    payload = _whole(path)
    if "training" not in payload:
        return None
    held, text = _opened(payload["training"], path)
    return held, json.loads(text)


def _whole(path):
    payload = _payload(Path(path).read_bytes(), path)
    if type(payload) is not dict:
        raise _foreign(path, "for a torch module of your own use dm.models.from_torch")
    return payload


def _opened(payload, path):
    """Tensors and text of what ``sealed`` returned."""
    if not (
        type(payload) is dict
        and payload.keys() == KEYS
        and type(payload["weights"]) is dict
        and type(payload["record"]) is str
    ):
        raise _foreign(path, "for a torch module of your own use dm.models.from_torch")
    weights = payload["weights"]
    if not all(
        type(k) is str and type(v) is torch.Tensor and v.layout is torch.strided
        for k, v in weights.items()
    ):
        raise DamageError(f"refused: checkpoint holds objects other than tensors: {path}")
    if _digest(weights, payload["record"]) != payload["sha256"]:
        raise DamageError(f"{path} does not match its checksum: take an older copy or train again")
    return weights, payload["record"]


def _record(text, path):
    """The record, if ``save`` could have written it."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        raise _foreign(path, "its record is not JSON") from None
    if not (
        isinstance(record, dict)
        and record.keys() == {"system", "facts"}
        and isinstance(record["facts"], dict)
    ):
        raise _foreign(path, "its record does not hold a system and facts")
    if not (
        isinstance(record["system"], dict)
        and "kind" in record["system"]
        and _described(record["system"])
    ):
        raise _foreign(path, "its record does not describe a system")
    return record


def _described(value, depth=MAX_DEPTH):
    """Whether ``system_record`` could have returned this."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return True
    match value if depth else None:
        case {"kind": str(), "fields": dict(inner)} if len(value) == 2:
            return all(_described(each, depth - 1) for each in inner.values())
        case {"entries": list(inner)} if len(value) == 1:
            return all(_described(each, depth - 1) for each in inner)
        case {"array": list(shape)} if len(value) == 1:
            return all(type(length) is int for length in shape)
        case {"unknown": str()}:
            return len(value) == 1
    return False


def _foreign(path, reason):
    return DamageError(f"{path} is not a dynmem checkpoint: {reason}")


def _payload(data, path):
    refused = f"refused: checkpoint holds objects other than tensors: {path}"
    damaged = f"{path} is damaged: take an older copy or train again"
    # torch.save has written zip files since 2020: anything else is not even opened
    if data[:2] != b"PK":
        raise DamageError(refused)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            # torch does not look at the checksums inside its own files
            sound = archive.testzip() is None
        payload = (
            torch.load(BytesIO(data), weights_only=True, map_location="cpu") if sound else None
        )
    except pickle.UnpicklingError:
        raise DamageError(refused) from None
    except Exception:  # what a broken file makes zipfile and torch raise is not listed anywhere
        raise DamageError(damaged) from None
    if not sound:
        raise DamageError(damaged)
    return payload


def _digest(weights, record):
    """The digest, or None of what ``save`` never writes: types that numpy does not know, text that
    is not Unicode."""
    try:
        return digest(weights, record)
    except (TypeError, ValueError, RuntimeError):
        return None


def digest(weights: dict[str, torch.Tensor], record: str) -> str:
    """SHA-256 over names, types, shapes and bytes of the weights and over the record."""
    found = hashlib.sha256(record.encode())
    for name in sorted(weights):
        array = weights[name].detach().contiguous().numpy()
        found.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def system_record(value: Any) -> Any:
    """A system as JSON holds it: its class and fields, nested systems too, arrays by their shapes,
    since the weights hold them."""
    if isinstance(value, System):
        return {
            "kind": type(value).__name__,
            "fields": {
                f.name: system_record(getattr(value, f.name)) for f in fields(value) if f.init
            },
        }
    if isinstance(value, (tuple, list)):
        return {"entries": [system_record(entry) for entry in value]}
    if isinstance(value, np.ndarray):
        return {"array": list(value.shape)}
    return (
        value
        if isinstance(value, (bool, int, float, str)) or value is None
        else {"unknown": type(value).__name__}
    )


def _build(described, arrays, file, path=""):
    if not isinstance(described, dict):
        return described
    if "array" in described:
        if path not in arrays or list(arrays[path].shape) != described["array"]:
            raise _foreign(file, f"it lacks {path}, an array of shape {described['array']}")
        return arrays[path]
    if "entries" in described:
        return tuple(
            _build(entry, arrays, file, f"{path}.{i}")
            for i, entry in enumerate(described["entries"])
        )
    kind = described.get("kind")
    if kind not in KINDS:
        raise TypeError(
            f"{file} holds a {kind or described.get('unknown')}, no model of dynmem: "
            "pass like=, a system of that kind"
        )
    inner = {k: _build(v, arrays, file, join(path, k)) for k, v in described["fields"].items()}
    return _constructed(lambda: KINDS[kind](**inner), kind, file)


def _constructed(make, kind, file):
    """A system from its constructor; its error is re-raised as one about the file."""
    try:
        return make()
    except Exception as error:  # a user's own constructor may raise anything
        raise _foreign(file, f"it describes a {kind} that cannot be: {error}") from error


def _shapes(described, path=""):
    """Shapes of the arrays that a description names, by path."""
    if not isinstance(described, dict):
        return
    if "array" in described:
        yield path, tuple(described["array"])
    for name, inner in described.get(
        "fields", dict(enumerate(described.get("entries", ())))
    ).items():
        yield from _shapes(inner, join(path, name))


def _into(like, described, arrays, file):
    shapes = {path: value.shape for path, value in leaves(like) if isinstance(value, np.ndarray)}
    found = {path: array.shape for path, array in arrays.items()}
    if type(like).__name__ != described["kind"] or shapes != found:
        raise ShapeError(
            f"{file} holds a {described['kind']} with {found}, which "
            f"{type(like).__name__} with {shapes} cannot take"
        )
    if dict(_shapes(described)) != dict(_shapes(system_record(like))):
        raise _foreign(
            file, f"its record describes other arrays than those of a {described['kind']}"
        )
    if unknown := sorted(described["fields"].keys() - system_record(like)["fields"].keys()):
        raise _foreign(file, f"a {described['kind']} has no field {', '.join(unknown)}")
    return _constructed(
        lambda: rebuilt(like, dict(_constants(described)) | arrays), described["kind"], file
    )


def _constants(described, path=""):
    """Numbers and strings among the fields, by path: they may have been trained or set too."""
    if not isinstance(described, dict):
        yield path, described
        return
    for name, inner in described.get(
        "fields", dict(enumerate(described.get("entries", ())))
    ).items():
        yield from _constants(inner, join(path, name))
