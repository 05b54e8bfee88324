"""Faster than light: a time that the distance between both ends forbids.

    rtt · 102.1 km/ms + 100 km < km(source, target)    impossible

Light in glass of index 1.468 runs 299.792 / 1.468 / 2 = 102.1 km in a millisecond of a round trip (the floor of the
intervals, 100 km, is that rounded down; here a doubt counts for the record). Either end may stand 50 km from where its
place does: campuses do from the city that names them.

Countries and networks are no places. Where even the nearest of their cities are too far apart for their minimum, the
figure is flagged: hosts that stand elsewhere are among those counted. The country model does not use such minima.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.topology.gates.evidence import Evidence, Finding
from placement.topology.gates.verdicts import EXCLUDE, FLAG, spoken_ms, verdict_rows
from placement.topology.pairs import Float

NAME = "light"
GLASS_KM_PER_MS = 299.792 / 1.468 / 2
PLACE_KM = 50.0
"""How far an end may stand from its place."""


def impossible_km(rtt_ms: Float, km: Float) -> Float:
    """By how many km light misses; above zero where the time is impossible, NaN where either is not known."""
    return np.asarray(km - 2 * PLACE_KM - GLASS_KM_PER_MS * rtt_ms, np.float64)


def least_possible_ms(km: Float) -> Float:
    """The time below which a record is impossible; zero or less over short distances."""
    return np.asarray((km - 2 * PLACE_KM) / GLASS_KM_PER_MS, np.float64)


def judge(evidence: Evidence) -> Finding:
    """Excludes rows whose least time is impossible between their two places; flags those of countries and networks."""
    beyond = impossible_km(evidence.least_ms, evidence.km)
    out = beyond > 0
    coarse = impossible_km(evidence.least_ms, evidence.coarse_km) > 0
    excluded = _verdicts(evidence, out, evidence.km, EXCLUDE, "apart")
    flagged = _verdicts(evidence, coarse, evidence.coarse_km, FLAG, "between their nearest cities")
    return Finding(out, pd.concat([excluded, flagged], ignore_index=True) if coarse.any() else excluded)


def _verdicts(evidence: Evidence, which: NDArray[np.bool_], km: Float, action: str, apart: str) -> pd.DataFrame:
    rows = evidence.described(which)
    for row, at in zip(rows, np.flatnonzero(which), strict=True):
        least_ms, needed_ms = float(evidence.least_ms[at]), float(km[at]) / GLASS_KM_PER_MS
        row["action"], row["severity"] = action, needed_ms / least_ms
        row["why"] = (
            f"{row['source']} to {row['target']} took {spoken_ms(least_ms)}, but they are {km[at]:,.0f} km {apart}, "
            f"for which light in fibre needs {spoken_ms(needed_ms)}"
        )
    return verdict_rows(NAME, rows)
