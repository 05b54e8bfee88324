"""Forecasts of demand: ours against last week's days and other libraries', on real traces and drawn worlds.

`python -m bench.telemetry.quality [--rates rates_10min.csv] [--only NAME]`. Libraries that are not installed are left
out; statsforecast wants an environment of its own (it holds pandas below 3), with nothing of ours but this folder.
"""

import argparse
import importlib
import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from bench.telemetry.rate_worlds import QUANTILE, SLICES, Floats, Forecaster, judged, worlds


def ours() -> dict[str, Forecaster]:
    """What `nearserve demand` does, and each of its ways as if there were no other.

    All share what is proposed at days of the past, so that the time is that of the first.
    """
    from placement.telemetry.forecasting import WAYS, Past, forecast  # noqa: PLC0415

    pasts: dict[bytes, Past] = {}

    def of(*ways: str) -> Forecaster:
        def forecaster(peak: Floats, mean: Floats) -> tuple[Floats, Floats]:
            past = pasts.setdefault(peak.tobytes(), Past(peak, mean, QUANTILE, 1))
            found = forecast(past, past.days, ways)
            return found.design, found.mean

        return forecaster

    return {"nearserve": of(*WAYS)} | {f"  {way}": of(way) for way in WAYS}


def last_week(peak: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """The same day of last week, and as much more as the class' own differences to it were."""
    if peak.shape[1] < 9:
        back = min(7, peak.shape[1])
        return peak[:, -back:].max(axis=1), mean[:, -back]
    return peak[:, -7] + np.nanquantile(peak[:, 7:] - peak[:, :-7], QUANTILE, axis=1), mean[:, -7]


def statsforecast(model: str, **options: Any) -> Forecaster:
    """A model of statsforecast on each daily series of a slice, with its own intervals."""
    pandas: Any = importlib.import_module("pandas")
    library: Any = importlib.import_module("statsforecast")
    models: Any = importlib.import_module("statsforecast.models")

    def one(rates: Floats, upper: bool) -> Floats:
        classes, days, _ = rates.shape
        filled = np.where(np.isnan(rates), np.nanmean(rates, axis=1, keepdims=True), rates)
        series = filled.transpose(0, 2, 1).reshape(-1, days)
        frame = pandas.DataFrame(
            {
                "unique_id": np.repeat(np.arange(len(series)), days),
                "ds": np.tile(np.arange(days), len(series)),
                "y": series.ravel(),
            }
        )
        season = 7 if days >= 14 else 1
        made = library.StatsForecast([getattr(models, model)(season_length=season, **options)], freq=1, n_jobs=1)
        found = made.forecast(df=frame, h=1, level=[round(200 * QUANTILE - 100)]).sort_values("unique_id")
        wanted = [name for name in found.columns if name.endswith("-hi-80")] if upper else [model]
        values: Floats = found[wanted[0]].to_numpy(np.float64).reshape(classes, SLICES)
        return values

    return lambda peak, mean: (one(peak, True), one(mean, False))


def candidates() -> dict[str, Forecaster]:
    """Those whose libraries are here."""
    found: dict[str, Forecaster] = {"last week": last_week}
    if importlib.util.find_spec("statsmodels") and importlib.util.find_spec("pydantic"):
        found |= ours()
    if importlib.util.find_spec("statsforecast"):
        found |= {name: statsforecast(name) for name in ("AutoETS", "AutoTheta")}
    return found


def main(argv: list[str]) -> int:
    """Print a line for each forecaster in each world."""
    parser = argparse.ArgumentParser(prog="bench.telemetry.quality")
    parser.add_argument("--rates", type=Path, help="ServeGen's rates_10min.csv")
    parser.add_argument("--only", help="one forecaster")
    given = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    print(f"{'world':18}{'forecaster':28}{'loss':>8}{'covers':>8}{'mean':>8}{'naive':>8}{'cpu s':>8}")
    for world in worlds(given.rates):
        for name, forecaster in candidates().items():
            if given.only in (None, name):
                score = judged(world, forecaster)
                print(
                    f"{world.name:18}{name:28}{score.pinball:8.4f}{score.coverage:8.3f}{score.mean_error:8.4f}"
                    f"{score.naive_error:8.4f}{score.cpu_s:8.3f}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    import sys

    raise SystemExit(main(sys.argv[1:]))
