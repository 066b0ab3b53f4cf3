"""Tables in files, CSV and netCDF. Nothing that is read runs code or leads to another file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DamageError
from ..runtime.memory import require_memory
from .store import refuse_external
from .tables import is_number

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset

FILE_MEMORY_RATIO = 4  # bytes of memory for each of a file: text, then numbers
OWN_READER = "read it yourself and pass the DataFrame, pandas.read_csv(path, ...)"


def require_file(path: Path, memory_ratio: int = FILE_MEMORY_RATIO) -> None:
    """Raise an error for what is no plain file, and for one that does not fit into memory."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise ValueError(f"{path} is no plain file: pass the path of a file")
    require_memory(memory_ratio * path.stat().st_size, f"what {path} holds", "pass a part of it")


def read_csv(path: Path) -> DataFrame:
    """A CSV file with one line a sample, as a DataFrame; its separator is that of the first line,
    which may hold names; spaces, where the numbers have no other. Raises DamageError with the
    reason."""
    import pandas as pd

    try:
        # opened here: pandas would fetch an address, and unpack an archive
        with path.open(encoding="utf-8-sig", newline="") as file, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            separator, named = _layout(file.readline(), file.readline())
            file.seek(0)
            return pd.read_csv(
                file,
                sep=separator,
                header=0 if named else None,
                index_col=False,
                low_memory=False,
            )
    except pd.errors.EmptyDataError:
        raise DamageError(f"{path} is empty: expected one line a sample") from None
    except UnicodeDecodeError as error:
        raise DamageError(
            f"{path} is no text in UTF-8 (byte {error.start}): "
            f"{OWN_READER.replace('...', 'encoding=...')}"
        ) from None
    except (ValueError, pd.errors.ParserWarning, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise DamageError(
            f"{path} is no table of lines of equal length ({reason:.100}): mend the line, or "
            f"{OWN_READER}"
        ) from None


def _layout(first: str, second: str) -> tuple[str, bool]:
    """The separator of a file, by its first two lines, and whether the first holds names: spaces
    where there is no other and they part numbers, as numpy.savetxt writes them."""
    separator = max(",;\t", key=first.count)
    if separator not in first:
        parts = second.split() or first.split()
        apart = len(parts) > 1 and len(parts) == len(first.split()) and all(map(is_number, parts))
        separator = r"\s+" if apart else ","
    names = first.split() if separator == r"\s+" else first.split(separator)
    return separator, not all(map(is_number, names))


def read_netcdf(path: Path) -> Dataset:
    """A netCDF file of any origin, read from its own bytes alone. Raises DamageError where it is
    none, or refers to other files, and MemoryError, before it is read, for one that does not fit.
    """
    import xarray as xr

    with path.open("rb") as file:
        classic = file.read(3) == b"CDF"
    try:
        if not classic:
            refuse_external(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what xarray doubts is not one series for certain
            engine = "scipy" if classic else "h5netcdf"
            # an index would be read at once
            options: dict[str, Any] = {"cache": False, "create_default_indexes": False}
            with xr.open_dataset(path, engine=engine, **options) as opened:
                # what is compressed may be far larger than its file
                require_memory(opened.nbytes, f"what {path} holds", "pass a part of it")
                return opened.load()
    except (DamageError, MemoryError):
        raise
    except Exception as error:  # readers raise anything for a damaged file
        reason = " ".join(str(error).split())
        raise DamageError(
            f"{path} is no netCDF file that can be read ({reason:.100}): read it with xarray and "
            "pass the DataArray"
        ) from None
