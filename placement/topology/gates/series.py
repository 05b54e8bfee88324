"""Days of series as matrices, for the gates that look along time; and what they find, as spans of days."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.topology.gates.evidence import Mask, Positions
from placement.topology.gates.light import least_possible_ms
from placement.topology.gates.verdicts import EXCLUDE, FLAG, SERIES, verdict_rows
from placement.topology.pairs import Float

Ints = NDArray[np.int64]

CELLS_AT_ONCE = 2_000_000

Why = Callable[[int, int, int], str]
"""The reason in words, of a series (its row) and the first and last column of a span."""


@dataclass(frozen=True)
class Series:
    """S series of one row each in `keys` (source, target, method, family), over D days from `first_day` on.

    The arrays are S × D, NaN on days without a record. `least_possible_ms` is what light allows, NaN where it is not
    known where the ends stand.
    """

    keys: pd.DataFrame
    first_day: int
    records: Float
    samples: Float
    distinct: Float
    base_ms: Float
    p50_ms: Float
    p95_ms: Float
    avg_ms: Float
    clock_bad: Float
    least_possible_ms: Float


class DayFinding(NamedTuple):
    """What one gate says of days: which are out, which are flagged, how bad each series is, and why."""

    out: Mask
    flagged: Mask
    severity: Float
    why: Why


def in_parts(daily: pd.DataFrame, positions: Positions) -> Iterator[Series]:
    """The series of a frame of days, whole, some at a time; columns as in `summaries`, rows in any order."""
    if not len(daily):
        return
    codes = [pd.factorize(daily[name], sort=True, use_na_sentinel=False)[0] for name in SERIES]
    number = np.zeros(len(daily), np.int64)
    for code in codes:
        number = np.unique(number * (int(code.max()) + 1) + code, return_inverse=True)[1]
    day = daily["day"].to_numpy(np.int64)
    order = np.lexsort((day, number))
    number, day = number[order], day[order]
    days = int(day.max() - day.min()) + 1
    first = np.flatnonzero(np.diff(number, prepend=-1))
    keys = daily.iloc[order[first]][list(SERIES)].reset_index(drop=True)
    at_once = max(1, CELLS_AT_ONCE // days)
    bounds = np.append(first, len(number))
    for start in range(0, len(first), at_once):
        stop = min(start + at_once, len(first))
        rows = slice(int(bounds[start]), int(bounds[stop]))
        part = daily.iloc[order[rows]]
        yield _series(part, number[rows] - start, day[rows], int(day.min()), days, keys.iloc[start:stop], positions)


def _series(
    part: pd.DataFrame, row: Ints, day: Ints, first_day: int, days: int, keys: pd.DataFrame, positions: Positions
) -> Series:
    def matrix(name: str) -> Float:
        found = np.full((len(keys), days), np.nan)
        found[row, day - first_day] = part[name].to_numpy(np.float64, na_value=np.nan)
        return found

    km = positions.km(positions.codes(keys["source"]), positions.codes(keys["target"]))
    return Series(
        keys=keys.reset_index(drop=True),
        first_day=first_day,
        records=matrix("records"),
        samples=matrix("samples"),
        distinct=matrix("distinct"),
        base_ms=matrix("rtt_base_ms"),
        p50_ms=matrix("rtt_p50_ms"),
        p95_ms=matrix("rtt_p95_ms"),
        avg_ms=matrix("rtt_avg_ms"),
        clock_bad=matrix("clock_bad"),
        least_possible_ms=least_possible_ms(km),
    )


def least(values: Float) -> Float:
    """The least of each row, NaN where it has none."""
    return np.asarray(np.fmin.reduce(values, axis=1, initial=np.nan), np.float64)


def most(values: Float) -> Float:
    """The most of each row, NaN where it has none."""
    return np.asarray(np.fmax.reduce(values, axis=1, initial=np.nan), np.float64)


def middle(values: Float) -> float:
    """The median of what is known; NaN of nothing."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def spoken(gate: str, series: Series, used: Mask, found: DayFinding) -> pd.DataFrame:
    """Verdicts, one for each stretch of days that are out (or flagged) without a day between them that is not."""
    rows: list[dict[str, object]] = []
    for action, which in ((EXCLUDE, found.out), (FLAG, found.flagged & ~found.out)):
        for at, first, last in zip(*_spans(used, which), strict=True):
            rows.append(
                {
                    **series.keys.iloc[at].to_dict(),
                    "first_day": series.first_day + int(first),
                    "last_day": series.first_day + int(last),
                    "records": int(np.nansum(series.records[at, first : last + 1])),
                    "action": action,
                    "severity": float(found.severity[at]),
                    "why": _name(series, int(at)) + found.why(int(at), int(first), int(last)),
                }
            )
    return verdict_rows(gate, rows)


def _name(series: Series, at: int) -> str:
    source, target, method = (series.keys[name].iloc[at] for name in ("source", "target", "method"))
    return f"{source} to {target} by {method} "


def _spans(used: Mask, which: Mask) -> tuple[Ints, Ints, Ints]:
    """Row, first and last column of every run of marked cells among the used ones of a row."""
    some = np.flatnonzero((which & used).any(axis=1))
    row, column = np.nonzero(used[some])
    marked = which[some][row, column]
    starts = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(marked.astype(np.int8), prepend=0) != 0))
    ends = np.append(starts[1:], len(row)) - 1
    wanted = marked[starts] if len(starts) else np.empty(0, np.bool_)
    starts, ends = starts[wanted], ends[wanted]
    return some[row[starts]].astype(np.int64), column[starts].astype(np.int64), column[ends].astype(np.int64)
