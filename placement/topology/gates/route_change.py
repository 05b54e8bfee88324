"""Route changes: what was measured before the last one does not describe the network of today.

Clipped CUSUM (Page 1954) on the daily minimum, both ways, in units of its own noise:

    z_d = clip((base_d - reference) / sigma, -3, 3)
    up_d = max(0, up_{d-1} + z_d - 0.5)      down_d = max(0, down_{d-1} - z_d - 0.5)

The reference is the median of the first five days since the last change. sigma is the 80 % quantile of the steps
between days / 1.812 (that of normal noise; a few changes do not move it, and it holds the long tail of minima), at
least 0.2 ms and 2 % of the reference. A sum above 8 is an alarm; clipped, three days cannot raise it. It is confirmed
when at least four days in a row are all off the old level by max(1 ms, 5 %, 2 sigma): after a rise above the reference,
after a fall below all that was measured before. The change began with the first of them.

Days before the last confirmed change are out of the window; that the days after it are few shows in their samples.
"""

import numpy as np
from numpy.typing import NDArray

from placement.topology.gates.evidence import Mask
from placement.topology.gates.series import DayFinding, Series, middle
from placement.topology.gates.verdicts import as_date, spoken_ms
from placement.topology.pairs import Float

Ints = NDArray[np.int64]

NAME = "route-change"
SLACK, LIMIT, CLIP = 0.5, 8.0, 3.0
REFERENCE_DAYS = 5
LEAST_AFTER = 4
LEAST_STEP_MS, LEAST_STEP, LEAST_STEP_SIGMA = 1.0, 0.05, 2.0
LEAST_SIGMA_MS, LEAST_SIGMA = 0.2, 0.02
NORMAL_STEP_80 = 1.812
"""Of normal noise with a deviation of one: 80 % of the differences of two values lie within 1.2816 · √2."""


def judge_days(series: Series, used: Mask) -> DayFinding:
    """The days before each series' last confirmed change."""
    base = np.where(used, series.base_ms, np.nan)
    begun = last_change(base)
    out = used & (np.arange(base.shape[1])[None, :] < begun[:, None])

    def why(at: int, _: int, last: int) -> str:
        old, new = middle(base[at, : begun[at]]), middle(base[at, begun[at] :])
        since = as_date(series.first_day + int(begun[at]))
        return (
            f"went from {spoken_ms(old)} to {spoken_ms(new)} on {since}; what was measured up to "
            f"{as_date(series.first_day + last)} describes another route"
        )

    return DayFinding(out, np.zeros_like(out), _steps(base, begun), why)


def last_change(base_ms: Float) -> Ints:
    """The column where each row's last confirmed change began, 0 where there is none; NaN on days not measured."""
    rows, days = base_ms.shape
    noise_ms = _noise_ms(base_ms)
    begun = np.zeros(rows, np.int64)
    reference = np.full(rows, np.nan)
    start, count = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    sums, first, run = np.zeros((2, rows)), np.zeros((2, rows), np.int64), np.zeros((2, rows), np.int64)
    lowest = np.full(rows, np.inf)
    for day in range(days):
        value = base_ms[:, day]
        here = ~np.isnan(value)
        count += here
        ready = here & (count > REFERENCE_DAYS)
        fresh = ready & np.isnan(reference)
        if fresh.any():
            reference[fresh] = _reference(base_ms, fresh, start, day)
        sigma = np.fmax(np.fmax(noise_ms, LEAST_SIGMA_MS), LEAST_SIGMA * reference)
        step = np.fmax(np.fmax(LEAST_STEP_MS, LEAST_STEP * reference), LEAST_STEP_SIGMA * sigma)
        z = np.clip((value - reference) / sigma, -CLIP, CLIP)
        off = (value > reference + step, value < np.fmin(lowest, reference) - step)
        for way, sign in ((0, 1.0), (1, -1.0)):
            sums[way] = np.maximum(sums[way] + np.where(ready, sign * z - SLACK, 0.0), 0.0)
            begins = ready & off[way] & (run[way] == 0)
            first[way] = np.where(begins, day, first[way])
            run[way] = np.where(ready, np.where(off[way], run[way] + 1, 0), run[way])
        lowest = np.where(here & ~(ready & off[1]), np.fmin(lowest, value), lowest)
        confirmed = ready & (sums > LIMIT) & (run >= LEAST_AFTER)
        for way in (0, 1):
            changed = confirmed[way]
            if changed.any():
                begun[changed] = start[changed] = first[way][changed]
                count[changed] = run[way][changed]
                reference[changed] = np.nan
                sums[:, changed], run[:, changed] = 0.0, 0
                lowest[changed] = _least_since(base_ms, changed, start, day)
    return begun


def _noise_ms(base_ms: Float) -> Float:
    """The 80 % quantile of the absolute steps between measured days, as the deviation of one day; NaN without steps."""
    rows, columns = np.nonzero(~np.isnan(base_ms))
    values = base_ms[rows, columns]
    inside = rows[1:] == rows[:-1]
    row, step = rows[1:][inside], np.abs(np.diff(values))[inside]
    order = np.lexsort((step, row))
    found, first, count = np.unique(row, return_index=True, return_counts=True)
    noise = np.full(len(base_ms), np.nan)
    noise[found] = step[order][first + count * 4 // 5 - (count * 4 % 5 == 0)] / NORMAL_STEP_80
    return noise


def _reference(base_ms: Float, rows: Mask, start: Ints, day: int) -> Float:
    """The median of the first measured days since the start of each row's level."""
    found = np.flatnonzero(rows)
    own = np.where(np.arange(day)[None, :] >= start[found, None], base_ms[found, :day], np.nan)
    nth = np.cumsum(~np.isnan(own), axis=1)
    return np.asarray(np.nanmedian(np.where(nth <= REFERENCE_DAYS, own, np.nan), axis=1), np.float64)


def _least_since(base_ms: Float, rows: Mask, start: Ints, day: int) -> Float:
    """The least of each row from the start of its level to a day."""
    found = np.flatnonzero(rows)
    own = np.where(np.arange(day + 1)[None, :] >= start[found, None], base_ms[found, : day + 1], np.nan)
    return np.asarray(np.fmin.reduce(own, axis=1), np.float64)


def _steps(base_ms: Float, begun: Ints) -> Float:
    """By how many times the least step each change is, 0 where there is none."""
    found = np.zeros(len(base_ms))
    for at in np.flatnonzero(begun > 0):
        old, new = middle(base_ms[at, : begun[at]]), middle(base_ms[at, begun[at] :])
        found[at] = abs(new - old) / max(LEAST_STEP_MS, LEAST_STEP * old)
    return found
