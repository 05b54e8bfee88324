"""Files of rates or counters, CSV or Parquet, to hourly rates of classes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.telemetry.config import CLASS, Files
from placement.telemetry.counters import Windows, counter_rates, sampled_rates
from placement.telemetry.errors import TelemetryError
from placement.telemetry.history import empty, hourly
from placement.telemetry.mapping import Class, Values

FIRST_S = 946_684_800.0
"""2000-01-01: nobody counted requests of models before, so that an earlier time is a mistake."""
SUFFIXES = (".csv", ".csv.gz", ".parquet")


def hours_of_files(
    files: Files, labels: Sequence[str], class_of: Callable[[Values], Class], until_s: float
) -> pd.DataFrame:
    """The hourly history of the files, up to the hour that is full at `until_s` (seconds since 1970).

    A window of a class is known where all series of the class are that run at the time: what is missing of one of
    them would pass for fewer requests.

    Raises:
        TelemetryError: a file cannot be read, a row says what cannot be, or is later than `until_s`: then a clock is
            wrong; every fault at once.
    """
    wrong: list[str] = []
    frames = []
    for path in _paths(files, wrong):
        try:
            frames.append(_rows(path, files, labels, until_s))
        except TelemetryError as error:
            wrong += error.reasons
    if wrong:
        raise TelemetryError(*wrong)
    rows = pd.concat(frames, ignore_index=True).drop_duplicates()
    if rows.empty:
        return empty()
    parts = []
    for key, series in rows.groupby(list(labels), sort=True):
        values = tuple(map(str, key if isinstance(key, tuple) else (key,)))
        parts.append(_windows(series, values, files, class_of(values)))
    windows = pd.concat(parts, ignore_index=True)
    windows["lost"] = windows["rate"].isna()
    frame = windows.groupby(["window", *CLASS], sort=True).agg({"rate": "sum", "lost": "any"}).reset_index()
    frame["rate"] = frame["rate"].mask(frame["lost"])
    return hourly(frame[(frame["window"] - 1) // 12 < until_s // 3600])


def _windows(series: pd.DataFrame, values: Values, files: Files, cls: Class) -> pd.DataFrame:
    """The windows of one series, as its class."""
    series = series.sort_values("time")
    time_s, figure = series["time"].to_numpy(np.float64), series["value"].to_numpy(np.float64)
    twice = np.flatnonzero(np.diff(time_s) == 0)
    name = ", ".join(map(str, values))
    if len(twice):
        raise TelemetryError(f"{name}: two figures at {_utc(time_s[twice[0]])}; keep one of them")
    try:
        found: Windows = (
            counter_rates(time_s, figure, files.longest_gap_s)
            if files.kind == "counters"
            else sampled_rates(time_s, figure)
        )
    except ValueError as error:
        raise TelemetryError(f"{name}: {error}; give rates of an hour or shorter") from error
    return pd.DataFrame({"window": found[0], "rate": found[1], **dict(zip(CLASS, cls, strict=True))})


def _paths(files: Files, wrong: list[str]) -> list[Path]:
    found = []
    for path in files.paths:
        inside = sorted(p for p in path.iterdir() if p.name.endswith(SUFFIXES)) if path.is_dir() else [path]
        if not inside or not all(p.is_file() and p.name.endswith(SUFFIXES) for p in inside):
            wrong.append(f"{path}: is no file or folder of {', '.join(SUFFIXES)}")
        found += [p for p in inside if p.is_file()]
    return found


def _rows(path: Path, files: Files, labels: Sequence[str], until_s: float) -> pd.DataFrame:
    """time (s since 1970), value and the labels as text, of one file."""
    raw = _read(path)
    absent = [name for name in (files.time, files.value, *labels) if name not in raw.columns]
    if absent:
        raise TelemetryError(f"{path}: has no column {', '.join(absent)}; it has {', '.join(map(str, raw.columns))}")
    time_s = _seconds(raw[files.time])
    value = pd.to_numeric(raw[files.value].replace("", np.nan), errors="coerce").to_numpy(np.float64)
    given = raw[files.value].notna().to_numpy() & (raw[files.value].astype(str) != "").to_numpy()
    faults = {
        f"{files.time} is no time (ISO 8601, or seconds since 1970)": ~(time_s >= FIRST_S),
        f"{files.value} is no figure of 0 or more": given & ~(np.isfinite(value) & (value >= 0)),
        "the row is later than the time that is asked for: a clock is wrong here or there": time_s > until_s,
    }
    told = [
        f"{path}:{int(np.argmax(bad)) + 2}: {what} ({int(bad.sum()):,} rows)"
        for what, bad in faults.items()
        if bad.any()
    ]
    if told:
        raise TelemetryError(*told)
    texts = {name: raw[name].fillna("").astype(str).astype(object) for name in labels}
    return pd.DataFrame({"time": time_s, "value": value, **texts})[given]


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.name.endswith(".parquet"):
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except Exception as error:  # a damaged file makes the readers raise almost anything
        raise TelemetryError(f"{path}: cannot be read: {str(error)[:120]}") from error


def _seconds(column: "pd.Series[Any]") -> NDArray[np.float64]:
    """Seconds since 1970; NaN where it is no time."""
    if pd.api.types.is_datetime64_any_dtype(column):
        stamps = pd.to_datetime(column, utc=True)
    else:
        figures = np.asarray(pd.to_numeric(column, errors="coerce"), np.float64)
        if np.isfinite(figures).all():
            return figures
        stamps = pd.to_datetime(column.astype(str), utc=True, errors="coerce", format="ISO8601")
    milliseconds = (
        stamps.dt.as_unit("ms").astype("int64").to_numpy(np.float64)
    )  # ns end in 2262, and a cell may hold more
    return np.where(stamps.isna(), np.nan, milliseconds / 1000)


def _utc(seconds: float) -> str:
    return pd.Timestamp(seconds, unit="s", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
