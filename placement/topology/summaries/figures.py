"""What a batch of records says, record by record: counts, extremes, steps, and the values that go into sketches."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from placement.topology.summaries.reading import MOST_WEIGHT, column, counts, numbers, truth, usable
from placement.topology.summaries.sketch import Float, Ints, whole_ns

SAMPLES, P50, P95, AVERAGE, SPREAD, MBPS_UP, MBPS_DOWN = range(7)
"""The sketches of a series: of samples, of windows' percentiles, averages and deviations, and of rates."""

COUNTED = (
    "records", "sent", "received", "sent_quiet", "received_of_sent", "compared", "samples", "clock_bad", "steps",
    "steps_ns",
)  # fmt: skip
LEAST = ("least_ms", "least_sample_ms")
MOST = ("most_sample_ms", "observed_at_ns")


class BatchFigures:
    """N records: `table` has one row for each, the other values are lists of (record, value).

    `compared` counts records that say of packets that load nothing both how many were sent and how many came back.
    """

    def __init__(self, records: pa.Table) -> None:
        size = records.num_rows
        quiet = ~truth(records, "loaded", False)
        clock_ok = truth(records, "clock_ok", True)
        timed = quiet & clock_ok
        sent, sent_given = counts(records, "sent")
        received, received_given = counts(records, "received")
        self.weight = np.clip(np.where(received_given, received, 1), 1, MOST_WEIGHT)
        listed = _Listed(column(records, "rtt_ms"), timed)
        received = np.where(received_given, received, listed.count)
        received_given |= listed.count > 0
        compared = quiet & sent_given & received_given
        self.sample_record, self.sample_ns = listed.record, whole_ns(listed.value_ms)
        pooled = timed & (listed.count > 0)
        times = {name: np.where(timed, numbers(records, name), np.nan) for name in _TIMES}
        base = np.where(np.isnan(listed.least_ms), usable(times["rtt_min_ms"]), listed.least_ms)
        self.singles = [
            (P50, np.where(pooled, np.nan, usable(times["rtt_p50_ms"])), self.weight),
            (P95, np.where(pooled, np.nan, usable(times["rtt_p95_ms"])), self.weight),
            (AVERAGE, usable(times["rtt_avg_ms"]), self.weight),
            (SPREAD, usable(times["rtt_std_ms"], zero=True), self.weight),
        ]
        down = _equals(records, "direction", "down")
        up = ~down & (_equals(records, "direction", "up") | _equals(records, "direction", ""))
        rate = usable(numbers(records, "mbps"))
        one = np.ones(size, np.int64)
        self.singles += [(MBPS_UP, np.where(up, rate, np.nan), one), (MBPS_DOWN, np.where(down, rate, np.nan), one)]
        self.columns: dict[str, Any] = {
            "records": one,
            "sent": sent,
            "received": received,
            "sent_quiet": np.where(quiet, sent, 0),
            "received_of_sent": np.where(compared, received, 0),
            "compared": compared.astype(np.int64),
            "samples": np.where(timed, np.where(listed.count > 0, listed.count, received), 0),
            "clock_bad": (~clock_ok).astype(np.int64),
            "steps": listed.steps,
            "steps_ns": listed.steps_ns,
            "least_ms": base,
            "least_sample_ms": listed.least_ms,
            "most_sample_ms": listed.most_ms,
            "observed_at_ns": column(records, "observed_at").to_numpy(zero_copy_only=False),
        }


_TIMES = ("rtt_min_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_avg_ms", "rtt_std_ms")


class _Listed:
    """The lists of samples: of all records the count of usable ones, of timed ones also extremes, steps and values."""

    def __init__(self, lists: pa.ListArray, timed: Any) -> None:
        size = len(lists)
        record = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
        value_ms = usable(pc.list_flatten(lists).cast(pa.float64()).to_numpy(zero_copy_only=False))
        good = ~np.isnan(value_ms)
        self.count: Ints = np.bincount(record[good], minlength=size).astype(np.int64)
        whole = np.where(good, whole_ns(np.where(good, value_ms, 1.0)), 0)
        step = np.flatnonzero((record[1:] == record[:-1]) & good[1:] & good[:-1] & timed[record[1:]])
        self.steps: Ints = np.bincount(record[step], minlength=size).astype(np.int64)
        self.steps_ns = np.zeros(size, np.int64)
        np.add.at(self.steps_ns, record[step], np.abs(whole[step + 1] - whole[step]))
        good &= timed[record]
        self.record: Ints = record[good]
        self.value_ms: Float = value_ms[good]
        self.least_ms = np.full(size, np.nan)
        self.most_ms = np.full(size, np.nan)
        np.fmin.at(self.least_ms, self.record, self.value_ms)
        np.fmax.at(self.most_ms, self.record, self.value_ms)


def _equals(records: pa.Table, name: str, word: str) -> Any:
    """Where a column of text holds this word; an empty cell of `direction` is the word of no letters."""
    found = column(records, name)
    if pa.types.is_dictionary(found.type):
        found = found.cast(pa.string())
    return pc.equal(found.fill_null(""), word).to_numpy(zero_copy_only=False)
