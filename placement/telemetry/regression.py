"""One quantile regression for all classes and slices, by what is known of each (statsmodels; ADR 18).

What is forecast is what is planned with, and not a curve of which that would be read off: the greatest rate of a slice
over the horizon (its quantile), and the mean rate of it.
"""

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from placement.telemetry.features import FEW_ROWS, Fold, average, features, greatest, weeks_of

Floats = NDArray[np.float64]
MOST_ROWS = 100_000
"""Rows that eight figures are fitted to; of more a sample is drawn, always the same."""
LEADING = 3


@dataclass(frozen=True)
class Regressed:
    """`design` and `mean`, requests/s, of (class, slice); `level`: what errors are told in; NaN: nothing is known."""

    design: Floats
    mean: Floats
    level: Floats


def regressed(peak: Floats, mean: Floats, quantile: float, horizon: int) -> Regressed:
    """The `horizon` days that follow the last of `peak` and `mean`, both of (class, day, slice)."""
    peaks, means = (np.ascontiguousarray(rates.transpose(1, 0, 2)) for rates in (peak, mean))
    design, level = _one(peaks, quantile, horizon, greatest)
    expected = np.maximum(_one(means, None, horizon, average)[0], 0.0)
    return Regressed(np.maximum(design, expected), expected, level)


def _one(rates: Floats, quantile: float | None, horizon: int, fold: Fold) -> tuple[Floats, Floats]:
    """(figure, level): the quantile, or without one the mean, of the folded days to come."""
    days = len(rates)
    weeks = weeks_of(days - horizon)
    while weeks > 1 and days - horizon - 7 * weeks < 7:
        weeks -= 1  # a season of more weeks would leave no week to learn from
    of = partial(features, horizon=horizon, weeks=weeks, fold=fold)
    columns, targets = [], []
    for origin in range(max(7 * weeks, 1), days - horizon + 1):
        known, level = of(rates, origin)
        columns.append(known.reshape(-1, known.shape[-1]))
        targets.append((fold(rates[origin : origin + horizon]) / level).ravel())
    now, level = of(rates, days)
    rows, target = np.concatenate(columns), np.concatenate(targets)
    sound = np.isfinite(rows).all(axis=1) & np.isfinite(target)
    params = _fitted(rows[sound], target[sound], quantile)
    return now[..., : len(params)] @ params * level, level


def _fitted(rows: Floats, target: Floats, quantile: float | None) -> Floats:
    """The weights of the columns: the leading ones alone where there are few rows."""
    from statsmodels.regression.linear_model import OLS  # noqa: PLC0415  (heavy)
    from statsmodels.regression.quantile_regression import QuantReg  # noqa: PLC0415

    if len(rows) > MOST_ROWS:
        drawn = np.sort(np.random.default_rng(0).choice(len(rows), MOST_ROWS, replace=False))
        rows, target = rows[drawn], target[drawn]
    if len(rows) < FEW_ROWS:
        rows = rows[:, :LEADING]
    with warnings.catch_warnings():
        # Columns that say the same, or a fit that went on to its last step: the back-test says how good it is.
        warnings.simplefilter("ignore")
        if quantile is None:
            return np.asarray(OLS(target, rows).fit().params, np.float64)
        return np.asarray(QuantReg(target, rows).fit(q=quantile, max_iter=100, p_tol=1e-3).params, np.float64)
