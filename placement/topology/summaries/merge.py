"""States to figures: their days added up, under the names that the scenario knows.

States number their series in the order of the sources, so that a part, some sources, is a stretch of each state's
files: it is read, sorted and added up, and memory holds one part.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from placement.topology.summaries.adding import Filled, Part, added_up, numbered, side_by_side
from placement.topology.summaries.figures import COUNTED, LEAST, MOST
from placement.topology.summaries.reading import day_number
from placement.topology.summaries.sketch import Ints
from placement.topology.summaries.stored import Columns, Mask, StoredState

BUCKETS_AT_ONCE = 1_500_000
"""Buckets that one part of the merge reads; a day of a series counts as ROW_WEIGHT more."""
ROW_WEIGHT = 4
SERIES = ("source", "target", "kind")
SERIES_DAYS = (*SERIES, "day")


class _Range(NamedTuple):
    """Codes of sources and of targets, each from a first one to a last one, that one not included."""

    first_source: int
    last_source: int
    first_target: int
    last_target: int


class _Coded(NamedTuple):
    """A state, and the code of each of its ends and kinds."""

    state: StoredState
    ends: Ints
    kinds: Ints


class Merge:
    """States side by side; `names` and `kinds` (method, family) are sorted, and codes are places in them. Days before
    `newer_than` are left out, and those after `until` are not there at all."""

    def __init__(
        self, folders: Sequence[Path], known: Collection[str], newer_than: date | None, until: date | None = None
    ) -> None:
        states = [StoredState(one) for one in folders]
        self._newest = min((one.first_day for one in states), default=0)
        if newer_than is not None:
            self._newest = day_number(newer_than)
        self._latest = max((one.last_day for one in states), default=0) if until is None else day_number(until)
        known = frozenset(known)
        self.names = sorted({name for one in states for name in _called(one, known)})
        self.kinds = sorted({kind for one in states for kind in one.kinds()}, key=lambda one: (one[0], one[1] or 99))
        name_code = {name: i for i, name in enumerate(self.names)}
        kind_code = {kind: i for i, kind in enumerate(self.kinds)}
        self._states = [
            _Coded(
                one,
                np.array([name_code[name] for name in _called(one, known)], np.int64),
                np.array([kind_code[kind] for kind in one.kinds()], np.int64),
            )
            for one in states
        ]

    def parts(self, keys: Sequence[str] = SERIES) -> Iterator[Part]:
        """Every series (by SERIES_DAYS: every day of every series) once, sorted; all days of a series are in one part,
        and parts are in the order of their series."""
        within = [one for one in self._states if self._newest <= one.state.last_day]
        within = [one for one in within if one.state.first_day <= self._latest]
        for codes in _ranges(within, len(self.names)):
            read = [part for one in within for part in self._read(one, codes)]
            if read:
                yield added_up(side_by_side(read), keys)

    def stale(self) -> dict[str, int]:
        """Records of days before the first one, by "source → target"."""
        found = []
        for state, ends, _ in self._states:
            if state.first_day < self._newest:
                columns = state.records()
                old = (columns["day"] < self._newest) & (columns["day"] <= self._latest)
                pair = ends[columns["source"][old]] * len(self.names) + ends[columns["target"][old]]
                found.append(pd.DataFrame({"pair": pair, "records": columns["records"][old]}))
        if not found:
            return {}
        records = pd.concat(found).groupby("pair")["records"].sum()
        pairs = (divmod(int(pair), len(self.names)) for pair in records.index)
        return {f"{self.names[a]} → {self.names[b]}": int(n) for (a, b), n in zip(pairs, records, strict=True)}

    def marked(self, figures: Columns, given: pd.DataFrame) -> Mask:
        """Which days of series are among the `given` ones: source, target, method, family, day (since 1970 UTC)."""
        found = np.zeros(len(figures["day"]), np.bool_)
        names = pd.Index(self.names, dtype=object)
        kinds = pd.MultiIndex.from_tuples([(method, float(family or 0)) for method, family in self.kinds])
        family = given["family"].astype("float64").fillna(0.0)
        codes = [
            names.get_indexer(pd.Index(given["source"].astype(object))),
            names.get_indexer(pd.Index(given["target"].astype(object))),
            kinds.get_indexer(pd.MultiIndex.from_arrays([given["method"].astype(object), family])),
            given["day"].to_numpy(),
        ]
        some = np.flatnonzero(np.isin(figures["source"], codes[0]) & np.isin(figures["target"], codes[1]))
        if len(some):
            rows = pd.MultiIndex.from_arrays([figures[name][some] for name in SERIES_DAYS])
            found[some] = rows.isin(pd.MultiIndex.from_arrays(codes))
        return found

    def _read(self, coded: _Coded, codes: _Range) -> Iterator[Part]:
        """What a state has of these series, on the days that count."""
        wanted = (coded.ends >= codes.first_source) & (coded.ends < codes.last_source)
        for days, sketch in coded.state.stretches(wanted):
            days["source"], days["target"] = coded.ends[days["source"]], coded.ends[days["target"]]
            days["kind"] = coded.kinds[days["kind"]]
            kept = (days["day"] >= self._newest) & (days["day"] <= self._latest)
            kept &= (days["target"] >= codes.first_target) & (days["target"] < codes.last_target)
            yield numbered(days, sketch, kept)


def no_series() -> Part:
    """A part of nothing."""
    figures: Columns = {name: np.empty(0, np.int64) for name in (*SERIES_DAYS, *COUNTED, *LEAST, *MOST)}
    figures |= {name: one.astype(np.float64) for name, one in figures.items() if name.endswith("_ms")}
    return Part(figures, Filled(*(np.empty(0, np.int64) for _ in Filled._fields)))


def _ranges(states: Sequence[_Coded], names: int) -> Iterator[_Range]:
    """All codes, in ranges of about BUCKETS_AT_ONCE; sources with more by themselves are parted by their targets."""
    weight = np.zeros(names)
    for state, ends, _ in states:
        np.add.at(weight, ends, state.buckets + ROW_WEIGHT * state.rows)
    part = np.cumsum(weight) // BUCKETS_AT_ONCE
    for first, last in pairwise([0, *(np.flatnonzero(np.diff(part)) + 1), names]):
        pieces = int(weight[first:last].sum() // (2 * BUCKETS_AT_ONCE)) + 1
        for begin, end in pairwise(_target_bounds(states, first, last, names, pieces)):
            yield _Range(first, last, begin, end)


def _target_bounds(states: Sequence[_Coded], first: int, last: int, names: int, pieces: int) -> list[int]:
    """Bounds of codes that part the days of these sources by their targets, into so many about equal pieces."""
    if pieces == 1:
        return [0, names]
    rows = np.zeros(names, np.int64)
    for state, ends, _ in states:
        rows += np.bincount(ends[state.targets((ends >= first) & (ends < last))], minlength=names)
    part = np.cumsum(rows) * pieces // max(int(rows.sum()), 1)
    return [0, *(np.flatnonzero(np.diff(part)) + 1), names]


def _called(state: StoredState, known: frozenset[str]) -> list[str]:
    """What each end goes by: its name, or its alias where only that is known."""
    return [
        alias if alias is not None and name not in known and alias in known else name for name, alias in state.ends()
    ]
