"""The topology as it stood at the end of a day: what a plan made that night would have known."""

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


def topology_of(scenario: "Scenario", window: Window, *others: Window) -> Topology:
    """The topology of a window, from the scenario's tables and its measurements. `others` are asked for as well, and
    an error names those of them that are empty, too.

    Raises:
        probes.reading.BadRecordsError: a file in the folder is no native record file; every bad record is named.
        NoRecordsError: the window holds no record, or none that a gate lets stand; it names what days there are.
    """
    found = build_pairs(scenario, window)
    if not len(found.summaries):
        empty = _without_records(scenario, (window, *others))
        raise NoRecordsError(empty or f"no measurement of the window stands: {window}")
    return found


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
