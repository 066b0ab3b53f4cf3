"""Zarr folders: written aside and renamed, a line of checksum for each file, and only codecs that
cannot run code."""

from __future__ import annotations

import builtins
import errno
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import DamageError
from ..runtime import files
from ..runtime.platform import flush_folder

if TYPE_CHECKING:
    from xarray import Dataset

# what Zarr 3 specifies
CODECS = {
    "bytes",
    "zstd",
    "gzip",
    "blosc",
    "crc32c",
    "transpose",
    "sharding_indexed",
    "vlen-utf8",
    "vlen-bytes",
}
# else a chunk of one kind of NaN, or of -0.0, comes back as another
WRITE_OPTIONS: dict[str, Any] = {"write_empty_chunks": True}
MAX_INDEX_LABELS = 1_000_000  # of a dim, up to which they are read at once and can be selected by
NEEDED = (
    "Zarr folders need the package zarr, which is missing here: pip install 'dynmem[zarr]', "
    "or write to a file that ends in .nc"
)


def save(blocks: Iterable[Dataset], path: Path, dim: str) -> Path:
    """Write Datasets that follow each other along ``dim`` to one Zarr folder, with its checksums in
    ``NAME.zarr.sha256``."""
    zarr = _zarr()
    if path.exists() and not (path / "zarr.json").is_file():
        raise FileExistsError(
            errno.EEXIST, "is there and no Zarr folder, it is not replaced", str(path)
        )
    part, old = path.with_name(path.name + ".part"), path.with_name(path.name + ".old")
    for left in (part, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        with warnings.catch_warnings():
            # text of fixed width is outside Zarr's specification so far; it keeps the dtype, and
            # zarr itself reads it
            warnings.filterwarnings(
                "ignore", message="The data type .* does not have a Zarr V3 specification"
            )
            for number, block in enumerate(blocks):
                own = (
                    block
                    if not number
                    else block.drop_vars(
                        [name for name, v in block.variables.items() if dim not in v.dims]
                    )
                )
                more: dict[str, Any] = (
                    {"append_dim": dim} if number else {"encoding": _plain(block)}
                )
                own.drop_encoding().to_zarr(
                    part,
                    zarr_format=3,
                    consolidated=False,
                    mode="a" if number else "w",
                    **WRITE_OPTIONS,
                    **more,
                )
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
            zarr.consolidate_metadata(part)  # else xarray warns that it is missing
        lines = _lines(part, path.name)
        files.sidecar(path).unlink(missing_ok=True)
        if path.exists():
            os.rename(path, old)
        os.rename(part, path)
        flush_folder(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    files.write(files.sidecar(path), lines)
    shutil.rmtree(old, ignore_errors=True)
    return path


def open(path: Path) -> Dataset:
    """The Dataset of a Zarr folder of ``save``, compared with its checksums, its numbers left on
    disk."""
    import xarray as xr

    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "no such store", str(path))
    if link := next((p for p in path.rglob("*") if p.is_symlink()), None):
        raise DamageError(
            f"{link} is a link to another place, of which neither checksum nor "
            "codecs are known: it is not one of ours"
        )
    if files.stated_checksum(path) != _lines(path, path.name):
        raise DamageError(
            f"{path} does not match its checksums: make it again (dynmem data), or "
            "copy it again with them"
        )
    _refuse_codecs(path)
    _zarr()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="The data type .* does not have a Zarr V3 specification"
        )
        try:
            return indexed(
                xr.open_zarr(path, consolidated=False, chunks=None, create_default_indexes=False)
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamageError(
                f"{path} matches its checksums, but is no Zarr folder: it is not one of ours"
            ) from error


def indexed(dataset: Dataset) -> Dataset:
    """The Dataset of a file with an index for each dim that is not too long for one."""
    short = [
        name
        for name in dataset.dims
        if name in dataset.coords and dataset.sizes[name] <= MAX_INDEX_LABELS
    ]
    for name in short:
        dataset = dataset.set_xindex(str(name))
    return dataset.drop_encoding()


def _zarr() -> ModuleType:
    try:
        import zarr
    except ImportError as error:
        raise ImportError(NEEDED) from error
    return zarr


def _plain(dataset: Dataset) -> dict[str, dict]:
    """Encoding that keeps NaN as it is."""
    return {
        str(name): {"_FillValue": None}
        for name, v in dataset.variables.items()
        if v.dtype.kind in "fc"
    }


def _lines(folder: Path, name: str) -> bytes:
    """One line of checksum for each file of a folder, in the order of their names."""
    lines = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with builtins.open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(files.checksum_line(f"{name}/{path.relative_to(folder).as_posix()}", digest))
    return b"".join(lines)


def _refuse_codecs(folder: Path) -> None:
    """Refuse a folder that names a codec outside the specification, such as numcodecs' pickle,
    whose decoding runs code."""
    for path in folder.rglob("*"):
        if path.name in (".zarray", ".zgroup", ".zmetadata"):
            raise DamageError(
                f"{path}: a folder of Zarr 2 is not one of ours, its codecs may run code"
            )
    for path in folder.rglob("zarr.json"):
        try:
            named = set(_codecs(json.loads(path.read_bytes())))
        except (ValueError, RecursionError) as error:
            raise DamageError(f"{path} cannot be read: it is not one of ours") from error
        if named - CODECS:
            raise DamageError(
                f"{path} names the codec {', '.join(sorted(named - CODECS))}: it is "
                "not one of ours, and might run code"
            )


def _codecs(record: Any) -> Iterator[str]:
    """Names of the codecs anywhere in the metadata of a folder, attributes left out."""
    if isinstance(record, dict):
        for key, value in record.items():
            if key in (
                "codecs",
                "index_codecs",
                "filters",
                "compressor",
                "compressors",
                "storage_transformers",
            ):
                for codec in value if isinstance(value, list) else [value]:
                    yield (
                        str(codec.get("name", codec.get("id", codec)))
                        if isinstance(codec, dict)
                        else str(codec)
                    )
            if key != "attributes":
                yield from _codecs(value)
    elif isinstance(record, list):
        for value in record:
            yield from _codecs(value)
