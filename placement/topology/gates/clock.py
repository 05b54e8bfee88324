"""Clock trouble: days on which the clock of a source cannot be relied on.

A day is out if at least half of its records say that the clock moved (their own times never count; here those between
them go too). A day is out as well if its minimum is faster than light while most of the series' days are not: an end
that stood elsewhere would be so every day, and one such day would spoil the minimum of the window. A series of which a
tenth of the records say so is flagged.
"""

import numpy as np

from placement.topology.gates.evidence import Mask
from placement.topology.gates.series import DayFinding, Series, least
from placement.topology.gates.verdicts import spoken_ms

NAME = "clock"
BAD_DAY = 0.5
BAD_SERIES = 0.1


def judge_days(series: Series, used: Mask) -> DayFinding:
    """Days of moved clocks, and days faster than light among days that are not."""
    timed = used & (series.samples > 0)
    bad = np.where(used, series.clock_bad, 0.0)
    moved = timed & (bad >= BAD_DAY * series.records) & (bad > 0)
    faster = timed & (series.base_ms < series.least_possible_ms[:, None])
    few = np.asarray(2 * faster.sum(axis=1) <= timed.sum(axis=1))
    faster &= few[:, None]
    records = np.nansum(np.where(used, series.records, 0.0), axis=1)
    share = bad.sum(axis=1) / np.maximum(records, 1.0)
    out = moved | faster
    flagged = used & np.asarray((share >= BAD_SERIES) & ~out.any(axis=1))[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        beyond = series.least_possible_ms / least(np.where(faster, series.base_ms, np.nan))
    severity = np.fmax(share / BAD_SERIES, beyond)

    def why(at: int, first: int, last: int) -> str:
        days = slice(first, last + 1)
        if faster[at, days].any():
            lowest = float(np.nanmin(series.base_ms[at, days]))
            floor_ms = spoken_ms(float(series.least_possible_ms[at]))
            return (
                f"took {spoken_ms(lowest)}, below the {floor_ms} of light, and more on most other days: a clock moved"
            )
        count, of = int(bad[at, days].sum()), int(np.nansum(series.records[at, days]))
        return f"has {count:,} of {of:,} records that say their clock moved"

    return DayFinding(out, flagged, severity, why)
