"""The command ``dynmem``. Nothing heavy is imported before a command needs it."""

import argparse
import ast
import contextlib
import importlib
import importlib.util
import json
import os
import pkgutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from . import __version__
from .errors import UnknownNameError
from .study.command import add_options, complain, guarded

FOLDERS = {"studies": "study", "figures": "figure"}  # packages whose modules are found by name
# modules of dynmem that know their names
REGISTRIES = {"systems": "system", "models": "model", "tasks": "task", "datasets": "dataset"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 when it failed, 2 when it was asked for
    something impossible."""
    return guarded(lambda: _command(parser().parse_args(argv)))


def _command(options: argparse.Namespace) -> int:
    return options.command(options)


def parser() -> argparse.ArgumentParser:
    """Parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="dynmem",
        description="How long does a memory last? Studies of sequence models as dynamical systems.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"dynmem {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name, function, words):
        command = commands.add_parser(
            name, help=words, description=words[0].upper() + words[1:] + ".", allow_abbrev=False
        )
        command.set_defaults(command=function)
        return command

    listing = add("list", list_names, "say what there is")
    listing.add_argument("kind", nargs="?", choices=[*REGISTRIES, *FOLDERS], help="only these")
    listing.add_argument("--json", action="store_true", help="print what a program may read")
    running = add("run", run_study, "run a study; run it again to go on where it stopped")
    running.add_argument("study", metavar="STUDY", help="its name, as in `dynmem list studies`")
    add_options(running)
    drawing = add("figures", draw_figures, "draw figures from finished studies")
    drawing.add_argument("names", nargs="*", metavar="NAME", help="their names (default: all)")
    drawing.add_argument(
        "--results",
        default="results",
        metavar="DIR",
        help="folder of the finished studies (default: results)",
    )
    drawing.add_argument(
        "--output",
        default="figures/gallery",
        metavar="DIR",
        help="folder of the pictures (default: figures/gallery)",
    )
    drawing.add_argument("--json", action="store_true", help="print what a program may read")
    making = add(
        "data", write_data, "make a dataset and write it to a file, its checksum beside it"
    )
    making.add_argument("name", metavar="NAME", help="its name, as in `dynmem list datasets`")
    making.add_argument(
        "--output",
        required=True,
        metavar="FILE",
        help="file that ends in .nc (netCDF-4), or folder that ends in .zarr",
    )
    making.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="another value of an option; may be repeated",
    )
    making.add_argument("--replace", action="store_true", help="write over what is there")
    making.add_argument("--json", action="store_true", help="print what a program may read")
    mending = add(
        "repair",
        repair_store,
        "remove what is damaged in a store, so that the next run makes it again",
    )
    mending.add_argument("study", metavar="STUDY", help="its name")
    mending.add_argument(
        "--output", default="results", metavar="DIR", help="folder of the store (default: results)"
    )
    return top


# ---- finding things by name ----------------------------------------------------------------------


def find_folder(package: str) -> list[str]:
    """Places of the package ``studies`` or ``figures``: of the checkout that is the current folder,
    else of the installation."""
    here = Path.cwd()
    if (
        (here / package / "__init__.py").is_file()
        and (here / "dynmem" / "__init__.py").is_file()
        and str(here) not in sys.path
    ):
        sys.path.insert(0, str(here))
    spec = importlib.util.find_spec(package)
    return [] if spec is None else list(spec.submodule_search_locations or [])


def names_in(package: str) -> dict[str, str]:
    """Names of the modules of a package, each with the first line of its docstring; nothing is
    imported."""
    found = {}
    for module in pkgutil.iter_modules(find_folder(package)):
        if not module.name.startswith("_"):
            source = Path(module.module_finder.path, module.name + ".py")
            found[module.name] = (
                first_line(source.read_text(encoding="utf-8")) if source.is_file() else ""
            )
    return dict(sorted(found.items()))


def first_line(source: str) -> str:
    """First line of a program's docstring.

    >>> first_line("'''How long?'''")
    'How long?'
    """
    try:
        return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    except SyntaxError as error:
        return f"(cannot be read: line {error.lineno})"


def names_of(kind: str) -> dict[str, str]:
    """Names of a kind of thing, each with a line about it where there is one."""
    if kind in FOLDERS:
        return names_in(kind)
    module = importlib.import_module(f"dynmem.{kind}")
    return {
        name: textwrap.shorten(module.about(name).replace("``", ""), 110, placeholder=" ...")
        for name in module.names()
    }


def module_of(package: str, name: str):
    """The module of a study or figure; an unknown name brings the known ones and the one that was
    probably meant."""
    from .study.parameters import ConfigurationError
    from .study.store import check_name

    known = names_in(package)
    if check_name(name) not in known:
        if not known:
            raise ConfigurationError(
                [f"no {package} are installed, and there are none in this folder"]
            )
        raise UnknownNameError(FOLDERS[package], name, known)
    return importlib.import_module(f"{package}.{name}")


# ---- the commands --------------------------------------------------------------------------------


def list_names(options: argparse.Namespace) -> int:
    """``dynmem list``: names, and for studies and figures what they ask or show."""
    kinds = [options.kind] if options.kind else [*REGISTRIES, *FOLDERS]
    found = {kind: names_of(kind) for kind in kinds}
    if options.json:
        print(
            json.dumps(
                {
                    kind: [{"name": name, "about": about} for name, about in names.items()]
                    for kind, names in found.items()
                }
            )
        )
        return 0
    for kind, names in found.items():
        if not options.kind:
            print(bold(kind))
        width = max(14, *map(len, names), 0)
        for name, about in names.items():
            print(f"{'' if options.kind else '  '}{name:<{width}} {about}".rstrip())
    return 0


