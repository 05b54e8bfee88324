"""Unit slips: microseconds or seconds that were taken for milliseconds.

Rows of one pair differ by methods and ways round, but not by 500 to 2,000 times. Where they fall into a low and a high
group that far apart, one of them is out: the low one if light forbids it, the high one if it is slower than any path
(2,500 ms at best; two hops over satellites take 1,200), else the one with fewer rows, both if they are equal.

A method, or what one source measured by it, is out as a whole if eight rows or more of it over 300 km and farther are
all told 1,000 times off what distance makes one expect, and times 1,000 (or a thousandth of them) they would be right:
a median less than three times off, 95 % not faster than light, and growing with distance: a correlation of 0.5 of the
logarithms. (The times of a proxy that answers everything in 0.1 ms do not grow.)

A row alone above 2,500 ms is flagged, not excluded: a path that is really that bad must not be planned with what a
model says of its neighbours.

Within a series, days that lie 500 to 2,000 times above or below the others are out: see `judge_days`.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.topology.aggregate import LAST_MILE_MS, WORLD_INFLATION
from placement.topology.gates.evidence import Evidence, Finding, Mask
from placement.topology.gates.light import impossible_km, least_possible_ms
from placement.topology.gates.series import DayFinding, Series, least, middle, most
from placement.topology.gates.verdicts import EXCLUDE, FLAG, spoken_ms, verdict_rows
from placement.topology.pairs import Float

Ints = NDArray[np.int64]

NAME = "units"
LEAST_FACTOR, MOST_FACTOR = 500.0, 2000.0
SLOWEST_MS = 2500.0
LEAST_ROWS = 8
FAR_KM = 300.0
NEAR_EXPECTED = 3.0
NOT_FASTER_THAN_LIGHT = 0.95
LEAST_CORRELATION = 0.5


def judge(evidence: Evidence) -> Finding:
    """Excludes rows in a wrong unit; flags what is too slow to be true where nothing else tells."""
    groups, told = _groups(evidence)
    beside = evidence.without(groups)
    pairs = np.zeros(len(groups), np.bool_)
    pairs[np.flatnonzero(~groups)], of_pairs = _pairs(beside)
    out = groups | pairs
    slow = ~out & (evidence.least_ms > SLOWEST_MS)
    return Finding(out, pd.concat([told, of_pairs, _slow(evidence, slow)], ignore_index=True))


def judge_days(series: Series, used: Mask) -> DayFinding:
    """Days whose minimum lies 500 to 2,000 times off the series' other level; of two levels the one with fewer days is
    out, both if they are equal."""
    base = np.where(used, series.base_ms, np.nan)
    high = base > np.sqrt(least(base) * most(base))[:, None]
    low = ~high & ~np.isnan(base)
    gap = least(np.where(high, base, np.nan)) / most(np.where(low, base, np.nan))
    split = (gap >= LEAST_FACTOR) & (gap <= MOST_FACTOR)
    fewer_high, fewer_low = high.sum(1) <= low.sum(1), low.sum(1) <= high.sum(1)
    out = split[:, None] & ((high & fewer_high[:, None]) | (low & fewer_low[:, None]))

    def why(at: int, first: int, last: int) -> str:
        here, rest = middle(base[at, first : last + 1]), middle(base[at][~out[at]])
        other = spoken_ms(rest) if np.isfinite(rest) else "as many days a thousand times off"
        return f"took {spoken_ms(here)} where its other days say {other}: microseconds or seconds for milliseconds?"

    return DayFinding(out & used, np.zeros_like(out), np.where(split, gap / LEAST_FACTOR, 0.0), why)


def _groups(evidence: Evidence) -> tuple[Mask, pd.DataFrame]:
    """Rows of methods, and of methods at one source, that are off by 1,000 as a whole."""
    out = np.zeros(len(evidence.frame), np.bool_)
    ends = len(evidence.names)
    rows = []
    for alone, group in ((False, evidence.method), (True, evidence.method * ends + evidence.source_name)):
        for which, factor in _slipped(evidence, group, out):
            first = int(which[0])
            source = str(evidence.names[evidence.source_name[first]]) if alone else None
            method = str(evidence.methods[evidence.method[first]])
            rows.append(
                {
                    "source": source,
                    "method": method,
                    "series": len(which),
                    "records": evidence.records(which),
                    "action": EXCLUDE,
                    "severity": float(len(which)),
                    "why": _group_why(evidence, which, factor, method, source),
                }
            )
            out[which] = True
    return out, verdict_rows(NAME, rows)


def _slipped(evidence: Evidence, group: Ints, out: Mask) -> Iterator[tuple[Ints, float]]:
    """The rows of each group that is off as a whole, and the factor that would put it right."""
    far = (evidence.km >= FAR_KM) & ~np.isnan(evidence.least_ms) & ~out
    expected_ms = expected(evidence.km)
    off = np.log10(evidence.least_ms / expected_ms)
    suspect = far & (np.abs(off) > 1.5)
    if not suspect.any():
        return
    possible_ms = least_possible_ms(evidence.km)
    rows = np.flatnonzero(~out & np.isin(group, np.unique(group[suspect])))
    rows = rows[np.argsort(group[rows], kind="stable")]
    for own in np.split(rows, np.flatnonzero(np.diff(group[rows])) + 1):
        judged = own[far[own]]
        if len(judged) < LEAST_ROWS or not _same_side(off[judged]):
            continue
        for factor in (1000.0, 0.001):
            right = evidence.least_ms[judged] * factor
            near = abs(float(np.median(off[judged])) + np.log10(factor)) < np.log10(NEAR_EXPECTED)
            possible = bool((right >= possible_ms[judged]).mean() >= NOT_FASTER_THAN_LIGHT)
            if near and possible and _grows(right, expected_ms[judged]):
                yield own, factor


def _grows(rtt_ms: Float, expected_ms: Float) -> bool:
    """Whether times grow with what distance makes one expect."""
    one, other = np.log(rtt_ms), np.log(expected_ms)
    one, other = one - one.mean(), other - other.mean()
    spread = np.sqrt((one @ one) * (other @ other))
    return bool(spread > 0 and one @ other >= LEAST_CORRELATION * spread)


def _same_side(off: Float) -> bool:
    """95 % are off the same way, by thirty times at least."""
    return bool(max((off > 1.5).mean(), (off < -1.5).mean()) >= NOT_FASTER_THAN_LIGHT)


def expected(km: Float) -> Float:
    """What distance alone makes one expect, ms: the world's inflation and two last miles (`docs/topology.md`)."""
    return np.asarray(2 * LAST_MILE_MS + WORLD_INFLATION * km / 100, np.float64)


