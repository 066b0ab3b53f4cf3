"""What ``dynmem run NAME`` and ``python -m dynmem.studies.NAME`` share: options, and errors as
messages with an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from ..errors import MissingExtraError, suggestion

OWN_PACKAGES = ("dynmem", "studies", "figures")


class Parser(argparse.ArgumentParser):
    """A parser that answers an unknown option or value with the one probably meant."""

    def parse_known_args(self, args=None, namespace=None):
        found, extra = super().parse_known_args(args, namespace)
        if extra:
            name = extra[0].partition("=")[0]
            known = [one for one in self._option_string_actions if one.startswith("--")]
            what = "option" if name.startswith("-") else "further argument"
            self.error(f"it takes no {what} {name}{suggestion(name, known)}: see --help")
        return found, extra

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            meant = suggestion(value, action.choices)
            listed = ", ".join(map(str, action.choices))
            raise argparse.ArgumentError(action, f"{value!r} is none of {listed}{meant}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of every study."""
    parser.add_argument("--quick", action="store_true", help="a trial run of seconds")
    values = "other values of an axis or a setting (see `dynmem show STUDY`); may be repeated"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=V1,V2,...", help=values)
    parser.add_argument(
        "--workers",
        metavar="N",
        help="processes (default: one a core; a quick run: one); they do not change the result",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="measure on the workers of a Dask cluster: its address, or its scheduler file",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder of the store (default: results, results/quick for a quick run)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="move an earlier store aside and start again"
    )
    parser.add_argument(
        "--accept",
        action="store_true",
        help="keep the points of a store that was made with other settings or other code",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for a program to read")


def guarded(command: Callable[[], int]) -> int:
    """Exit code of a command; an error that the user can fix becomes a message, a fault of the
    program keeps its traceback."""
    try:
        return command()
    except KeyboardInterrupt as stop:
        print(f"dynmem: {stop or 'stopped'}", file=sys.stderr)
        return 128 + getattr(stop, "signum", 2)
    except BrokenPipeError:
        # the reader of the output has gone: nothing more may be written to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MissingExtraError as error:
        return complain(str(error), 1)
    except ModuleNotFoundError as error:
        if is_own(error.name):
            raise
        return complain(
            f"the package {error.name} is needed and not installed: python -m pip "
            f"install {error.name}",
            1,
        )
    except OSError as error:
        return complain(
            f"{error.strerror}: {error.filename}"
            if error.filename and error.strerror
            else str(error),
            1,
        )
    except (ValueError, LookupError) as error:
        if not type(error).__module__.startswith("dynmem."):
            raise
        return complain(str(error), 2)


def is_own(module: str | None) -> bool:
    """Whether a module that is missing is part of dynmem, or has no name."""
    return not module or module.split(".")[0] in OWN_PACKAGES


def complain(words: str, code: int) -> int:
    """Print a message to stderr, line by line, and return the exit code."""
    for line in words.splitlines():
        print(f"dynmem: {line}", file=sys.stderr)
    return code