def bold(words: str) -> str:
    """Words in bold on a terminal that takes it, unless NO_COLOR is set."""
    plain = (
        not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    )
    return words if plain else f"\033[1m{words}\033[0m"


def run_study(options: argparse.Namespace) -> int:
    """``dynmem run STUDY``."""
    return module_of("studies", options.study).STUDY.command(options)


def draw_figures(options: argparse.Namespace) -> int:
    """``dynmem figures``: each from its study's store; one whose study has not run is named, with
    the command that runs it, and so is one whose study has failed at every point, with the
    reason."""
    from .study.store import Store
    from .study.study import failures

    modules = {name: module_of("figures", name) for name in options.names}
    drawn, missing = {}, []
    for name in options.names or names_in("figures"):
        store = Store(name, Path(options.results))
        if not store.file.exists():
            missing.append(name)
            complain(
                f"figure {name} needs {store.file}: make it by dynmem run "
                f"{name}{_where(options.results)}{_trial(store)}",
                1,
            )
            continue
        results = store.load()
        if len(failed := failures(results)) == results.status.size:
            missing.append(name)
            complain(
                f"figure {name}: every point of {store.file} failed, the first by "
                f"{failed[0]['error']}",
                1,
            )
            continue
        drawn[name] = str(
            draw(
                modules.get(name) or module_of("figures", name),
                results,
                Path(options.output, f"{name}.png"),
            )
        )
        if not options.json:
            print(drawn[name])
    if options.json:
        print(json.dumps({"drawn": drawn, "missing": missing}))
    return 1 if missing else 0


def _where(folder: str) -> str:
    """Option of ``dynmem run`` that fills this folder."""
    usual = {Path("results"): "", Path("results/quick"): " --quick"}
    return usual.get(Path(folder), f" --output {folder}")


def _trial(store) -> str:
    """Words on a quick run beside the full one that is missing."""
    quick = store.file.parent / "quick"
    return (
        f", or draw its quick run with --results {quick}"
        if (quick / store.file.name).exists()
        else ""
    )


def draw(module, dataset, path: Path) -> Path:
    """Picture that a figure's ``draw`` makes of a Dataset, as a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from io import BytesIO

    from matplotlib import pyplot

    from .runtime.files import space_watched, write

    figure, picture = module.draw(dataset), BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    pyplot.close(figure)
    with space_watched():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, picture.getvalue())
    return path


def write_data(options: argparse.Namespace) -> int:
    """``dynmem data NAME --output FILE``: make a dataset, write it, and say what it is."""
    from . import datasets
    from .errors import ConvergenceError

    given = dataset_options(options.set, datasets.options(options.name))
    if os.path.lexists(options.output) and not options.replace:
        return complain(
            f"{options.output} is there: choose another name, or write over it with --replace", 2
        )
    try:
        path = datasets.write(options.name, options.output, **given)
    except (ValueError, TypeError, ArithmeticError, ConvergenceError, MemoryError) as error:
        return complain(str(error), 2)
    except ImportError as error:
        return complain(str(error), 1)
    with datasets.open(path) as dataset:
        if options.json:
            about = {
                "file": str(path),
                "sizes": dict(dataset.sizes),
                "checksum_file": f"{path}.sha256",
                "attributes": plain_attributes(dataset),
            }
            print(json.dumps(about))
        else:
            print(f"{path}\n{datasets.summary(dataset)}")
    return 0


def plain_attributes(dataset) -> dict:
    """Attributes of a Dataset as JSON can hold them."""
    return {
        name: value.tolist() if hasattr(value, "tolist") else value
        for name, value in dataset.attrs.items()
    }


def dataset_options(texts: Sequence[str], known: dict) -> dict:
    """Options from ``name=value``, or ``name=v1,v2,...`` for a parameter that varies, each read as
    the kind that its default has."""
    from .study.parameters import ConfigurationError, read_value, unknown

    given, wrong = {}, []
    for text in texts:
        name, equals, values = text.partition("=")
        default = known.get(name, 0.0)
        kind = type(default)
        if not equals:
            wrong.append(f"{text}: write it as option=value")
        elif name not in known:
            wrong.append(unknown(name, known))
        elif kind not in (int, float, bool, str) and default is not None:
            wrong.append(
                f"{name}: an array cannot be set from a command line: call dm.datasets.load"
            )
        else:
            try:
                read = [
                    read_any(value.strip()) if default is None else read_value(value.strip(), kind)
                    for value in values.split(",")
                ]
                given[name] = read if len(read) > 1 else read[0]
            except ValueError as error:
                wrong.append(f"{name} = {values!r}: {error}")
    if wrong:
        raise ConfigurationError(wrong)
    return given


def read_any(text: str):
    """A user's text as a whole number, a number or a name, whichever it can be.

    >>> read_any("7"), read_any("0.5"), read_any("hamlet")
    (7, 0.5, 'hamlet')
    """
    from .study.parameters import read_value

    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return read_value(text, kind)
    return read_value(text, str)


def repair_store(options: argparse.Namespace) -> int:
    """``dynmem repair STUDY``: remove what does not match its checksum."""
    from .study.store import Store

    store = Store(options.study, Path(options.output))
    if not store.exists():
        return complain(f"there is no store of {options.study} in {options.output}", 1)
    with store.lock():
        removed = store.repair()
    if removed:
        print(
            f"store {store.name}: removed {', '.join(removed)}; run it again to make "
            f"{'it' if len(removed) == 1 else 'them'} anew"
        )
    else:
        print(f"store {store.name}: nothing is damaged")
    return 0
