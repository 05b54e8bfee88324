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
    return "" if isinstance(plan.get("replicas"), list) else f"{PLAN} has no list of replicas"


def replicas_sha256(plan: dict[str, Any]) -> str:
    """SHA-256 of what moves are counted from: the replicas of a plan, whatever else it says of itself."""
    rows = sorted(json.dumps(row, sort_keys=True) for row in plan["replicas"])
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
