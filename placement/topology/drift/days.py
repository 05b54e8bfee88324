"""The topology as it stood at the end of a day: what a plan made that night would have known."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from placement.scenario import dictionary
from placement.topology.build import Topology, build_topology
from placement.topology.summaries import window_start
from probes.store import read_folder
from probes.table import empty_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from placement.scenario import Scenario


@dataclass(frozen=True)
class Window:
    """UTC days from `first` (None: from the beginning) to `last`, both included."""

    first: date | None
    last: date

    def __str__(self) -> str:
        if self.first == self.last:
            return f"{self.last} alone"
        return f"everything up to {self.last}" if self.first is None else f"{self.first} to {self.last}"


class NoRecordsError(ValueError):
    """A day's window holds no record."""


def window(last: date, days: float | None) -> Window:
    """The `days` that end with `last`; all days up to it when None."""
    return Window(None if days is None else min(window_start(last + timedelta(days=1), days) or last, last), last)


def topologies(scenario: "Scenario", *windows: Window) -> "Iterator[Topology]":
    """The topology of each window, from the same tables and the same folder of measurements.

    Raises:
        probes.reading.BadRecordsError: a file in the folder is no native record file; every bad record is named.
        NoRecordsError: a window holds no record, while others do; it names what days there are.
    """
    folder = scenario.folder / "measurements"
    records = read_folder(folder) if folder.is_dir() else empty_table()
    tables = {name: scenario.table(name) for name in dictionary.tables()}
    _not_empty(records, windows)
    for one in windows:
        yield build_topology(_until(records, one), tables, one.first)


def _until(records: Any, one: Window) -> Any:
    return records.filter(pc.less(records["observed_at"], _midnight(one.last + timedelta(days=1))))


def _not_empty(records: Any, windows: tuple[Window, ...]) -> None:
    days = pc.unique(pc.cast(pc.floor_temporal(records["observed_at"], unit="day"), pa.date32())).to_pylist()
    there = f"records are from {min(days)} to {max(days)}" if days else "there are no records at all"
    empty = [one for one in windows if not any((one.first or date.min) <= day <= one.last for day in days)]
    if empty:
        raise NoRecordsError("\n".join(f"no measurement is in the window, {one}: {there}" for one in empty))


def _midnight(day: date) -> pa.Scalar:
    return pa.scalar(datetime(day.year, day.month, day.day, tzinfo=UTC), pa.timestamp("ns", tz="UTC"))
