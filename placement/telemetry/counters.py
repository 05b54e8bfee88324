"""Samples of one series to rates of five-minute windows.

Window w is the time (300 (w - 1), 300 w] since 1970. A window of which something is missing is NaN.
"""

import numpy as np
from numpy.typing import NDArray

from placement.telemetry.history import HOUR_S, WINDOW_S

Floats = NDArray[np.float64]
Windows = tuple[NDArray[np.int64], Floats]
"""Windows from the first to the last that the series touches, and their rates."""


def counter_rates(time_s: Floats, count: Floats, longest_gap_s: float) -> Windows:
    """Requests per second by a counter that grows, and begins again at 0 where its process did.

    Times ascend. A figure below the one before is a new start: what it shows has been counted since, as Prometheus
    takes it. Between samples the count is taken to grow evenly, so that windows together hold every request; where
    samples are further apart than `longest_gap_s`, nothing is said.
    """
    restart = np.diff(count) < 0
    grown = np.concatenate([[0.0], np.cumsum(np.where(restart, count[1:], np.diff(count)))])
    first, last = int(time_s[0] // WINDOW_S) + 1, int(np.ceil(time_s[-1] / WINDOW_S))
    window = np.arange(first, last + 1, dtype=np.int64)
    ends = np.arange(first - 1, last + 1) * float(WINDOW_S)
    rate = np.diff(np.interp(ends, time_s, grown)) / WINDOW_S
    rate[(ends[:-1] < time_s[0]) | (ends[1:] > time_s[-1])] = np.nan
    for j in np.flatnonzero(np.diff(time_s) > longest_gap_s):
        rate[(ends[1:] > time_s[j]) & (ends[:-1] < time_s[j + 1])] = np.nan
    return window, rate


def sampled_rates(time_s: Floats, rate: Floats) -> Windows:
    """Rates that hold for the time up to their sample: their mean in each window.

    Rows further apart than a window hold for all windows since the row before; their usual distance, the median, must
    be an hour or less. Raises ValueError otherwise.
    """
    step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else float(WINDOW_S)
    if step_s > HOUR_S:
        raise ValueError(f"rows are {step_s:g} s apart, and an hour is the most")
    last = np.ceil(time_s / WINDOW_S).astype(np.int64)
    reach = max(round(step_s / WINDOW_S), 1)
    windows = (last[:, None] - np.arange(reach)).ravel()
    first = int(windows.min())
    total = np.bincount(windows - first, np.repeat(rate, reach))
    rows = np.bincount(windows - first)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.arange(first, first + len(rows), dtype=np.int64), np.where(rows > 0, total / rows, np.nan)
