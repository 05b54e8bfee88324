"""How demand follows the sun through the slices of a day."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Float = NDArray[np.float64]

BUSY_LOCAL_HOUR = 15.0
SWING = 0.45


def slice_table(count: int) -> pd.DataFrame:
    """Rows of slices.csv: `count` slices of equal length from 00:00 UTC on, named by the hour they begin."""
    hours = 24 // count
    starts = [t * hours for t in range(count)]
    names = [f"u{start:02d}" for start in starts]
    return pd.DataFrame({"slice": names, "start_utc": [f"{start:02d}:00" for start in starts], "hours_per_day": hours})


def by_slice(utc_offset_hours: Float, slices: pd.DataFrame) -> Float:
    """Demand in every slice against its largest value: 1 + 0.45·cos around 15:00 local time at the slice's middle.

    Returns rows × T; `utc_offset_hours` has an entry a row, `slices` the columns of slices.csv.
    """
    start = np.array([int(str(text)[:2]) + int(str(text)[3:]) / 60 for text in slices["start_utc"]])
    middle = start + np.asarray(slices["hours_per_day"], np.float64) / 2
    local = middle[None, :] + utc_offset_hours[:, None]
    return np.asarray((1 + SWING * np.cos((local - BUSY_LOCAL_HOUR) / 12 * np.pi)) / (1 + SWING), np.float64)
