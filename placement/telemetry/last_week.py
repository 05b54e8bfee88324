"""What last week alone says of the days to come: rates of (class, day, slice) to (class, slice)."""

import numpy as np
from numpy.typing import NDArray

from placement.telemetry.features import Fold

Floats = NDArray[np.float64]
WEEK_DAYS = 7


def same_days(rates: Floats, horizon: int, fold: Fold) -> Floats:
    """The same weekdays of the last week, folded over the horizon; NaN where one of them is not known."""
    days = rates.shape[1]
    before = [days + ahead - WEEK_DAYS * (1 + ahead // WEEK_DAYS) for ahead in range(horizon)]
    if min(before) < 0:
        return np.full_like(rates[:, 0], np.nan)
    return fold(rates[:, before].swapaxes(0, 1))


def busiest_day(rates: Floats) -> Floats:
    """The greatest rate of the last week's days; NaN where none of them is known."""
    found: Floats = np.fmax.reduce(rates[:, -WEEK_DAYS:], axis=1)
    return found
