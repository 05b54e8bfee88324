"""Route changes: what was measured before the last one does not describe the network of today.

Clipped CUSUM (Page 1954) on the daily minimum, both ways, in units of its own noise:

    z_d = clip((base_d - reference) / sigma, -3, 3)
    up_d = max(0, up_{d-1} + z_d - 0.5)      down_d = max(0, down_{d-1} - z_d - 0.5)

The reference is the median of the first five days since the last change, sigma 1.4826 · the median step between days /
√2, at least 0.2 ms and 2 % of the reference. A sum above 6 is an alarm, and the change began where the sum last left
zero: clipped, one day or two cannot raise it. It is confirmed if at least three days lie since then and all of them
are off the old level by max(1 ms, 5 %): after a rise the least of them is above the reference by that much, after a
fall the most of them is below all that was measured before.

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
SLACK, LIMIT, CLIP = 0.5, 6.0, 3.0
REFERENCE_DAYS = 5
LEAST_AFTER = 3
LEAST_STEP_MS, LEAST_STEP = 1.0, 0.05
LEAST_SIGMA_MS, LEAST_SIGMA = 0.2, 0.02


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
    sums, onset, span = np.zeros((2, rows)), np.zeros((2, rows), np.int64), np.zeros((2, rows), np.int64)
    # Since the onset of a rise the least, of a fall the most; and the least of the level before.
    extreme = np.stack([np.full(rows, np.inf), np.full(rows, -np.inf)])
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
        z = np.clip((value - reference) / sigma, -CLIP, CLIP)
        for way, sign in ((0, 1.0), (1, -1.0)):
            grown = sums[way] + np.where(ready, sign * z - SLACK, 0.0)
            begins = ready & (sums[way] <= 0) & (grown > 0)
            onset[way] = np.where(begins, day, onset[way])
            idle = ready & (grown <= 0)
            sums[way] = np.maximum(grown, 0.0)
            least_or_most = np.fmin if way == 0 else np.fmax
            extreme[way] = np.where(begins, value, np.where(here, least_or_most(extreme[way], value), extreme[way]))
            span[way] = np.where(begins, 1, np.where(idle, 0, span[way] + ready))
            if way == 1:
                lowest = np.where(here & (idle | ~ready), np.fmin(lowest, value), lowest)
        step = np.fmax(LEAST_STEP_MS, LEAST_STEP * reference)
        rise = (sums[0] > LIMIT) & (span[0] >= LEAST_AFTER) & (extreme[0] > reference + step)
        fall = (sums[1] > LIMIT) & (span[1] >= LEAST_AFTER) & (extreme[1] < np.fmin(lowest, reference) - step)
        for changed, way in ((ready & rise, 0), (ready & fall & ~rise, 1)):
            if changed.any():
                begun[changed] = start[changed] = onset[way][changed]
                count[changed] = span[way][changed]
                reference[changed] = np.nan
                sums[:, changed] = 0.0
                lowest[changed] = _least_since(base_ms, changed, start, day)
    return begun


def _noise_ms(base_ms: Float) -> Float:
    """1.4826 · the median absolute step between measured days / √2, NaN where there is none."""
    rows, columns = np.nonzero(~np.isnan(base_ms))
    values = base_ms[rows, columns]
    inside = rows[1:] == rows[:-1]
    row, step = rows[1:][inside], np.abs(np.diff(values))[inside]
    order = np.lexsort((step, row))
    row, step = row[order], step[order]
    found, first, count = np.unique(row, return_index=True, return_counts=True)
    noise = np.full(len(base_ms), np.nan)
    noise[found] = 1.4826 / np.sqrt(2) * (step[first + (count - 1) // 2] + step[first + count // 2]) / 2
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
