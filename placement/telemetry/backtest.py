"""How the same forecast would have done: made at days of the past by what was known then, held against what came."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placement.telemetry.forecasting import WAYS, Forecast, Past, forecast, pinball

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Backtest:
    """Over `figures` slices of classes, at `origins` days of the past, each with the way that was best until then.

    `coverage` is the share of design rates that were not exceeded, to be held against `quantile`; `coverage_by_size`
    that of the smallest, middle and largest third of classes. `pinball` is the quantile's loss in units of the class'
    own level, `pinball_by_way` that of each way had it always been taken; `chosen` on how many days each was. `wape`
    is the mean's error as a share of all requests, `wape_naive` that of last week's same days (null: no week is known).
    """

    quantile: float
    origins: int
    figures: int
    coverage: float
    coverage_worst_day: float
    coverage_by_size: tuple[float, ...]
    chosen: dict[str, int]
    pinball: float
    pinball_by_way: dict[str, float]
    wape: float
    wape_naive: float | None

    def document(self) -> dict[str, Any]:
        """For JSON, to six digits."""
        rounded: dict[str, Any] = _rounded(asdict(self))
        return rounded


def back_test(past: Past) -> Backtest | None:
    """None where too few days are known to try it even once."""
    days = past.tried(past.days)
    made = [forecast(past, day) for day in days]
    over = [_over(past, one, day) for one, day in zip(made, days, strict=True)]
    if not any(np.isfinite(one).any() for one in over):
        return None
    scores = np.concatenate([one[np.isfinite(one)] for one in over])
    wape, wape_naive = _errors_of_the_mean(past, made)
    return Backtest(
        quantile=past.quantile,
        origins=len(days),
        figures=len(scores),
        coverage=_kept(scores),
        coverage_worst_day=min(_kept(one[np.isfinite(one)]) for one in over if np.isfinite(one).any()),
        coverage_by_size=_by_size(np.stack(over), np.stack([one.level for one in made])),
        chosen={way: count for way in WAYS if (count := sum(one.way == way for one in made))},
        pinball=pinball(scores, past.quantile),
        pinball_by_way={way: _always(past, way) for way in WAYS},
        wape=wape,
        wape_naive=wape_naive,
    )


def _over(past: Past, made: Forecast, day: int) -> Floats:
    """By how much what came exceeded the design rate, in units of the level."""
    with np.errstate(invalid="ignore"):
        over: Floats = (past.came(day)[0] - made.design) / made.level
    return over


def _kept(over: Floats) -> float:
    """The share that was not exceeded."""
    return float((over <= 1e-9).mean())


def _by_size(over: Floats, level: Floats) -> tuple[float, ...]:
    """The share that was not exceeded, of the smallest, middle and largest third."""
    sound = np.isfinite(over)
    third = np.digitize(level, np.quantile(level[sound], [1 / 3, 2 / 3]))
    return tuple(_kept(over[sound & (third == j)]) for j in range(3) if (sound & (third == j)).any())


def _always(past: Past, way: str) -> float:
    """The loss of one way, widened on each day by what was known then."""
    over = np.concatenate([_over(past, forecast(past, day, (way,)), day).ravel() for day in past.tried(past.days)])
    return pinball(over[np.isfinite(over)], past.quantile)


def _errors_of_the_mean(past: Past, made: list[Forecast]) -> tuple[float, float | None]:
    """The forecast's, and on the figures that both know last week's same days': shares of all requests."""
    days = past.tried(past.days)
    came = np.stack([past.came(day)[1] for day in days])
    expected, naive = np.stack([one.mean for one in made]), np.stack([past.proposal(day).naive_mean for day in days])
    sound = np.isfinite(came) & np.isfinite(expected)
    paired = sound & np.isfinite(naive)
    return _wape(came[sound], expected[sound]), _wape(came[paired], naive[paired]) if paired.any() else None


def _wape(came: Floats, expected: Floats) -> float:
    return float(np.abs(came - expected).sum() / max(came.sum(), 1e-12))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value
