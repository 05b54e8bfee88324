"""demand.csv from an expectation, and what it is made of beside it."""

import json
from pathlib import Path
from typing import Any

from placement.scenario.dictionary import tables
from placement.scenario.fingerprint import table_sha256
from placement.scenario.reading import SUFFIXES
from placement.telemetry.demanding import Expected
from placement.telemetry.errors import TelemetryError
from placement.telemetry.names import read_names
from probes.whole_file import write_whole

TABLE = "demand.csv"
PROVENANCE = "demand.provenance.json"


def write_demand(expected: Expected, scenario_folder: Path, *, keep_old: bool = False) -> Path:
    """Replace the scenario's demand table; returns its path. `keep_old`: the one before becomes demand.csv.old.

    demand.csv appears whole in one step, after what it is made of: that names the table by its hash, so that one which
    does not belong to it is told apart (`provenance_of`). A demand.parquet of before gives way.

    Raises:
        OSError: it cannot be written; the old table still stands.
    """
    place = scenario_folder / TABLE
    before = [scenario_folder / f"demand{suffix}" for suffix in SUFFIXES]
    if keep_old:
        for path in before:
            if path.exists():
                write_whole(path.with_name(f"{path.name}.old"), path.read_bytes(), durable=True)
    text = json.dumps(expected.provenance, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(scenario_folder / PROVENANCE, text.encode(), durable=True)
    write_whole(place, expected.frame.to_csv(index=False, lineterminator="\n").encode(), durable=True)
    for path in before:
        if path != place:
            path.unlink(missing_ok=True)
    return place


def provenance_of(scenario_folder: Path, demand_sha256: str) -> dict[str, Any] | None:
    """What a demand table of this hash is made of; None where nobody says, or says it of another table.

    `demand_sha256` is that of the scenario, or `provenance.inputs_sha256.demand` of a plan.
    """
    try:
        found = json.loads((scenario_folder / PROVENANCE).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("demand_sha256") != demand_sha256:
        return None
    return found


def demand_sha256(scenario_folder: Path) -> str:
    """The hash of the demand that stands in a scenario, as its plans record it. Raises TelemetryError."""
    return table_sha256(read_names(scenario_folder).demand, tables()["demand"])


def plan_demand_sha256(plan: Path) -> str:
    """The hash of the demand that a plan was made of. Raises TelemetryError where it does not say."""
    try:
        return str(json.loads((plan / "plan.json").read_bytes())["provenance"]["inputs_sha256"]["demand"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TelemetryError(f"{plan}: is no folder of a plan that says what demand it is made of") from error
