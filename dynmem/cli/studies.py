"""``dynmem run``, ``dynmem status``, ``dynmem repair`` and ``dynmem figures``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ..study.command import complain

if TYPE_CHECKING:
    from xarray import Dataset

    from ..study import Store
    from ..study.registry import Entry


def run_study(options: argparse.Namespace) -> int:
    """``dynmem run STUDY``."""
    from ..study.registry import get

    return get(options.study).command(options)


def draw_figures(options: argparse.Namespace) -> int:
    """``dynmem figures``: draw each figure from the store of its study.

    A figure that was asked for by name and whose study has not run, or has failed at every point,
    is reported with what to do.
    """
    from ..study import Store
    from ..study.registry import entries, find

    chosen = {name: find("figures", name) for name in options.names} or entries("figures")
    modules = {name: chosen[name].load() for name in options.names}  # all before any is drawn
    drawn, missing, not_run = {}, [], []
    for name, entry in chosen.items():
        store = Store(_store_name(entry, modules.get(name)), Path(options.results))
        if not store.file.exists():
            missing.append(name)
            if options.names:
                complain(_needs(store, entry, options.results), 1)
            else:
                not_run.append(name)
            continue
        results = store.load()
        if problem := _all_failed(store, results):
            missing.append(name)
            complain(f"figure {name}: {problem}", 1)
            continue
        picture = Path(options.output, f"{store.name}.png")
        drawn[name] = str(draw(modules.get(name) or entry.load(), results, picture))
        if not options.json:
            print(drawn[name])
    if options.json:
        print(json.dumps({"drawn": drawn, "missing": missing}))
    elif not drawn and not_run:
        complain(f"no study has run in {options.results}: dynmem run NAME, then dynmem figures", 1)
    return 1 if len(missing) > len(not_run) or not drawn else 0


def _store_name(entry: Entry, module: ModuleType | None) -> str:
    """Name of the store that a figure reads: that of its file, or of the STUDY in the same file."""
    return getattr(getattr(module, "STUDY", None), "name", entry.path.stem)


def _needs(store: Store, entry: Entry, folder: str) -> str:
    """Message for a study that has not run, with the command that runs it."""
    options = {Path("results"): "", Path("results/quick"): " --quick"}
    where = options.get(Path(folder), f" --output {folder}")
    quick = store.file.parent / "quick"
    trial = ""
    if (quick / store.file.name).exists():
        trial = f", or draw its quick run with --results {quick}"
    return f"figure {entry.name} needs {store.file}: dynmem run {entry.name}{where}{trial}"


def _all_failed(store: Store, results: Dataset) -> str:
    """Message where every point of a study has failed, else empty."""
    from ..study import failures

    failed = failures(results)
    if len(failed) < results.status.size:
        return ""
    return f"every point of {store.file} failed, the first with {failed[0]['error']}"


def draw(module: ModuleType, dataset: Dataset, path: Path) -> Path:
    """Draw the figure of a module from a Dataset, and write it as a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from io import BytesIO

    from matplotlib import pyplot

    from ..runtime.files import space_watched, write

    figure, picture = module.draw(dataset), BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    pyplot.close(figure)
    with space_watched():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, picture.getvalue())
    return path


def show_status(options: argparse.Namespace) -> int:
    """``dynmem status``: where the studies of a folder stand."""
    from ..study import Store
    from ..study.status import as_json, status, stores, table

    folder = Path(options.output)
    names = options.names or stores(folder)
    missing = [name for name in names if not Store(name, folder).exists()]
    for name in missing:
        complain(f"there is no store of {name} in {folder}", 1)
    rows = [status(Store(name, folder)) for name in names if name not in missing]
    if options.json:
        print(as_json(rows))
    elif rows:
        print(table(rows))
    elif not missing:
        print(f"no study has run in {folder}")
    return 1 if missing else 0


def repair_store(options: argparse.Namespace) -> int:
    """``dynmem repair STUDY``: remove what does not match its checksum."""
    from ..study import Store

    store = Store(options.study, Path(options.output))
    if not store.exists():
        return complain(f"there is no store of {options.study} in {options.output}", 1)
    with store.lock():
        store.tidy()
        removed = store.repair()
    if removed:
        them = "it" if len(removed) == 1 else "them"
        print(f"store {store.name}: removed {', '.join(removed)}; run it again to restore {them}")
    else:
        print(f"store {store.name}: nothing is damaged")
    return 0
