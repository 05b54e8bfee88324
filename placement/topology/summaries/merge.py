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
import pyarrow as pa

from placement.topology.summaries.adding import Columns, Filled, Part, added_up, places
from placement.topology.summaries.figures import COUNTED, LEAST, MOST
from placement.topology.summaries.reading import day_number
from placement.topology.summaries.sketch import Float, Ints
from placement.topology.summaries.stored import Mask, StoredState, Stretch

BUCKETS_AT_ONCE = 2_000_000
"""Buckets that one part of the merge reads; a day of a series counts as ROW_WEIGHT more."""
ROW_WEIGHT = 4
SERIES = ("source", "target", "kind")
SERIES_DAYS = (*SERIES, "day")
_NO_FILLED = Filled(*(np.empty(0, np.int64) for _ in Filled._fields))


def no_series() -> Part:
    """A part of nothing."""
    figures: Columns = {name: np.empty(0, np.int32) for name in SERIES_DAYS}
    for name in (*COUNTED, *LEAST, *MOST):
        figures[name] = np.empty(0, np.float64 if name.endswith("_ms") else np.int64)
    return Part(figures, _NO_FILLED)


class _Stretch(NamedTuple):
    """Codes of sources, and of targets, from a first one to a last one, that one not included."""

    sources: tuple[int, int]
    targets: tuple[int, int]


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
        last = max((one.last_day for one in states), default=0)
        self._first_day = min((one.first_day for one in states), default=0)
        self._newest = self._first_day if newer_than is None else day_number(newer_than)
        self._last_day = last if until is None else day_number(until)
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

    def parts(self) -> Iterator[Part]:
        """Every day of every series once, sorted by source, target, kind and day; all days of a series are in one part,
        and parts are in the order of their series."""
        within = [
            one for one in self._states if one.state.first_day <= self._last_day and one.state.last_day >= self._newest
        ]
        for stretch in self._stretches(within):
            read = [part for one in within for part in self._read(one, stretch)]
            if read:
                yield added_up(_together(read), SERIES_DAYS)

    def stale(self) -> dict[str, int]:
        """Records of days before the first one, by "source → target"."""
        found = [np.empty((0, 3), np.int64)]
        for state, ends, _ in self._states:
            if state.first_day >= self._newest:
                continue
            columns = {name: column.to_numpy() for name, column in zip(*_columns(state.records()), strict=True)}
            old = columns["day"] < self._newest
            ...
        return {}
