"""What ``dynmem run NAME`` and ``python -m studies.NAME`` share: options, and errors as sentences
with an exit code."""

import argparse
import os
import sys
from collections.abc import Callable

OURS = ("dynmem", "studies", "figures")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of every study."""
    parser.add_argument("--quick", action="store_true", help="a trial run of seconds")
    values = "other values of an axis or a setting; may be repeated"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=V1,V2,...", help=values)
    parser.add_argument(
        "--workers",
        metavar="N",
        help="processes (default: one a core); the result does not depend on it",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder of the store (default: results, results/quick for a quick run)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="move an earlier store aside and start anew"
    )
    parser.add_argument("--json", action="store_true", help="print what a program may read")


def guarded(command: Callable[[], int]) -> int:
    """Exit code of a command; an error that is the user's to mend becomes a sentence, a fault of
    the program keeps its traceback."""
    try:
        return command()
    except KeyboardInterrupt as stop:
        print(f"dynmem: {stop or 'stopped'}", file=sys.stderr)
        return 128 + getattr(stop, "signum", 2)
    except BrokenPipeError:
        # the reader of our output has gone; nothing more may be written to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in OURS:
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


def complain(words: str, code: int) -> int:
    """Print what is wrong, a line for each reason, and return the exit code."""
    for line in words.splitlines():
        print(f"dynmem: {line}", file=sys.stderr)
    return code
