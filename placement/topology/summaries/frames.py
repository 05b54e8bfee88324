"""Parts of a merge as frames of figures."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from placement.topology.summaries.adding import Part
from placement.topology.summaries.figures import AVERAGE, MBPS_DOWN, MBPS_UP, P50, P95, SAMPLES, SPREAD
from placement.topology.summaries.merge import Merge, no_series
from placement.topology.summaries.sketch import NS_PER_MS, Float, Quantiles
from placement.topology.summaries.stored import Columns

_CODES = ("source", "target", "kind")
_ROUNDING_MS = 1 / NS_PER_MS


def summary_columns(part: Part) -> Columns:
    """The columns of `Summaries.frame` besides the keys."""
    of = _Sketches(part)
    figure = part.figures
    pooled, p50, p95 = of[SAMPLES], of[P50], of[P95]
    averages, spreads = of[AVERAGE], of[SPREAD]
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = np.where(
            (figure["sent_quiet"] > 0) & (figure["compared"] > 0),
            1 - figure["received_of_sent"] / figure["sent_quiet"], np.nan,
        )  # fmt: skip
        jitter_ms = np.where(figure["steps"] > 0, figure["steps_ns"] / NS_PER_MS / figure["steps"], np.nan)
        rtt_avg_ms = averages.total() / averages.count
        rtt_std_ms = np.sqrt(spreads.total(2) / spreads.count)
    rtt_p95_ms = np.fmax(pooled.interpolated(0.95), p95.reached(95))
    return {
        **{name: figure[name] for name in ("records", "sent", "received", "samples")},
        "loss": loss,
        "rtt_base_ms": figure["least_ms"],
        "rtt_p50_ms": _above(_middle(pooled, p50), figure["least_ms"]),
        "rtt_p95_ms": _above(rtt_p95_ms, figure["least_ms"]),
        "rtt_p99_ms": np.maximum(pooled.interpolated(0.99), rtt_p95_ms),
        "rtt_avg_ms": rtt_avg_ms,
        "rtt_std_ms": rtt_std_ms,
        "jitter_ms": jitter_ms,
        "mbps_up": of[MBPS_UP].interpolated(0.5),
        "mbps_down": of[MBPS_DOWN].interpolated(0.5),
        "observed_at_s": figure["observed_at_ns"] / 1e9,
    }


def day_columns(part: Part) -> Columns:
    """The columns of a frame of days (`Days.summaries`) besides the keys."""
    of = _Sketches(part)
    figure = part.figures
    pooled, averages = of[SAMPLES], of[AVERAGE]
    with np.errstate(divide="ignore", invalid="ignore"):
        average = np.where(pooled.count > 0, pooled.total() / pooled.count, averages.total() / averages.count)
    several = figure["least_sample_ms"] < figure["most_sample_ms"]
    return {
        "day": figure["day"].astype(np.int32),
        **{name: figure[name] for name in ("records", "sent", "received", "samples")},
        "distinct": np.maximum(pooled.filled, np.where(several, 2, 0)),
        "rtt_base_ms": figure["least_ms"],
        "rtt_p50_ms": _above(_middle(pooled, of[P50]), figure["least_ms"]),
        "rtt_p95_ms": _above(np.fmax(pooled.interpolated(0.95), of[P95].reached(95)), figure["least_ms"]),
        "rtt_avg_ms": average,
        "clock_bad": figure["clock_bad"],
        "observed_at_s": figure["observed_at_ns"] / 1e9,
    }


def day_frame(merge: Merge, part: Part) -> pd.DataFrame:
    """A part with its keys and days."""
    codes = {name: part.figures[name] for name in _CODES}
    return pd.DataFrame({**_keys(merge, codes), **day_columns(part)}, copy=False)


def summary_frame(merge: Merge, parts: Iterator[Part]) -> pd.DataFrame:
    """All parts with their keys."""
    columns: dict[str, list[Any]] = {}
    for part in parts:
        for name, values in _columns(part).items():
            columns.setdefault(name, []).append(values)
    columns = columns or {name: [values] for name, values in _columns(no_series()).items()}
    # Millions of rows: the pieces of a column go as the whole of it comes.
    whole = {name: np.concatenate(columns.pop(name)) for name in list(columns)}
    codes = {name: whole.pop(name) for name in _CODES}
    return pd.DataFrame({**_keys(merge, codes), **whole}, copy=False)


def _columns(part: Part) -> Columns:
    return {**{name: part.figures[name] for name in _CODES}, **summary_columns(part)}


def _keys(merge: Merge, codes: Columns) -> dict[str, Any]:
    """source, target, method and family of codes."""
    methods = sorted({method for method, _ in merge.kinds})
    method = np.array([methods.index(one) for one, _ in merge.kinds], np.int16)
    family = np.array([np.nan if one is None else one for _, one in merge.kinds], np.float64)
    names = pd.Index(merge.names, dtype=object)
    return {
        "source": pd.Categorical.from_codes(codes["source"], names),
        "target": pd.Categorical.from_codes(codes["target"], names),
        "method": pd.Categorical.from_codes(method[codes["kind"]], pd.Index(methods, dtype=object)),
        "family": family[codes["kind"]],
    }


class _Sketches:
    """The quantiles of each figure of a part."""

    def __init__(self, part: Part) -> None:
        self._series = len(part.figures["day"])
        self._filled = part.filled

    def __getitem__(self, figure: int) -> Quantiles:
        filled = self._filled.of_figure(figure)
        return Quantiles(self._series, filled.row, filled.bucket, filled.counts, filled.excess)


def _middle(pooled: Quantiles, windows: Quantiles) -> Float:
    """The p50 of the samples, or of the windows where they hold more."""
    return np.where(windows.count > pooled.count, windows.reached(50), pooled.interpolated(0.5))


def _above(value_ms: Float, least_ms: Float) -> Float:
    """A percentile that rounding to whole nanoseconds put below the minimum is the minimum."""
    with np.errstate(invalid="ignore"):
        return np.where((value_ms < least_ms) & (value_ms > least_ms - _ROUNDING_MS), least_ms, value_ms)
