"""Hourly request rates of every class: the table that telemetry becomes and that forecasts are made from.

A row is an hour of a class of which something was seen; an hour of which nothing was seen has no row, and is never 0.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.telemetry.config import CLASS
from placement.telemetry.errors import TelemetryError
from probes.whole_file import write_whole

WINDOW_S = 300
WINDOWS = 12
"""Five-minute windows in an hour."""
HOUR_S = 3600
COLUMNS = ("observed_at", *CLASS, "requests_per_s", "peak_requests_per_s", "windows")
"""Start of the hour in UTC, the class, mean rate, rate of the busiest five minutes, windows that were seen (1 … 12)."""
MOST_REQUESTS_PER_S = 1e7


def hourly(windows: pd.DataFrame) -> pd.DataFrame:
    """The hours of rates by window: columns of the class, `window` (its end over 300 s), `rate` (NaN: not seen)."""
    seen = windows[windows["rate"].notna()]
    hour = (seen["window"] - 1) // WINDOWS
    parts = seen.groupby([hour.rename("hour"), *CLASS], sort=False)["rate"]
    frame = parts.agg(["mean", "max", "count"]).reset_index()
    return hours(frame.rename(columns={"mean": "requests_per_s", "max": "peak_requests_per_s", "count": "windows"}))


def hours(frame: pd.DataFrame) -> pd.DataFrame:
    """A history from its columns, `hour` (since 1970) in place of the time: typed and sorted."""
    stamped = frame.assign(observed_at=pd.to_datetime(frame["hour"].to_numpy(np.int64) * HOUR_S, unit="s", utc=True))
    return _typed(stamped)


def merged(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Both; of an hour of a class that stands in both, what was seen of more windows, the new one in a tie."""
    if old.empty or new.empty:
        return new if old.empty else old
    for name in CLASS:
        names = sorted({*old[name].cat.categories, *new[name].cat.categories})
        old, new = (frame.assign(**{name: frame[name].cat.set_categories(names)}) for frame in (old, new))
    untouched = (old["observed_at"] < new["observed_at"].min()).to_numpy()
    both = pd.concat([old[~untouched], new], ignore_index=True)
    best = both.sort_values("windows", kind="stable").drop_duplicates(["observed_at", *CLASS], keep="last")
    return _typed(pd.concat([old[untouched], best], ignore_index=True))


def empty() -> pd.DataFrame:
    """A history without hours."""
    return _typed(pd.DataFrame({name: [] for name in COLUMNS}))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.loc[:, list(COLUMNS)]
    kinds: dict[str, Any] = {
        "observed_at": "datetime64[s, UTC]",
        **dict.fromkeys(CLASS, "category"),
        "requests_per_s": np.float64,
        "peak_requests_per_s": np.float64,
        "windows": np.int8,
    }
    frame = frame.astype(kinds)
    for name in CLASS:
        column = frame[name].cat
        frame[name] = column.set_categories(sorted(column.remove_unused_categories().cat.categories))
    key = _key(frame)
    if (np.diff(key) < 0).any():  # seldom, and dear: what was written is sorted
        frame = frame.iloc[np.argsort(key, kind="stable")]
    return frame.reset_index(drop=True)


def _key(frame: pd.DataFrame) -> NDArray[np.int64]:
    """One figure for the hour and class of each row, that sorts as they do where categories are sorted."""
    key: NDArray[np.int64] = frame["observed_at"].to_numpy("datetime64[s]").astype(np.int64) // HOUR_S
    for name in CLASS:
        column = frame[name].astype("category").cat
        key *= len(column.categories) + 1
        key += column.codes.to_numpy()
    return key


def history_sha256(frame: pd.DataFrame) -> str:
    """The hash of what a history says, whatever file it stands in."""
    found = hashlib.sha256(str(len(frame)).encode())
    found.update(frame["observed_at"].to_numpy("datetime64[s]").astype("<i8").tobytes())
    for name in CLASS:
        found.update("\x1f".join(frame[name].cat.categories).encode())
        found.update(frame[name].cat.codes.to_numpy("<i4").tobytes())
    for name in COLUMNS[4:]:
        found.update(frame[name].to_numpy("<f8").tobytes())
    return found.hexdigest()


def read_history(path: Path) -> pd.DataFrame:
    """A history that was written; without hours where there is no such file.

    Raises:
        TelemetryError: it is no such table, or holds what no rate can be; every fault at once.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    if not path.exists():
        return empty()
    try:
        with path.open("rb") as file:
            frame = pq.ParquetFile(file, read_dictionary=list(CLASS)).read().to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise TelemetryError(f"{path}: cannot be read as a history: {error}; {_AGAIN}") from error
    absent = sorted(set(COLUMNS) - set(frame.columns))
    if absent:
        raise TelemetryError(f"{path}: the columns {', '.join(absent)} are missing; {_AGAIN}")
    wrong = _faults(path, frame)
    if wrong:
        raise TelemetryError(*wrong)
    return _typed(frame)


_AGAIN = "move it away: the next run asks for all of it again"


def _faults(path: Path, frame: pd.DataFrame) -> list[str]:
    """What is wrong with a history, a line each."""
    if not str(frame["observed_at"].dtype).startswith("datetime64") or frame["observed_at"].dt.tz is None:
        return [f"{path}: observed_at is no time in UTC; {_AGAIN}"]
    try:
        mean, peak, windows = (frame[name].to_numpy(np.float64) for name in COLUMNS[4:])
    except (TypeError, ValueError):
        return [f"{path}: {', '.join(COLUMNS[4:])} must be figures; {_AGAIN}"]
    faults = {
        "a rate that is negative, not finite or beyond belief": ~((mean >= 0) & (peak <= MOST_REQUESTS_PER_S)),
        "a peak below its mean": ~(peak >= mean * (1 - 1e-9)),
        f"windows outside of 1 … {WINDOWS}": ~((windows >= 1) & (windows <= WINDOWS)),
        "a class without a name": frame[list(CLASS)].isna().any(axis=1).to_numpy(),
        "a time that is no full hour": (frame["observed_at"].dt.floor("h") != frame["observed_at"]).to_numpy(),
        "an hour of a class twice": pd.Series(_key(frame)).duplicated().to_numpy(),
    }
    return [
        f"{path}: {what} in {int(bad.sum()):,} rows, the first {int(np.argmax(bad)) + 1}; {_AGAIN}"
        for what, bad in faults.items()
        if bad.any()
    ]


def write_history(frame: pd.DataFrame, path: Path) -> None:
    """Write it whole or not at all. Raises OSError."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), stream, compression="zstd")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, stream.getvalue(), durable=True)
