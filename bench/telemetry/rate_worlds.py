"""Request rates to try forecasts on, real ones and drawn ones, and how a forecast is judged; knows numpy alone.

Rates are (class, day, slice): the peak of five minutes and the mean of slices of six hours.
"""

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
QUANTILE = 0.9
SLICES = 4
Forecaster = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""Peaks and means of the days that are known to the quantile of the next day's peak and its mean."""


class World(NamedTuple):
    """`origins` days at the end are forecast, each by the `known` days before it."""

    name: str
    peak: Floats
    mean: Floats
    known: int
    origins: int


class Score(NamedTuple):
    """Losses in units of a class' own level; `naive` is the error of last week's same day."""

    pinball: float
    coverage: float
    mean_error: float
    naive_error: float
    cpu_s: float  # for a day


def judged(world: World, forecaster: Forecaster) -> Score:
    """The forecaster at every origin of the world."""
    days = world.peak.shape[1]
    level = np.nanmean(world.peak[:, : days - world.origins], axis=1) + 1 / 300
    pinball, covered, error, naive = [], [], [], []
    began_s = process_time()
    for origin in range(days - world.origins, days):
        known = slice(max(origin - world.known, 0), origin)
        design, mean = forecaster(world.peak[:, known], world.mean[:, known])
        over = (world.peak[:, origin] - design) / level
        pinball.append(np.nanmean(np.maximum(QUANTILE * over, (QUANTILE - 1) * over)))
        covered.append(np.mean(over[np.isfinite(over)] <= 1e-9))
        error.append(np.nanmean(np.abs(world.mean[:, origin] - mean) / level))
        naive.append(np.nanmean(np.abs(world.mean[:, origin] - world.mean[:, origin - 7]) / level))
    cpu_s = (process_time() - began_s) / world.origins
    figures = [float(np.mean(values)) for values in (pinball, covered, error, naive)]
    return Score(figures[0], figures[1], figures[2], figures[3], cpu_s)


def traces(path: Path) -> tuple[Floats, Floats]:
    """ServeGen's rates of ten minutes (workload, t_s, rate_req_s), whole weeks alone; a 0 is a bin that is missing."""
    of: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            of[row["workload"]].append((float(row["t_s"]), float(row["rate_req_s"]) or np.nan))
    long = [np.array([rate for _, rate in sorted(rows)]) for _, rows in sorted(of.items()) if len(rows) >= 7 * 144]
    bins = np.stack(long).reshape(len(long), -1, SLICES, 144 // SLICES)
    return np.nanmax(bins, axis=3), np.nanmean(bins, axis=3)


def drawn(
    seed: int, days: int = 56, classes: int = 60, low: float = 3e-3, high: float = 100.0, doubled: bool = False
) -> tuple[Floats, Floats]:
    """Poisson requests of classes in all time zones, weekends of their own, levels that wander; low … high req/s.

    `doubled`: every third class doubles eight days before the end.
    """
    draw = np.random.default_rng(seed)
    level = np.exp(draw.uniform(np.log(low), np.log(high), classes))
    zone, weekend, wave = (
        draw.integers(0, 24, classes),
        draw.uniform(0.3, 1.1, classes),
        draw.uniform(0.3, 0.9, classes),
    )
    hour = np.arange(days * 288) / 12
    day = (hour // 24).astype(int)
    together = np.exp(np.cumsum(draw.normal(0, 0.02, days)))
    peak, mean = np.empty((2, classes, days, SLICES))
    for j in range(classes):
        local = hour + zone[j]
        rate = level[j] * (1 + wave[j] * np.sin(2 * np.pi * (local - 9) / 24))
        rate = rate * np.where((local // 24) % 7 >= 5, weekend[j], 1.0)
        own = np.exp(np.cumsum(draw.normal(0, 0.04, days)) + draw.normal(0, 0.05, days))
        rate = rate * (own * together)[day] * np.exp(0.05 * draw.normal(size=len(hour)))
        if doubled and j % 3 == 0:
            rate = np.where(day >= days - 8, 2 * rate, rate)
        seen = (draw.poisson(rate * 300) / 300).reshape(days, SLICES, -1)
        peak[j], mean[j] = seen.max(axis=2), seen.mean(axis=2)
    return peak, mean


def holed(rates: tuple[Floats, Floats], share: float, seed: int) -> tuple[Floats, Floats]:
    """The same with a share of the slices not known."""
    lost = np.random.default_rng(seed).random(rates[0].shape) < share
    return np.where(lost, np.nan, rates[0]), np.where(lost, np.nan, rates[1])


def worlds(real: Path | None) -> list[World]:
    """All that forecasts are judged on; the real ones where their file is given."""
    plain = drawn(0)
    found = [
        World("drawn, 5 weeks", *plain, 35, 14),
        World("drawn, 2 weeks", *drawn(1), 14, 14),
        World("drawn, 1 week", *plain, 7, 14),
        World("drawn, 3 days", *plain, 3, 14),
        World("drawn, 10 % gaps", *holed(plain, 0.1, 2), 35, 14),
        World("sparse, 5 weeks", *drawn(9, low=1e-4, high=1e-2), 35, 14),
        World("doubled, 5 weeks", *drawn(5, doubled=True), 35, 12),
    ]
    if real is not None:
        real_rates = traces(real)
        found = [World("real, 10 days", *real_rates, 10, 4), World("real, 7 days", *real_rates, 7, 7), *found]
    return found
