"""History as days: for every class, day and slice the peak and the mean rate, NaN where too little was seen of it.

A day is the 24 hours that end at the hour of `as_of`, so that the newest is whole at any time of the day and seven
days before is always the same weekday and hour. An hour belongs to the slice in which its middle lies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.telemetry.config import CLASS, TelemetryConfig
from placement.telemetry.errors import TelemetryError
from placement.telemetry.history import HOUR_S, WINDOWS
from placement.telemetry.mapping import Class

DAY_H = 24
LEAST_SEEN = 0.75
"""Of the hours of a slice, and of the windows of an hour: with less, the peak of it is not known."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Days:
    """`peak` and `mean`, requests/s, of (class, day, slice); days run up to the one that ends now.

    `absent_hours` of `all_hours`: hours of classes, from the first of each on, of which nothing was seen.
    """

    classes: tuple[Class, ...]
    slices: tuple[str, ...]
    peak: Floats
    mean: Floats
    absent_hours: int
    all_hours: int

    @property
    def days(self) -> int:
        return int(self.peak.shape[1])


def slice_of_hour(slices: pd.DataFrame) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names of the slices, and which of them each of the 24 hours of UTC belongs to; one, "", without slices.

    Raises:
        TelemetryError: a slice has no hour of its own.
    """
    if slices.empty:
        return ("",), np.zeros(DAY_H, np.int64)
    names = tuple(map(str, slices["slice"]))
    start_h = np.array([int(text[:2]) + int(text[3:]) / 60 for text in slices["start_utc"]])
    middle = np.arange(DAY_H) + 0.5
    since = (middle[:, None] - start_h) % DAY_H
    of = np.argmin(since, axis=1)  # the slice that began last
    idle = [names[j] for j in range(len(names)) if j not in of]
    if idle:
        raise TelemetryError(f"slices {', '.join(idle)}: no hour's middle lies in them; telemetry is kept by the hour")
    return names, of


def days_of(
    history: pd.DataFrame, classes: Sequence[Class], slices: pd.DataFrame, config: TelemetryConfig, as_of: datetime
) -> Days:
    """The days of the classes; hours of days that are left out, and those after `as_of`, count as not seen."""
    names, of_hour = slice_of_hour(slices)
    end = int(as_of.timestamp()) // HOUR_S
    hour = history["observed_at"].to_numpy("datetime64[s]").astype(np.int64) // HOUR_S
    days = min((end - int(hour.min())) // DAY_H, config.history_days) if len(hour) else 0
    back = hour - (end - days * DAY_H)
    left_out = np.isin(hour // DAY_H, [(day - _EPOCH).days for day in config.left_out])
    number = _numbers(history, classes)
    whole_hour = history["windows"].to_numpy() >= LEAST_SEEN * WINDOWS
    kept = (number >= 0) & (back >= 0) & (back < days * DAY_H) & whole_hour
    absent, whole = _gaps(number[kept], back[kept], len(classes), days * DAY_H)
    kept &= ~left_out
    grids = []
    for column in ("requests_per_s", "peak_requests_per_s"):
        grid = np.full((len(classes), days * DAY_H), np.nan)
        grid[number[kept], back[kept]] = history[column].to_numpy(np.float64)[kept]
        grids.append(grid.reshape(len(classes), days, DAY_H))
    at = of_hour[(end + np.arange(DAY_H)) % DAY_H]
    mean, peak = np.empty((2, len(classes), days, len(names)))
    for j in range(len(names)):
        mean[:, :, j], _ = _cells(grids[0][:, :, at == j])
        _, peak[:, :, j] = _cells(grids[config.design == "peak"][:, :, at == j])
    return Days(tuple(classes), names, peak, mean, absent, whole)


_EPOCH = datetime(1970, 1, 1).date()


def _cells(hours: Floats) -> tuple[Floats, Floats]:
    """Mean and greatest over the last axis; NaN where too little of it is known."""
    known = ~np.isnan(hours)
    enough = known.sum(axis=2) >= LEAST_SEEN * hours.shape[2]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(enough, np.where(known, hours, 0.0).sum(axis=2) / known.sum(axis=2), np.nan)
    return mean, np.where(enough, np.where(known, hours, -np.inf).max(axis=2), np.nan)


def _numbers(history: pd.DataFrame, classes: Sequence[Class]) -> NDArray[np.int64]:
    """The class of every row by its place among `classes`; -1: none of them."""
    index = pd.MultiIndex.from_tuples(list(classes), names=list(CLASS)) if classes else None
    parts = [history[name].cat for name in CLASS]
    if index is None:
        return np.full(len(history), -1, np.int64)
    sizes = [len(part.categories) + 1 for part in parts]
    table = np.full(sizes, -1, np.int64)
    places = [
        part.categories.get_indexer(index.get_level_values(name)) for part, name in zip(parts, CLASS, strict=True)
    ]
    seen = np.all([place >= 0 for place in places], axis=0)
    table[tuple(place[seen] for place in places)] = np.flatnonzero(seen)
    return table[tuple(part.codes.to_numpy(np.int64) for part in parts)]


def _gaps(number: NDArray[np.int64], hour: NDArray[np.int64], classes: int, end: int) -> tuple[int, int]:
    """Hours absent since each class was first seen, and all hours since then."""
    first = np.full(classes, end, np.int64)
    np.minimum.at(first, number, hour)
    whole = int((end - first).sum())
    return whole - len(number), whole
