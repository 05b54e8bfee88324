"""The records of a folder, or of a Table, by day: series to look at, and their summaries."""

import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from placement.topology.summaries.adding import Part, added_up
from placement.topology.summaries.cache import Cache
from placement.topology.summaries.frames import day_frame, summary_frame
from placement.topology.summaries.gather import Gather
from placement.topology.summaries.merge import SERIES, SERIES_DAYS, Merge

MEMORY = "200MB"  # what DuckDB may hold of records that come again before it spills to disk

Judge = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Summaries:
    """What the records say, and how many were left out as older than the window.

    `frame` has one row per (source, target, method, family), sorted by them:

    | column | meaning |
    |---|---|
    | source, target, method | categories (source and target have the same), in sorted order |
    | family | 4, 6 or NaN |
    | records, sent, received, samples | counts; samples are those with a usable time |
    | loss | share of the sent that never came back, 0..1, without what was sent to load the path; NaN if unsaid |
    | rtt_base_ms | windowed minimum |
    | rtt_p50_ms, rtt_p95_ms | of samples and of windows; NaN where only averages are known |
    | rtt_p99_ms | of samples, at least the p95; NaN without a list |
    | rtt_avg_ms, rtt_std_ms | as reported, weighted by samples; for aggregates only |
    | jitter_ms | mean absolute difference of successive samples of a record; NaN without a list |
    | mbps_up, mbps_down | median; up is source to target, and so is a record without a direction |
    | observed_at_s | newest observation, seconds since 1970 UTC |

    `stale` counts records before the window, by "source → target".
    """

    frame: pd.DataFrame
    stale: dict[str, int]


class Days:
    """The days of some records; it stands while the `with` of `days_of_table` or `days_of_folder` does."""

    def __init__(self, merge: Merge) -> None:
        self._merge = merge

    def summaries(self, judge: Judge | None = None) -> Summaries:
        """All days merged, without those that `judge` leaves out.

        It is asked part by part. It gets a frame of the days of some series, all those in the window, one row a day,
        sorted by source, target, method, family (none last) and day, and gives the rows that are not to be merged, by
        these five columns. They are categories (the same in every part), family 4, 6 or NaN, and day int32, days since
        1970 UTC; then come

        | column | meaning |
        |---|---|
        | records, sent, received, samples, observed_at_s | as in `Summaries.frame` |
        | distinct | at least so many different samples: 0 without any, 1 if all are equal, else 2 or more |
        | rtt_base_ms, rtt_p50_ms, rtt_p95_ms | of the day, as in `Summaries.frame` |
        | rtt_avg_ms | mean of the samples, or where there are none of the reported averages |
        | clock_bad | records with `clock_ok` false |
        """
        parts = self._merge.parts() if judge is None else self._judged(judge)
        return Summaries(summary_frame(self._merge, parts), self._merge.stale())

    def _judged(self, judge: Judge) -> Iterator[Part]:
        for part in self._merge.parts(SERIES_DAYS):
            out = judge(day_frame(self._merge, part))
            yield added_up(part, SERIES, ~self._merge.marked(part.figures, out) if len(out) else None)


@contextmanager
def days_of_table(records: pa.Table, known: Collection[str] = (), newer_than: date | None = None) -> Iterator[Days]:
    """The days of records in memory; see `summarise`."""
    with _days(lambda gather: gather.of_table(records), known, newer_than) as days:
        yield days


@contextmanager
def days_of_folder(
    folder: Path,
    known: Collection[str] = (),
    newer_than: date | None = None,
    cache: Path | None = None,
    until: date | None = None,
) -> Iterator[Days]:
    """The days of the native records below `folder`, which is not written to; see `summarise`. What was observed after
    the day `until` is passed over, as if it had not yet been measured.

    `cache` is where states lie between runs, by default the user's cache folder: with and without it, the same bytes.

    Raises:
        NotADirectoryError: there is no such folder.
        probes.reading.BadRecordsError: every bad file and record in it.
        TimeoutError: its files never stand still.
    """
    with _days(lambda gather: gather.of_folder(folder, Cache(folder, cache)), known, newer_than, until) as days:
        yield days


def summarise(records: pa.Table, known: Collection[str] = (), newer_than: date | None = None) -> Summaries:
    """Summaries of the records observed on `newer_than` (UTC midnight) or later; all of them when it is None.

    An end that is not among the `known` names, while its alias is, goes by its alias.

    A time that is not finite and above zero is no measurement; times of records with `clock_ok` false, or taken
    under load, count neither as latency nor as jitter. The counts of what was sent and received hold in any case.
    """
    with days_of_table(records, known, newer_than) as days:
        return days.summaries()


@contextmanager
def _days(
    states: Callable[[Gather], list[Path]],
    known: Collection[str],
    newer_than: date | None,
    until: date | None = None,
) -> Iterator[Days]:
    with tempfile.TemporaryDirectory(prefix="nearserve-") as scratch, duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")  # it would be drawn on the stdout of a session by hand
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute("SET temp_directory = ?", [str(Path(scratch) / "spill")])
        yield Days(Merge(states(Gather(connection, Path(scratch))), known, newer_than, until))
