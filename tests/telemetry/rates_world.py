"""Request rates of which everything is known: Poisson requests with the seasons of the day and the week."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.telemetry.config import CLASS
from placement.telemetry.history import hours

Floats = NDArray[np.float64]
WINDOW_S = 300


def intensity(levels: Floats, zones: NDArray[np.int64], days: int, weekend: float = 0.6) -> Floats:
    """Requests/s of (class, day, five minutes): a wave of a day, weekends lower; day 0 is a Monday."""
    hour = np.arange(288) / 12
    wave = 1 + 0.7 * np.sin(2 * np.pi * (hour + zones[:, None] - 9) / 24)
    week = np.where(np.arange(days) % 7 >= 5, weekend, 1.0)
    found: Floats = levels[:, None, None] * week[None, :, None] * wave[:, None, :]
    return found


def counted(rate: Floats, seed: int) -> Floats:
    """Requests/s in each window as a counter would show them: Poisson."""
    found: Floats = np.random.default_rng(seed).poisson(rate * WINDOW_S) / WINDOW_S
    return found


def history_of(rates: Floats, names: list[tuple[str, str, str]], first_hour: int) -> pd.DataFrame:
    """The history of windows of (class, day, 288)."""
    by_hour = rates.reshape(len(names), -1, 12)
    count = by_hour.shape[1]
    frame = pd.DataFrame(
        {
            "hour": np.tile(first_hour + np.arange(count), len(names)),
            **{part: np.repeat([name[j] for name in names], count) for j, part in enumerate(CLASS)},
            "requests_per_s": by_hour.mean(axis=2).ravel(),
            "peak_requests_per_s": by_hour.max(axis=2).ravel(),
            "windows": 12,
        }
    )
    return hours(frame)
