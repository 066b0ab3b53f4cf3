"""Where the studies of a folder stand: done, running, stopped or broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import DamageError
from .growth import Keys
from .parameters import Plan
from .progress import duration
from .store import Store


def stores(folder: Path) -> list[str]:
    """Names of the studies that have a store in a folder."""
    names = {path.name.removesuffix(".points") for path in folder.glob("*.points")}
    names |= {path.name.removesuffix(".nc.sha256") for path in folder.glob("*.nc.sha256")}
    return sorted(names)


def status(store: Store) -> dict[str, Any]:
    """Where a study stands.

    Parameters
    ----------
    store : Store
        Its store.

    Returns
    -------
    dict
        study; state (``done``, ``running``, ``stopped``, ``broken``: its process ended without a
        word, ``damaged``); points, done, failed (numbers, of the last grid); seconds_left, process
        and since of one that runs; words (the same for a reader).
    """
    note = store.note()
    facts: dict[str, Any] = {"study": store.name, "points": None, "done": None, "failed": None}
    try:
        facts |= _counts(store)
        state = "done" if facts["points"] == facts["done"] + facts["failed"] else "stopped"
        if state == "done" and not store.is_combined():
            state = "stopped"
    except DamageError as error:
        state, facts["words"] = "damaged", str(error)
    if store.is_held():
        state, left = "running", note.get("left")
        facts |= {"process": note.get("process"), "since": note.get("since"), "seconds_left": left}
    elif note:
        state = "broken"
    facts["state"] = state
    return {**facts, "words": facts.get("words") or _words(facts, note)}


def _counts(store: Store) -> dict[str, int]:
    configuration = store.configuration()
    if configuration is None:
        if not store.is_combined():
            return {"points": 0, "done": 0, "failed": 0}
        found = store.load()
        failed = sum(s.startswith("failed: ") for s in found.status.values.ravel().tolist())
        total = found.status.size
        return {"points": total, "done": total - failed, "failed": failed}
    plan = Plan(configuration["grid"], configuration["settings"])
    keys, (done, failed) = Keys(store.name, configuration), store.keys()
    counts = {"points": len(plan), "done": 0, "failed": 0}
    for point in plan.points():
        key = keys.key(point)
        older = keys.older_keys(point) if keys.older else ()
        if key in done or any(old in done for old in older):
            counts["done"] += 1
        elif key in failed:
            counts["failed"] += 1
    return counts


def _words(facts: dict[str, Any], note: dict[str, Any]) -> str:
    number = f"{facts['done']} of {facts['points']} points"
    if facts["failed"]:
        number += f", {facts['failed']} failed"
    if facts["state"] == "running":
        left = facts["seconds_left"]
        time = "" if left is None else f", about {duration(left)} left"
        return f"{number}{time} (process {facts['process']} since {facts['since']})"
    if facts["state"] == "broken":
        return f"{number}; process {note['process']} ended without a word: run it again to go on"
    return number if facts["state"] == "done" else f"{number}: run it again to go on"


def table(rows: list[dict[str, Any]]) -> str:
    """The states as lines of text.

    >>> print(table([{"study": "atlas", "state": "done", "words": "30 of 30 points"}]))
    atlas  done     30 of 30 points
    """
    width = max(len(row["study"]) for row in rows)
    return "\n".join(f"{row['study']:{width}}  {row['state']:7}  {row['words']}" for row in rows)


def as_json(rows: list[dict[str, Any]]) -> str:
    """The states for a program to read."""
    return json.dumps(rows)
