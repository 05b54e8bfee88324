"""Telemetry to the table demand: source → history → forecast → rows; writing them is a step of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placement.telemetry.config import TelemetryConfig
from placement.telemetry.errors import TelemetryError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Expected:
    """The demand that telemetry lets expect.

    `frame` has the columns of demand.csv; `provenance` says of which history it is which quantile, and how the same
    way did in the past (the back-test): what is written to demand.provenance.json. `told` are lines for a person: what
    was kept, dropped, widened, or belongs to no class.
    """

    frame: "pd.DataFrame"
    provenance: Mapping[str, Any]
    told: tuple[str, ...]


def demand_from_telemetry(config: TelemetryConfig, scenario_folder: Path, as_of: datetime) -> Expected:
    """What `scenario_folder` has to expect on the days after `as_of`, by the telemetry that `config` names.

    `config` has whole paths (`TelemetryConfig.below`). The history file is brought up to date; the scenario is not
    touched: `placement.telemetry.table.write_demand` does that.

    Raises:
        TelemetryError: a source that does not answer, too little history, too many gaps, too much that belongs to no
            class, a back-test too far off. `StaleTelemetryError` where the newest hour is too old.
    """
    raise TelemetryError("demand from telemetry is not built yet")
