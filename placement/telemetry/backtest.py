"""How the same forecast would have done: made at days of the past by what was known then, held against what came."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from placement.telemetry.forecasting import Forecast, forecast

Floats = NDArray[np.float64]
MOST_ORIGINS = 14


@dataclass(frozen=True)
class Backtest:
    """Over `figures` slices of classes, from `origins` days of the past.

    `coverage` is the share of design rates that were not exceeded, to be held against `quantile`; `coverage_by_size`
    that of the smallest, middle and largest third of classes. `widened` is what was added to every design rate after
    that, in units of the class' own level, so that `quantile` of the past would have been covered. `pinball` is the
    quantile's loss in those units, before widening; `wape` the mean's error as a share of all requests. Both beside
    what last week's same days would have done (null: no week is known).
    """

    quantile: float
    origins: int
    figures: int
    coverage: float
    coverage_worst_day: float
    coverage_by_size: tuple[float, ...]
    widened: float
    pinball: float
    pinball_naive: float | None
    wape: float
    wape_naive: float | None

    def document(self) -> dict[str, object]:
        """For JSON, to six digits."""
        values = asdict(self)
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()} | {
            "coverage_by_size": [round(share, 6) for share in self.coverage_by_size]
        }


def first_origin(days: int) -> int:
    """The first day that a back-test forecasts from: half of the days are left to learn from, two at least."""
    return max(days // 2, 2)


def back_test(peak: Floats, mean: Floats, quantile: float, horizon: int) -> Backtest | None:
    """None where too few days are known to try it even once. `peak` and `mean` are of (class, day, slice)."""
    days = peak.shape[1]
    last = days - horizon
    origins = range(max(first_origin(days), last - MOST_ORIGINS + 1, horizon + 1), last + 1)
    tried = []
    for origin in origins:
        known = forecast(peak[:, :origin], mean[:, :origin], quantile, horizon)
        ahead = slice(origin, origin + horizon)
        tried.append((known, peak[:, ahead].max(axis=1), mean[:, ahead].mean(axis=1)))
    if not tried:
        return None
    return _scored(tried, quantile)


def _scored(tried: list[tuple[Forecast, Floats, Floats]], quantile: float) -> Backtest | None:
    design, level, naive, expected, naive_mean = (
        np.stack([getattr(known, name) for known, _, _ in tried])
        for name in ("design", "level", "naive", "mean", "naive_mean")
    )
    came, came_mean = np.stack([peak for _, peak, _ in tried]), np.stack([mean for _, _, mean in tried])
    with np.errstate(invalid="ignore"):
        over = (came - design) / level
        over_naive = (came - naive) / level
    sound = np.isfinite(over)
    if not sound.any():
        return None
    kept = over <= 1e-9
    by_day = [float(kept[j][sound[j]].mean()) for j in range(len(kept)) if sound[j].any()]
    edges = np.quantile(level[sound], [1 / 3, 2 / 3])
    third = np.digitize(level, edges)
    sizes = (sound & (third == j) for j in range(3))
    scores = over[sound]
    rank = min(np.ceil((len(scores) + 1) * quantile) / len(scores), 1.0)
    paired = sound & np.isfinite(over_naive)
    means = np.isfinite(came_mean) & np.isfinite(expected)
    paired_means = means & np.isfinite(naive_mean)
    return Backtest(
        quantile=quantile,
        origins=len(tried),
        figures=int(sound.sum()),
        coverage=float(kept[sound].mean()),
        coverage_worst_day=min(by_day),
        coverage_by_size=tuple(float(kept[size].mean()) for size in sizes if size.any()),
        widened=max(float(np.quantile(scores, rank, method="higher")), 0.0),
        pinball=_pinball(scores, quantile),
        pinball_naive=_pinball(over_naive[paired], quantile) if paired.any() else None,
        wape=_wape(came_mean[means], expected[means]),
        wape_naive=_wape(came_mean[paired_means], naive_mean[paired_means]) if paired_means.any() else None,
    )


def _pinball(over: Floats, quantile: float) -> float:
    return float(np.maximum(quantile * over, (quantile - 1) * over).mean())


def _wape(came: Floats, expected: Floats) -> float:
    return float(np.abs(came - expected).sum() / max(came.sum(), 1e-12))
