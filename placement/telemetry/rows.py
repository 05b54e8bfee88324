"""Rows of demand.csv from a forecast: what telemetry says of rates, all else from the demand that stands there."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import Row, records
from placement.scenario.dictionary import tables
from placement.telemetry.config import CLASS, TelemetryConfig
from placement.telemetry.days import Days
from placement.telemetry.errors import TelemetryError
from placement.telemetry.mapping import Class
from placement.telemetry.names import Names

Floats = NDArray[np.float64]
DIGITS = 5
SHOWN = 5
NO_LABEL = "(no label)"


@dataclass(frozen=True)
class Rows:
    """The table, and classes by what became of them."""

    frame: pd.DataFrame
    kept: tuple[Class, ...]
    dropped: tuple[Class, ...]
    added: tuple[Class, ...]


def rows_of(names: Names, days: Days, design: Floats, mean: Floats, config: TelemetryConfig) -> Rows:
    """The demand table: forecasts of (class, slice), later periods in the present table's proportion to the first.

    Raises:
        TelemetryError: classes of demand without telemetry, where the configuration refuses them.
    """
    present = _by_class(names.demand)
    known = np.all(np.isfinite(design) & np.isfinite(mean), axis=1).tolist()
    forecast = {cls: j for j, cls in enumerate(days.classes) if known[j]}
    missed = sorted(set(present) - set(forecast))
    if missed and config.without_telemetry == "refuse":
        raise TelemetryError(
            f"{len(missed):,} classes of demand have no telemetry of the last week: {shown(missed)}; let them be seen, "
            'or say without_telemetry = "keep" (their present figures stay) or "drop"'
        )
    source = f"telemetry, {config.quantile:.6g} quantile of the {config.design} rate"
    rows: list[Row] = []
    for cls, j in forecast.items():
        rows += _of_class(cls, present.get(cls), days.slices, design[j], mean[j], source)
    kept = missed if config.without_telemetry == "keep" else []
    for cls in kept:
        rows += _as_it_was(present[cls], days.slices)
    if not rows:
        raise TelemetryError("no class of the scenario has telemetry: check the labels and the table of classes")
    frame = pd.DataFrame(rows, columns=list(tables()["demand"].names))
    frame = frame.sort_values(list(tables()["demand"].key), kind="stable").reset_index(drop=True)
    dropped = [] if kept else missed
    added = sorted(set(forecast) - set(present)) if present else []
    return Rows(frame, tuple(kept), tuple(dropped), tuple(added))


def _by_class(demand: pd.DataFrame) -> dict[Class, pd.DataFrame]:
    """The rows of each class."""
    if demand.empty:
        return {}
    found = {}
    for key, part in demand.groupby(list(CLASS), sort=True):
        region, model, service = map(str, key if isinstance(key, tuple) else (key,))
        found[region, model, service] = part
    return found


def _of_class(
    cls: Class, present: pd.DataFrame | None, slices: tuple[str, ...], design: Floats, mean: Floats, source: str
) -> list[Row]:
    periods = {"": 1.0} if present is None else _growth(present)
    residency, note = ("", "") if present is None else (present["residency"].iloc[0], present["note"].iloc[0])
    return [
        dict(zip(CLASS, cls, strict=True))
        | {
            "slice": slices[j],
            "period": period,
            "requests_per_s": _rounded(max(design[j], mean[j]) * growth),
            "mean_requests_per_s": _rounded(mean[j] * growth),
            "residency": residency,
            "source": source,
            "note": note,
        }
        for period, growth in periods.items()
        for j in range(len(slices))
    ]


def _growth(present: pd.DataFrame) -> dict[str, float]:
    """Demand of each period of the present table as a share of the first one's, over all slices."""
    total = present.groupby("period", sort=True)["requests_per_s"].sum()
    first = float(total.iloc[0])
    return {str(period): float(value) / first if first > 0 else 1.0 for period, value in total.items()}


def _as_it_was(present: pd.DataFrame, slices: tuple[str, ...]) -> list[Row]:
    """The rows that stand there; of whole days in every slice, where slices are new."""
    rows = records(present)
    if set(present["slice"]) == {""} and slices != ("",):
        return [row | {"slice": name} for row in rows for name in slices]
    if set(present["slice"]) <= set(slices):
        return rows
    raise TelemetryError(
        f"{' '.join(str(rows[0][name]) for name in CLASS)}: the present demand is of slices that the scenario does not "
        'have, so that it cannot be kept; say without_telemetry = "drop", or mend it'
    )


def _rounded(rate: float) -> float:
    return float(f"{rate:.{DIGITS}g}")


def shown(classes: "list[Class] | tuple[Class, ...]") -> str:
    """A few of the classes by name; of one that no table lists its labels alone."""
    listed = ", ".join(
        " ".join(part or NO_LABEL for part in (cls if any(cls[1:]) else cls[:1])) for cls in classes[:SHOWN]
    )
    return listed + (f" and {len(classes) - SHOWN:,} more" if len(classes) > SHOWN else "")
