"""The plan before, as far as a scenario needs it: whether it is one, and which replicas stand in it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from placement.scenario.findings import shortened

PLAN = "plan.json"
SCHEMA = "nearserve-plan-2"


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
    if schema != SCHEMA:
        return f"not a plan of the schema {SCHEMA}: its schema is {shortened(schema) if schema else 'not said'}"
    if not isinstance(plan.get("replicas"), list) or not all(_is_replicas(row) for row in plan["replicas"]):
        return f"{PLAN} has no sound list of replicas"
    periods = plan.get("periods")
    named = isinstance(periods, list) and all(isinstance(one, dict) and _is_text(one.get("period")) for one in periods)
    return "" if named else f"{PLAN} has no sound list of periods"


def _is_replicas(row: Any) -> bool:
    """A row of replicas has a place and a count."""
    if not isinstance(row, dict) or not {"site", "shape", "tenant", "slice", "period", "count"} <= set(row):
        return False
    count = row["count"]
    counted = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**53
    there = _is_text(row["site"]) and _is_text(row["shape"])
    return counted and there and all(row[key] is None or _is_text(row[key]) for key in ("tenant", "slice", "period"))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def replicas_sha256(plan: dict[str, Any]) -> str:
    """SHA-256 of what moves are counted from: the replicas of a plan in its first period, whatever else it says."""
    first = plan["periods"][0]["period"] if plan["periods"] else None
    rows = [
        json.dumps([row["site"], row["shape"], row["tenant"], row["slice"], row["count"]])
        for row in plan["replicas"]
        if row["period"] == first
    ]
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
