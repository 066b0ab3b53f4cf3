"""``dynmem data``: make a dataset and write it to a file."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..study.command import complain
from ..study.parameters import ConfigurationError, read_value, unknown

if TYPE_CHECKING:
    from xarray import Dataset


def write_data(options: argparse.Namespace) -> int:
    """``dynmem data NAME --output FILE``: make a dataset, write it, and print what it is."""
    from .. import datasets
    from ..errors import ConvergenceError

    given = dataset_options(options.set, datasets.options(options.name))
    if os.path.lexists(options.output) and not options.replace:
        return complain(
            f"{options.output} exists: choose another name, or write over it with --replace", 2
        )
    try:
        path = datasets.write(options.name, options.output, **given)
    except (ValueError, TypeError, ArithmeticError, ConvergenceError, MemoryError) as error:
        return complain(str(error), 2)
    except ImportError as error:
        return complain(str(error), 1)
    with datasets.open(path) as dataset:
        if options.json:
            facts = {
                "file": str(path),
                "sizes": dict(dataset.sizes),
                "checksum_file": f"{path}.sha256",
                "attributes": plain_attributes(dataset),
            }
            print(json.dumps(facts))
        else:
            print(f"{path}\n{datasets.summary(dataset)}")
    return 0


def plain_attributes(dataset: Dataset) -> dict[str, Any]:
    """Attributes of a Dataset as JSON can hold them."""
    return {
        name: value.tolist() if hasattr(value, "tolist") else value
        for name, value in dataset.attrs.items()
    }


def dataset_options(texts: Sequence[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """Options from ``name=value``, or ``name=v1,v2,...`` for a parameter that varies, each read as
    the type of its default."""
    given: dict[str, Any] = {}
    wrong = []
    for text in texts:
        name, equals, values = text.partition("=")
        default = known.get(name, 0.0)
        if not equals:
            wrong.append(f"{text}: write it as option=value")
        elif name not in known:
            wrong.append(unknown(name, known))
        elif default is not None and type(default) not in (int, float, bool, str):
            wrong.append(
                f"{name}: an array cannot be set from a command line: call dm.datasets.load"
            )
        else:
            try:
                read = [_read(value.strip(), default) for value in values.split(",")]
                given[name] = read if len(read) > 1 else read[0]
            except ValueError as error:
                wrong.append(f"{name} = {values!r}: {error}")
    if wrong:
        raise ConfigurationError(wrong)
    return given


def _read(text: str, default: Any) -> Any:
    return read_any(text) if default is None else read_value(text, type(default))


def read_any(text: str) -> int | float | str:
    """A user's text as an integer, a number or a name, whichever it can be.

    >>> read_any("7"), read_any("0.5"), read_any("hamlet")
    (7, 0.5, 'hamlet')
    """
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return read_value(text, kind)
    return read_value(text, str)
