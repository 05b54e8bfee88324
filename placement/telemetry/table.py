"""demand.csv from an expectation, and what it is made of beside it: both or neither."""

from pathlib import Path

from placement.telemetry.demanding import Expected

PROVENANCE = "demand.provenance.json"


def write_demand(expected: Expected, scenario_folder: Path, *, keep_old: bool = False) -> Path:
    """Replace the scenario's demand table; returns its path. `keep_old`: the one before becomes demand.csv.old.

    Raises:
        OSError: it cannot be written; the old table still stands.
    """
    raise NotImplementedError(expected, scenario_folder, keep_old)
