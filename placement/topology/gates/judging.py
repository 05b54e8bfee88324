"""The gates in their order: along the days of each series before these are merged, over rows and places after it.

A gate sees what those before it left, so that every exclusion has one reason. A wrong unit or half a round trip is
faster than light as well, and so is an end in the wrong place: the more telling name comes first.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain
from typing import Final

import numpy as np
import pandas as pd

from placement.topology.endpoints import Endpoints
from placement.topology.gates import anycast, clock, frozen, geolocation, light, one_way, route_change, stale, units
from placement.topology.gates.evidence import Evidence, Finding, Mask, Positions, gather
from placement.topology.gates.series import DayFinding, Series, in_parts, spoken
from placement.topology.gates.verdicts import Verdicts

GATES: Final = (
    units.NAME, clock.NAME, frozen.NAME, route_change.NAME, one_way.NAME, anycast.NAME, geolocation.NAME, light.NAME,
    stale.NAME,
)  # fmt: skip
"""Every gate by its name, in the order in which they are shown."""

OF_DAYS: Final[Mapping[str, Callable[[Series, Mask], DayFinding]]] = {
    units.NAME: units.judge_days,
    clock.NAME: clock.judge_days,
    frozen.NAME: frozen.judge_days,
    route_change.NAME: route_change.judge_days,
}
OF_ROWS: Final[Mapping[str, Callable[[Evidence], Finding]]] = {
    units.NAME: units.judge,
    one_way.NAME: one_way.judge,
    anycast.NAME: anycast.judge,
    geolocation.NAME: geolocation.judge,
    light.NAME: light.judge,
    stale.NAME: stale.judge,
}


def judge_days(daily: Iterable[pd.DataFrame], positions: Positions, off: Collection[str] = ()) -> Verdicts:
    """What the gates say of the days of whole series; `Verdicts.excluded_days` names those that are not to be merged.

    `daily` gives frames such as `summaries.Days.summaries` hands out, rows in any order, every series whole in one of
    them. `off` names gates that are not asked.
    """
    found: list[Verdicts] = []
    if set(OF_DAYS) <= set(off):
        daily = ()  # nobody looks at them
    for series in chain.from_iterable(in_parts(part, positions) for part in daily):
        used = ~np.isnan(series.records)
        for name, judge in OF_DAYS.items():
            if name not in off:
                finding = judge(series, used)
                found.append(Verdicts(spoken(name, series, used, finding)))
                used = used & ~finding.out
    return Verdicts.together([*found, Verdicts(off=tuple(sorted(off)))])


def judge_rows(
    frame: pd.DataFrame,
    ends: Endpoints,
    regions: pd.DataFrame,
    sites: pd.DataFrame,
    stale_records: Mapping[str, int],
    off: Collection[str] = (),
) -> tuple[pd.DataFrame, Verdicts]:
    """The rows of a frame of summaries that stand, and what the gates say of the others (and of some that stand).

    `regions` and `sites` are sorted by name; `stale_records` counts those before the window by "source → target".
    """
    evidence = gather(frame, ends, regions, sites)
    found = []
    for name, judge in OF_ROWS.items():
        if name not in off:
            out, verdicts = judge(evidence)
            found.append(Verdicts(verdicts))
            evidence = evidence.without(out)
    if stale.NAME not in off:
        found.append(Verdicts(stale.before_window(stale_records, frame)))
    return evidence.frame.reset_index(drop=True), Verdicts.together([*found, Verdicts(off=tuple(sorted(off)))])


def quality(verdicts: Verdicts) -> pd.DataFrame:
    """One row for each gate, for people: see `Verdicts.by_gate`."""
    return verdicts.by_gate(GATES)
