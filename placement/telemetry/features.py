"""What is known of a class on a day that may tell of the days after it: the columns of a pooled quantile regression.

All columns are rates, taken as shares of the class' own level, so that one regression holds for classes of any size.
The week's season is a ratio: the same weekdays' mean over the mean of whole weeks.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from placement.telemetry.history import WINDOW_S

Floats = NDArray[np.float64]
Fold = Callable[[Floats], Floats]
"""How the days of a horizon are one figure, over the first axis: the greatest of peaks, the mean of means."""

ONE = 1.0 / WINDOW_S
"""One request in five minutes: what separates few from none, requests/s."""
MOST_WEEKS = 4
LEAST_SEASON_DAYS = 11
"""Days under which the season of the week is not known."""
FEW_ROWS = 400
"""Under which only the three leading columns are used: more would be learnt by heart."""


def weeks_of(days: int) -> int:
    """Whole weeks from which the season is taken, and days are left to learn from; 0: the season is not known."""
    return min(MOST_WEEKS, (days - 4) // 7) if days >= LEAST_SEASON_DAYS else 0


def greatest(rates: Floats) -> Floats:
    """The greatest of the days; NaN where one of them is not known."""
    found: Floats = rates.max(axis=0)
    return found


def average(rates: Floats) -> Floats:
    """The mean of the days; NaN where one of them is not known."""
    found: Floats = rates.mean(axis=0)
    return found


def known_mean(rates: Floats, otherwise: Floats) -> Floats:
    """The mean over the first axis of what is known; `otherwise` where nothing is."""
    known = ~np.isnan(rates)
    count = known.sum(axis=0)
    total = np.where(known, rates, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), otherwise)


def features(rates: Floats, origin: int, horizon: int, weeks: int, fold: Fold) -> tuple[Floats, Floats]:
    """(columns, level) of (class, slice) for the `horizon` days from `origin` on, by `rates` of (day, class, slice).

    Only days before `origin` are looked at, 7·weeks of them at least. The level is NaN for a class of which nothing is
    known for a week: nothing is forecast for it. Columns are in units of the level plus one request a window; the last
    is that request itself, the one before it what counting alone scatters.
    """
    nowhere = np.full(rates.shape[1:], np.nan)
    week = known_mean(rates[max(origin - 7, 0) : origin], nowhere)
    season = _seasons(rates, origin, weeks)
    recent = range(max(origin - 3, 0), origin)
    plain = np.stack([rates[day] / season(day) for day in recent])
    days = range(origin, origin + horizon)
    of_days = fold(np.stack([season(day) for day in days]))
    three = known_mean(plain, week)
    columns = [three * of_days, week * of_days, known_mean(plain[-1:], three) * of_days]
    if weeks:
        before = np.stack([rates[day - 7 * (1 + (day - origin) // 7)] for day in days])
        columns += [known_mean(fold(before)[None], week * of_days), week, _scatter(rates, origin, season)]
    unit = week + ONE
    columns += [np.sqrt(np.maximum(week, 0.0) * ONE), np.full_like(week, ONE)]
    return np.stack(columns, axis=-1) / unit[..., None], unit


def _seasons(rates: Floats, origin: int, weeks: int) -> Callable[[int], Floats]:
    """The ratio of a day's weekday to the week, by the weeks before `origin`."""
    if not weeks:
        return lambda _: np.ones(rates.shape[1:])
    start = origin - 7 * weeks
    nowhere = np.full(rates.shape[1:], np.nan)
    whole = known_mean(rates[start:origin], nowhere)
    ratios = []
    for weekday in range(7):
        same = known_mean(rates[start + weekday : origin : 7], whole)
        ratios.append((same + ONE) / (whole + ONE))
    return lambda day: np.where(np.isnan(whole), 1.0, ratios[(day - start) % 7])


def _scatter(rates: Floats, origin: int, season: Callable[[int], Floats]) -> Floats:
    """How far days lay from their neighbours over two weeks, the season taken out."""
    plain = np.stack([rates[day] / season(day) for day in range(max(origin - 14, 0), origin)])
    return known_mean(np.abs(np.diff(plain, axis=0)), np.zeros(rates.shape[1:]))
