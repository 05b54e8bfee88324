"""The plan before, as far as a scenario needs it: whether it is one, and what stands in it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from placement.scenario.findings import shortened

PLAN = "plan.json"
SCHEMA = "nearserve-plan-3"
SAME_ROWS = ("nearserve-plan-2", SCHEMA)
"""Schemas that say in the same words what stands."""


_NAME_ONE = "Name the folder of a plan, relative to the scenario; `nearserve plan` writes one."
_PLAN_AGAIN = "Plan again, or name another plan."


def read_previous(folder: Path, name: str) -> tuple[dict[str, Any] | None, str, str]:
    """(plan.json of the plan folder `name` relative to the scenario's `folder`, what is wrong, the mend)."""
    place = folder / name
    try:
        if not (place / PLAN).is_file():
            where = f"the folder has no {PLAN}" if place.is_dir() else "there is no such folder"
            return None, where, _NAME_ONE
        plan = json.loads((place / PLAN).read_bytes())
    except OSError as error:
        return None, f"cannot be read: {shortened(error.strerror or error)}", _NAME_ONE
    except (ValueError, RecursionError) as error:  # a NUL in the name is a ValueError too
        return None, f"{PLAN} cannot be read: {shortened(error)}", _PLAN_AGAIN
    wrong = _misfit(plan)
    return (None, wrong, _PLAN_AGAIN) if wrong else (plan, "", "")


def _misfit(plan: Any) -> str:
    """Why a JSON value is no plan; "" where it is one."""
    schema = plan.get("schema") if isinstance(plan, dict) else None
    if schema not in SAME_ROWS:
        return f"not a plan of the schema {SCHEMA}: its schema is {shortened(schema) if schema else 'not said'}"
    tests = {"replicas": _is_replicas, "servers": _is_servers, "periods": _is_period}
    for name, sound in tests.items():
        rows = plan.get(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) and sound(row) for row in rows):
            return f"{PLAN} has no sound list of {name}"
    return ""


def _is_replicas(row: dict[str, Any]) -> bool:
    texts = _are_texts(row, "site", "shape") and _are_texts(row, "tenant", "slice", "period", null=True)
    return texts and _are_counts(row, "count")


def _is_servers(row: dict[str, Any]) -> bool:
    texts = _are_texts(row, "site", "server") and _are_texts(row, "tenant", "period", null=True)
    return texts and _are_counts(row, "count", "new", "rented")


def _is_period(row: dict[str, Any]) -> bool:
    return _are_texts(row, "period")


def _are_texts(row: dict[str, Any], *keys: str, null: bool = False) -> bool:
    return all(key in row and (isinstance(row[key], str) or (null and row[key] is None)) for key in keys)


def _are_counts(row: dict[str, Any], *keys: str) -> bool:
    return all(type(row.get(key)) is int and 0 <= row[key] < 2**53 for key in keys)


def standing_sha256(plan: dict[str, Any]) -> str:
    """SHA-256 of what moves are counted from: what stands in a plan in its first period, whatever else it says."""
    first = plan["periods"][0]["period"] if plan["periods"] else None
    rows = [
        json.dumps([kind, *(row[key] for key in keys)])
        for kind, keys in (
            ("replicas", ("site", "shape", "tenant", "slice", "count")),
            ("servers", ("site", "server", "tenant", "count")),
        )
        for row in plan[kind]
        if row["period"] == first
    ]
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
