"""Frozen series: the same figures again and again, as of an exporter that repeats its last value.

A run is a stretch of measured days whose minimum, median, p95 and average all equal those of the day before, to the
last digit. It is out if it lasts five days or more, or three on each of which ten samples or more were all the same,
and if its figures are finer than a tenth of a millisecond. Coarser ones may well repeat on a quiet path, as ping prints
whole milliseconds on some systems: fourteen days of these are flagged.

The first day of a run was measured once and stays, unless the series begins with it: then nobody knows when it froze.
"""

import numpy as np

from placement.topology.gates.evidence import Mask
from placement.topology.gates.series import DayFinding, Series
from placement.topology.gates.verdicts import spoken_ms
from placement.topology.pairs import Float

NAME = "frozen"
LEAST_DAYS = 5
LEAST_STILL_DAYS = 3
STILL_SAMPLES = 10
COARSE_DAYS = 14
COARSE_MS = 0.1
ROUNDING_MS = 1e-5


def judge_days(series: Series, used: Mask) -> DayFinding:
    """Days that repeat the days before."""
    figures = np.stack([series.base_ms, series.p50_ms, series.p95_ms, series.avg_ms])
    still = (series.samples >= STILL_SAMPLES) & (series.distinct <= 1)
    fine = used & (np.abs(figures - np.rint(figures / COARSE_MS) * COARSE_MS) > ROUNDING_MS).any(axis=0)
    length, still_length, first = _runs(figures, still, used & ~np.isnan(figures).all(axis=0))
    frozen = fine & ((length >= LEAST_DAYS) | (still_length >= LEAST_STILL_DAYS))
    out = frozen & ~first
    flagged = used & ~fine & (length >= COARSE_DAYS)
    severity = np.where(frozen | flagged, length, 0).max(axis=1) / LEAST_DAYS

    def why(at: int, first_column: int, _: int) -> str:
        known = figures[:, at, first_column]
        value = spoken_ms(float(known[~np.isnan(known)][0]))
        return f"says {value} and nothing else on {int(length[at, first_column])} measured days"

    return DayFinding(out, flagged, severity, why)


def _runs(figures: Float, still: Mask, used: Mask) -> tuple[Float, Float, Mask]:
    """For every day the days of its run, those of them that were still, and whether it is a first day that stays."""
    series, days = used.shape
    length, still_length = np.zeros((series, days)), np.zeros((series, days))
    stays, repeats = np.zeros((series, days), np.bool_), np.zeros((series, days), np.bool_)
    before = np.full((len(figures), series), np.nan)
    run, still_run, seen = np.zeros(series), np.zeros(series), np.zeros(series, np.bool_)
    for day in range(days):
        here, now = used[:, day], figures[:, :, day]
        same = here & seen & ((now == before) | (np.isnan(now) & np.isnan(before))).all(axis=0)
        run = np.where(here, np.where(same, run + 1, 1), run)
        still_run = np.where(here, np.where(same, still_run, 0) + still[:, day], still_run)
        stays[:, day], repeats[:, day] = here & ~same & seen, same
        length[:, day], still_length[:, day] = run, still_run
        before = np.where(here, now, before)
        seen |= here
    # The last day of a run knows its length; from there it goes back to the others.
    for day in range(days - 2, -1, -1):
        take = repeats[:, day + 1] | ~used[:, day + 1]
        length[:, day] = np.where(take, length[:, day + 1], length[:, day])
        still_length[:, day] = np.where(take, still_length[:, day + 1], still_length[:, day])
    return length, still_length, stays
