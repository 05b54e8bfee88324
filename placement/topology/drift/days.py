"""The topology as it stood at the end of a day: what a plan made that night would have known."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from placement.topology.build import Topology, build_pairs
from placement.topology.summaries import Window
from probes.store import read_folder
from probes.table import empty_table

if TYPE_CHECKING:
    from placement.scenario import Scenario


class NoRecordsError(ValueError):
    """A day's window holds no record."""


def topologies(scenario: "Scenario", *windows: Window) -> Iterator[Topology]:
    """The topology of each window, from the same tables and the same folder of measurements.

    Raises:
        probes.reading.BadRecordsError: a file in the folder is no native record file; every bad record is named.
        NoRecordsError: a window holds no record, or none that a quality gate lets stand; it names what days there are.
    """
    for window in windows:
        found = build_pairs(scenario, window)
        if not len(found.summaries):
            raise NoRecordsError(
                _without_records(scenario, windows) or f"no measurement of the window stands: {window}"
            )
        yield found


def _without_records(scenario: "Scenario", windows: tuple[Window, ...]) -> str:
    """A line for each window without any record."""
    folder = scenario.folder / "measurements"
    records = read_folder(folder) if folder.is_dir() else empty_table()
    days = pc.unique(pc.cast(pc.floor_temporal(records["observed_at"], unit="day"), pa.date32())).to_pylist()
    there = f"records are from {min(days)} to {max(days)}" if days else "there are no records at all"
    empty = [one for one in windows if not any(_inside(one, day) for day in days)]
    return "\n".join(f"no measurement is in the window, {one}: {there}" for one in empty)


def _inside(window: Window, day: date) -> bool:
    return (window.first or date.min) <= day <= (window.last or date.max)
