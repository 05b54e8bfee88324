"""Rows of states added up: counts and buckets sum, extremes stay, in whole numbers and so in any order."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from placement.topology.summaries.figures import COUNTED, LEAST, MOST
from placement.topology.summaries.sketch import Ints
from placement.topology.summaries.stored import Columns, Mask

MOST_SUM = 2**62
"""Sums stop here: values beyond all measure must not end the summary of the others."""
_BUCKET_BITS, _ROW_BITS = 12, 40


class Filled(NamedTuple):
    """Filled buckets; `place` is that of figure, row and bucket in their order."""

    place: Ints
    counts: Ints
    excess: Ints

    def of_figure(self, figure: int) -> "Filled":
        """Those of one figure, of buckets sorted by `place`."""
        first, last = np.searchsorted(self.place, np.array([figure, figure + 1]) << _ROW_BITS + _BUCKET_BITS)
        return Filled(*(one[first:last] for one in self))

    @property
    def row(self) -> Ints:
        """The row that each belongs to."""
        return np.asarray(self.place >> _BUCKET_BITS & 2**_ROW_BITS - 1)

    @property
    def bucket(self) -> Ints:
        """The number of each (`sketch`)."""
        return np.asarray(self.place & 2**_BUCKET_BITS - 1)


class Part(NamedTuple):
    """Some whole series: `figures` a row each (source, target, kind, day, and what `state` says), and their buckets."""

    figures: Columns
    filled: Filled


def numbered(days: Columns, sketch: Columns, kept: Mask) -> Part:
    """Rows of `days.parquet` that are kept, with their buckets of `sketch.parquet`."""
    filled = days.pop("buckets")
    if not kept.all():
        of_kept = np.repeat(kept, filled)
        sketch = {name: one[of_kept] for name, one in sketch.items()}
        days = {name: one[kept] for name, one in days.items()}
        filled = filled[kept]
    row = np.repeat(np.arange(len(filled)), filled)
    place = (sketch["figure"].astype(np.int64) << _ROW_BITS | row) << _BUCKET_BITS | sketch["bucket"]
    return Part(days, Filled(place, sketch["count"], sketch["excess"]))


def side_by_side(parts: list[Part]) -> Part:
    """The rows of all one after the other; the list is empty then."""
    rows = np.cumsum([0, *(len(one.figures["day"]) for one in parts)])
    for one, before in zip(parts, rows, strict=False):
        one.filled.place[:] += int(before) << _BUCKET_BITS
    filled = Filled(*(np.concatenate(column) for column in zip(*(one.filled for one in parts), strict=True)))
    figures = {name: np.concatenate([one.figures[name] for one in parts]) for name in parts[0].figures}
    parts.clear()
    return Part(figures, filled)


def added_up(part: Part, keys: Sequence[str], kept: Mask | None = None) -> Part:
    """The `kept` rows (None: all) with one row for each combination of keys, sorted by them; so are the buckets."""
    figures, filled = part
    rows = np.arange(len(figures["day"])) if kept is None else np.flatnonzero(kept)
    order = rows[np.lexsort([figures[name][rows] for name in reversed(keys)])]
    new = np.zeros(len(order), np.bool_)
    new[:1] = True
    for name in keys:
        new[1:] |= np.diff(figures[name][order]) != 0
    first = np.flatnonzero(new)
    found = {name: figures[name][order[first]] for name in ("source", "target", "kind", "day")}
    for names, add in ((COUNTED, _sums), (LEAST, np.fmin.reduceat), (MOST, np.fmax.reduceat)):
        found |= {name: add(figures[name][order], first) if len(first) else figures[name][:0] for name in names}
    number = np.full(len(figures["day"]), -1)
    number[order] = np.cumsum(new) - 1
    return Part(found, _merged(filled, number))


def _merged(filled: Filled, number: Ints) -> Filled:
    """The buckets of rows by their new numbers, those of rows below 0 left out."""
    place, counts, excess = filled
    row = number[filled.row]
    if len(number) and number.min() < 0:
        place, counts, excess, row = (one[row >= 0] for one in (place, counts, excess, row))
    place = place & ~((2**_ROW_BITS - 1) << _BUCKET_BITS) | row << _BUCKET_BITS
    order = np.argsort(place)
    place = place[order]
    first = np.flatnonzero(np.diff(place, prepend=-1))
    return Filled(place[first], _sums(counts[order], first), _sums(excess[order], first))


def _sums(values: Ints, first: Ints) -> Ints:
    """Sums from each first place to the next, up to ± MOST_SUM."""
    if not len(first):
        return values[:0]
    sums = np.asarray(np.add.reduceat(values, first))
    if max(int(values.max()), -int(values.min())) > MOST_SUM // len(values):  # else no sum comes near
        about = np.add.reduceat(values.astype(np.float64), first)
        sums = np.where(np.abs(about) > MOST_SUM, np.sign(about).astype(np.int64) * MOST_SUM, sums)
    return sums
