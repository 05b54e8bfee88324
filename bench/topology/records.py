"""Drawn records of many pairs, day by day, and what is true of them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from probes.table import SCHEMA

SITES = 400
SAMPLES = 3
WINDOWS_SHARE = 0.1
"""Records that have percentiles and no samples, as those of other tools; none of PICKED pairs."""
LOST_SHARE = 0.01
PICKED = 50
"""Pairs whose percentiles are compared."""
FIRST_DAY = np.datetime64("2026-01-01")
_ROWS_AT_ONCE = 1_000_000
_NS_PER_DAY = 86_400 * 10**9

Ints = NDArray[np.int64]
Float = NDArray[np.float64]


class Errors(NamedTuple):
    """Whether all counts and minima are what they should be, and the largest relative error of a percentile."""

    exact: bool
    percentile: float


@dataclass
class Truth:
    """What the records written so far say of every pair."""

    pairs: int
    rows: int = 0
    records: Ints = field(init=False)
    samples: Ints = field(init=False)
    least_ms: Float = field(init=False)
    picked: dict[int, list[Float]] = field(init=False)

    def __post_init__(self) -> None:
        self.records, self.samples = np.zeros(self.pairs, np.int64), np.zeros(self.pairs, np.int64)
        self.least_ms = np.full(self.pairs, np.inf)
        self.picked = {int(pair): [] for pair in np.linspace(0, self.pairs - 1, PICKED).astype(int)}

    def add(self, pair: Ints, value_ms: Float, samples: Ints, listed: NDArray[np.bool_]) -> None:
        """Records of these pairs: N × SAMPLES values, how many of them arrived, and whether each is told."""
        self.rows += len(pair)
        self.records += np.bincount(pair, minlength=self.pairs)
        self.samples += np.bincount(pair, samples, minlength=self.pairs).astype(np.int64)
        arrived = np.where(np.arange(SAMPLES) < samples[:, None], value_ms, np.inf)
        np.minimum.at(self.least_ms, pair, arrived.min(axis=1))
        for one in np.flatnonzero(np.isin(pair, list(self.picked)) & listed):
            self.picked[int(pair[one])].append(value_ms[one, : samples[one]])

    def errors(self, frame: pd.DataFrame) -> Errors:
        """A frame of summaries against this."""
        pair = frame["source"].str[1:].astype(int) * SITES + frame["target"].str[1:].astype(int)
        frame = frame.set_index(pair.to_numpy()).sort_index()
        there = np.flatnonzero(self.records)
        exact = bool(
            np.array_equal(frame.index, there)
            and np.array_equal(frame["records"], self.records[there])
            and np.array_equal(frame["samples"], self.samples[there])
            and np.array_equal(frame["rtt_base_ms"], self.least_ms[there])
        )
        worst = 0.0
        for one, values in self.picked.items():
            if not values:
                continue
            for name, share in (("rtt_p50_ms", 0.5), ("rtt_p95_ms", 0.95), ("rtt_p99_ms", 0.99)):
                true = np.quantile(np.concatenate(values), share)
                worst = max(worst, abs(frame[name][one] / true - 1))
        return Errors(exact, worst)


def write_day(folder: Path, truth: Truth, day: int, rows: int, seed: int) -> None:
    """A day's file, as a collector writes it: sorted by time, in row groups of 2^17."""
    date = FIRST_DAY + day
    out = folder / f"day={date}"
    out.mkdir(parents=True)
    with pq.ParquetWriter(out / "records.parquet", SCHEMA, compression="zstd", version="2.6") as writer:
        for first in range(0, rows, _ROWS_AT_ONCE):
            count = min(_ROWS_AT_ONCE, rows - first)
            begin_ns = int(date.astype("datetime64[ns]").astype(np.int64)) + _NS_PER_DAY * first // rows
            table = _table(
                truth, np.random.default_rng([seed, day, first]), begin_ns, _NS_PER_DAY * count // rows, count
            )
            writer.write_table(table, row_group_size=1 << 17)


def _table(truth: Truth, draw: np.random.Generator, begin_ns: int, span_ns: int, count: int) -> pa.Table:
    pair = draw.integers(0, truth.pairs, count)
    at_ns = begin_ns + np.sort(draw.integers(0, span_ns, count))
    # Every pair its own distance, every packet its own queue: a few of them long.
    least_ms = 2 + 250 * ((pair * 0.6180339887) % 1)
    queue = draw.standard_exponential((count, SAMPLES), np.float32).astype(np.float64) ** 3
    value_ms = np.round(least_ms[:, None] * (1 + 0.02 * queue), 3)
    samples = np.where(draw.random(count) < LOST_SHARE, SAMPLES - 1, SAMPLES)
    windows = (draw.random(count) < WINDOWS_SHARE) & ~np.isin(pair, list(truth.picked))
    samples[windows] = SAMPLES
    truth.add(pair, value_ms, samples, ~windows)
    listed = np.where(windows, 0, samples)
    values = value_ms[np.arange(SAMPLES) < listed[:, None]]
    offsets = np.concatenate([[0], np.cumsum(listed)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), mask=pa.array(windows))
    ordered = np.sort(value_ms, axis=1)

    def of_windows(figure: Float) -> pa.Array:
        return pa.array(figure, mask=~windows)

    source, target = pair // SITES, pair % SITES
    names = pa.array([f"r{i}" for i in range(truth.pairs // SITES + 1)])
    every = np.ones(count, np.int64)
    columns = {
        "observed_at": pa.array(at_ns, pa.timestamp("ns", "UTC")),
        "agent": names.take(pa.array(source)),
        "source": names.take(pa.array(source)),
        "target": pa.array([f"s{i}" for i in range(SITES)]).take(pa.array(target)),
        "method": pa.array(["icmp"]).take(pa.array(0 * every)),
        "family": pa.array(4 * every, pa.int8()),
        "sent": pa.array(SAMPLES * every),
        "received": pa.array(samples),
        "rtt_ms": lists,
        "rtt_min_ms": of_windows(ordered[:, 0]),
        "rtt_p50_ms": of_windows(ordered[:, SAMPLES // 2]),
        "rtt_p95_ms": of_windows(ordered[:, -1]),
        "clock_ok": pa.array(every == 1),
        "boot_id": names.take(pa.array(source)),
        "seq": pa.array(truth.rows + np.arange(count)),
    }
    return pa.table([columns.get(one.name, pa.nulls(count, one.type)) for one in SCHEMA], schema=SCHEMA)