def _group_why(evidence: Evidence, which: Ints, factor: float, method: str, source: str | None) -> str:
    seen = float(np.nanmedian(evidence.least_ms[which]))
    wanted = float(np.nanmedian(expected(evidence.km[which])))
    unit = "seconds" if factor > 1 else "microseconds"
    whose = f"what {source} measured by {method}" if source else f"what {method} measured"
    return (
        f"{whose} is {spoken_ms(seen)} in the middle where distance makes one expect {spoken_ms(wanted)}: "
        f"{unit} for milliseconds"
    )


def _pairs(evidence: Evidence) -> tuple[Mask, pd.DataFrame]:
    """Rows that lie 500 to 2,000 times off the other rows of their pair."""
    out = np.zeros(len(evidence.frame), np.bool_)
    known = np.flatnonzero(~np.isnan(evidence.least_ms))
    pair = evidence.pairs()[known]
    rtt_ms = evidence.least_ms[known]
    lowest, highest = extremes(pair, rtt_ms)
    apart = highest / lowest >= LEAST_FACTOR
    if not apart.any():
        return out, verdict_rows(NAME, [])
    known, pair, rtt_ms, lowest, highest = known[apart], pair[apart], rtt_ms[apart], lowest[apart], highest[apart]
    high = rtt_ms > np.sqrt(lowest * highest)
    most_low = extremes(pair, np.where(high, lowest, rtt_ms))[1]
    least_high = extremes(pair, np.where(high, rtt_ms, highest))[0]
    split = (least_high / most_low >= LEAST_FACTOR) & (least_high / most_low <= MOST_FACTOR)
    low_wrong = impossible_km(most_low, evidence.km[known]) > 0
    high_wrong = least_high > SLOWEST_MS
    more_high = np.bincount(pair, np.where(high, 1.0, -1.0))[pair]
    unclear = ~low_wrong & ~high_wrong
    low_wrong |= unclear & (more_high >= 0)
    high_wrong |= unclear & (more_high <= 0)
    wrong = split & np.where(high, high_wrong, low_wrong)
    out[known[wrong]] = True
    rows = evidence.described(out)
    for row, at in zip(rows, np.flatnonzero(wrong), strict=True):
        other = least_high[at] if not high[at] else most_low[at]
        row["action"], row["severity"] = EXCLUDE, float(max(rtt_ms[at] / other, other / rtt_ms[at]) / LEAST_FACTOR)
        row["why"] = (
            f"{row['source']} to {row['target']} by {row['method']} took {spoken_ms(rtt_ms[at])} where others say "
            f"{spoken_ms(other)} of the same two: microseconds or seconds for milliseconds?"
        )
    return out, verdict_rows(NAME, rows)


def extremes(group: Ints, value: Float) -> tuple[Float, Float]:
    """For each row the least and the most of its group."""
    count = int(group.max(initial=-1)) + 1
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(lowest, group, value)
    np.maximum.at(highest, group, value)
    return lowest[group], highest[group]


def _slow(evidence: Evidence, which: Mask) -> pd.DataFrame:
    rows = evidence.described(which)
    for row, at in zip(rows, np.flatnonzero(which), strict=True):
        row["action"], row["severity"] = FLAG, float(evidence.least_ms[at] / SLOWEST_MS)
        row["why"] = (
            f"{row['source']} to {row['target']} by {row['method']} took {spoken_ms(float(evidence.least_ms[at]))} at "
            "best, longer than any path: another unit, or nearly cut off"
        )
    return verdict_rows(NAME, rows)
