"""The command ``dynmem``. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import suggestion
from ..study.command import Parser, add_options, guarded
from .compare import compare_models
from .data import write_data
from .show import KINDS, list_names, show_name
from .studies import draw_figures, repair_store, run_study, show_status

DESCRIPTION = """\
Sequence models as dynamical systems: how long does a memory last, in theory, in
measurement, and in trained networks?"""
EPILOG = """\
first steps:
  dynmem list studies                    the questions that come with dynmem
  dynmem show vanishing                  what one of them measures, and over which grid
  dynmem run vanishing --quick           a trial run of seconds, to results/quick/vanishing.nc
  dynmem figures vanishing --results results/quick
  dynmem run vanishing --set gain=0.9,1.1 --workers 2
  dynmem run path/to/mine.py             a study of your own
  dynmem compare tanh lstm gru --quick   what they will learn to remember, and what they do

A project with its own studies/ and figures/ folders finds them beside those of dynmem.
`dynmem COMMAND --help` lists the options of a command.

exit codes: 0 done, 1 something failed, 2 the request cannot be met, 130 stopped by Ctrl-C"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after ``dynmem``; those of the process by default.

    Returns
    -------
    int
        Exit code: 0 done, 1 failed, 2 a request that cannot be met, 130 stopped by Ctrl-C
        (128 + signal).

    Examples
    --------
    >>> main(["show", "logistic", "--json"]) # doctest: +ELLIPSIS
    {"system": {"name": "logistic", ...
    0
    """
    return guarded(lambda: _command(sys.argv[1:] if argv is None else argv))


def _command(argv: Sequence[str]) -> int:
    top = parser()
    first = argv[0] if argv else ""
    if first and first not in (*COMMANDS, *OPTIONS):
        meant = suggestion(first, [*COMMANDS, *OPTIONS])
        top.error(f"no command is called {first!r}{meant}: choose one of {', '.join(COMMANDS)}")
    options = top.parse_args(argv)
    return options.command(options)


def parser() -> argparse.ArgumentParser:
    """Parser of the whole command line."""
    top = Parser(
        prog="dynmem",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"dynmem {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in COMMANDS.values():
        add(commands)
    return top


def _add(commands, name: str, function, summary: str) -> argparse.ArgumentParser:
    description = summary[0].upper() + summary[1:] + "."
    command = commands.add_parser(name, help=summary, description=description, allow_abbrev=False)
    command.set_defaults(command=function)
    return command


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON, for a program to read")


def _plural(kind: str) -> str:
    """The plural of a kind given in the singular: ``dynmem list study``."""
    return next((plural for plural, singular in KINDS.items() if singular == kind), kind)


def _add_list(commands) -> None:
    command = _add(commands, "list", list_names, "list studies, figures, systems, models ...")
    command.add_argument("kind", nargs="?", type=_plural, choices=[*KINDS], help="only these")
    _add_json(command)


def _add_show(commands) -> None:
    command = _add(
        commands,
        "show",
        show_name,
        "show what a study, system, model, task or dataset is: equation, parameters, source",
    )
    command.add_argument("name", metavar="NAME", help="its name, or the path of a study's file")
    _add_json(command)


def _add_run(commands) -> None:
    command = _add(commands, "run", run_study, "run a study; a run that was stopped is resumed")
    command.add_argument(
        "study",
        metavar="STUDY",
        help="its name, as in `dynmem list studies`, or the path of a Python file with a STUDY",
    )
    add_options(command)


def _add_figures(commands) -> None:
    command = _add(commands, "figures", draw_figures, "draw the figures of finished studies")
    command.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="their names, or paths of Python files with a draw(dataset); by default all whose "
        "study has run",
    )
    command.add_argument(
        "--results",
        default="results",
        metavar="DIR",
        help="folder of the finished studies (default: results)",
    )
    command.add_argument(
        "--output",
        default="figures/gallery",
        metavar="DIR",
        help="folder of the pictures (default: figures/gallery)",
    )
    _add_json(command)


def _add_compare(commands) -> None:
    summary = "predict for how long models will learn to remember, and measure it"
    command = _add(commands, "compare", compare_models, summary)
    command.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="a name of `dynmem list models`, with options as NAME:OPTION=VALUE,..., or "
        "FILE.py:NAME, a torch module or a function (task, rng) that returns a model",
    )
    command.add_argument(
        "--task", default="copy", help="name of a task (default: copy, of one symbol among four)"
    )
    values = "another value of an option of the task; may be repeated"
    command.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help=values)
    command.add_argument("--delays", metavar="D1,D2,...", help="delays tried (default: 4 to 256)")
    for name, kind, text in (
        ("seeds", int, "seeds (default: 3)"),
        ("budget", int, "steps of training (default: 600)"),
        ("units", int, "units of each model (default: 32)"),
        ("batch", int, "sequences of a step (default: 64)"),
        ("learning-rate", float, "learning rate (default: 0.001)"),
        ("workers", int, "processes (default: one); they do not change the result"),
    ):
        command.add_argument(f"--{name}", type=kind, metavar="N", help=text)
    command.add_argument(
        "--matched",
        choices=("parameters", "state", "operations"),
        help="give all models the width at which they have as much of it as the first",
    )
    command.add_argument("--quick", action="store_true", help="a trial run of seconds")
    command.add_argument("--output", metavar="DIR", help="folder from which a stopped run goes on")
    command.add_argument("--file", metavar="FILE", help="file for the result, netCDF-4")
    command.add_argument("--figure", metavar="FILE", help="file for a picture, .png, .pdf or .svg")
    _add_json(command)


def _add_data(commands) -> None:
    command = _add(commands, "data", write_data, "make a dataset and write it to a file")
    command.add_argument("name", metavar="NAME", help="its name, as in `dynmem list datasets`")
    command.add_argument(
        "--output",
        required=True,
        metavar="FILE",
        help="file that ends in .nc (netCDF-4), or folder that ends in .zarr; its checksum is "
        "written next to it",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="another value of an option; may be repeated",
    )
    command.add_argument("--replace", action="store_true", help="write over an existing file")
    _add_json(command)


def _add_status(commands) -> None:
    summary = "show which studies of a folder are done, running, stopped or broken"
    command = _add(commands, "status", show_status, summary)
    command.add_argument("names", nargs="*", metavar="STUDY", help="only these")
    command.add_argument(
        "--output", default="results", metavar="DIR", help="folder of the stores (default: results)"
    )
    _add_json(command)


def _add_repair(commands) -> None:
    command = _add(
        commands,
        "repair",
        repair_store,
        "remove what is damaged in a store, so that the next run makes it again",
    )
    command.add_argument("study", metavar="STUDY", help="name of the study")
    command.add_argument(
        "--output", default="results", metavar="DIR", help="folder of the store (default: results)"
    )


OPTIONS = ("-h", "--help", "--version")
COMMANDS = {
    "list": _add_list,
    "show": _add_show,
    "run": _add_run,
    "status": _add_status,
    "figures": _add_figures,
    "compare": _add_compare,
    "data": _add_data,
    "repair": _add_repair,
}
