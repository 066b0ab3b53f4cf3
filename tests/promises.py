"""What dynmem promises, and a plugin of pytest that counts the cases that were tried.

A test of a promise carries ``@pytest.mark.promise("R4")``. It is one case, or takes the fixture
``case`` and tries many: a case that fails is counted and the next one is tried. With ``--promises``
the table of all promises is printed behind the run, and which of them were tried less often than
they ask for; ``--promises FILE`` writes the table to a file too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

# Words, and the least number of cases of the real thing.
PROMISES = {
    "R1": ("Killed at any moment, the same command again ends with the same bytes", 60),
    "R2": ("Ctrl-C or SIGTERM saves what is finished; exit 130 or 143", 10),
    "R3": ("A worker that dies costs nothing; a point that ends three is marked failed", 20),
    "R4": ("Damage on the disk is never read as data", 400),
    "R5": ("A full disk is a clean error; nothing is damaged, and the run goes on later", 5),
    "R6": ("Of two processes on one store one runs; a dead holder is succeeded", 25),
    "R7": ("Changed settings or code are said, never mixed; added values are merged", 15),
    "R8": ("What is not finite is labelled, never averaged away, never an endless run", 60),
    "R9": ("What does not converge is a named error, or is labelled", 20),
    "R10": ("The same seed, versions and threads give the same bits, in any order", 50),
    "R11": ("Every system and every model keeps one public contract", 60),
    "S1": ("A bad option: every error at once, no traceback, nothing created", 120),
    "S2": ("A name cannot leave or wipe its folder", 60),
    "S3": ("No code runs from a file", 40),
    "S4": ("A user's text never reaches eval", 120),
    "S6": ("Servers listen on loopback unless told otherwise", 3),
    "S7": ("A request that cannot fit says so before it starts", 15),
}

RESULTS: dict[str, Counter] = {}  # of the tests that have ended: cases tried and held
CASES: pytest.StashKey[list] = pytest.StashKey()


def table(results: Mapping[str, Mapping[str, int]]) -> str:
    """The promises as a Markdown table, with the cases that were tried and those that held."""
    lines = [f"|     | {'promise':76} | tried | held |", f"|:----|:{'-' * 76}-|------:|-----:|"]
    for name, (words, _) in PROMISES.items():
        found = results.get(name, {})
        numbers = f"{found.get('tried', 0):5} | {found.get('held', 0):4}"
        lines.append(f"| {name:3} | {words:76} | {numbers} |")
    return "\n".join(lines) + "\n"


def short(results: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Promises with fewer cases than they ask for, or with a case that did not hold."""
    return [
        f"{name}: {found.get('held', 0)} of {found.get('tried', 0)} cases held, {least} are asked"
        for name, (_, least) in PROMISES.items()
        if (found := results.get(name, {})).get("tried", 0) < least
        or found["held"] < found["tried"]
    ]


# ---- the plugin ----------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--promises",
        nargs="?",
        const="",
        metavar="FILE",
        help="print the table of all promises, and write it to a file",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("promise"):
            assert mark.args and mark.args[0] in PROMISES, f"{item.nodeid}: no such promise"


@pytest.fixture
def case(request):
    """``with case("bit 7"): ...`` is one case of the promise of this test."""
    failed: list[str] = []
    found = request.node.stash[CASES] = []

    @contextmanager
    def one(name: object = "") -> Iterator[None]:
        found.append(False)
        try:
            yield
        except (Exception, pytest.fail.Exception) as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
        else:
            found[-1] = True

    yield one
    if failed:
        pytest.fail(f"{len(failed)} of {len(found)} cases:\n" + "\n".join(failed), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Add to the report of a test the cases that it has tried: xdist sends it to the process that
    prints the table."""
    report = yield
    mark = item.get_closest_marker("promise")
    if mark and report.when == "call" and not report.skipped:
        cases = item.stash.get(CASES, None) or [report.passed]
        item.user_properties.append(("promise", [mark.args[0], len(cases), sum(cases)]))
        report.user_properties = list(item.user_properties)
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        for key, value in report.user_properties:
            if key == "promise":
                name, tried, held = value
                RESULTS.setdefault(name, Counter()).update(tried=tried, held=held)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if config.getoption("promises") is None or hasattr(config, "workerinput"):
        return
    if file := config.getoption("promises"):
        path = Path(file)
        head, _, tail = path.read_text().partition("| ")
        tail = re.sub(r"\A.*?(\n\n|\Z)", r"\1", tail, count=1, flags=re.DOTALL)
        path.write_text(head + table(RESULTS).rstrip("\n") + (tail or "\n"))


def pytest_terminal_summary(terminalreporter, config) -> None:
    if config.getoption("promises") is not None:
        terminalreporter.section("promises")
        terminalreporter.write(table(RESULTS))
        terminalreporter.write("".join(f"{line}\n" for line in short(RESULTS)))
