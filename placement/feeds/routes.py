"""routes.parquet as whole numbers, sorted by everything that tells a row apart: a moment's rows lie together.

Names are put back only for the moment that is asked for.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placement.feeds.view import Class, Moment, Route
from placement.plan.folder import ROUTES
from placement.plan.reading import PlanReadError

Int = NDArray[np.int64]

TIMES = ("period", "slice", "failure")
PLACES = ("region", "model", "service", "site", "shape")


@dataclass(frozen=True)
class Rows:
    """Rows of routes, sorted: `key` tells the names of a row (PLACES), N; `site` numbers its site, N."""

    key: Int
    site: Int
    share_ppb: Int

    def where(self, kept: NDArray[np.bool_]) -> "Rows":
        """The rows that are kept."""
        return Rows(self.key[kept], self.site[kept], self.share_ppb[kept])

    def joined(self, other: "Rows") -> "Rows":
        """Both, one after the other."""
        return Rows(
            np.concatenate([self.key, other.key]),
            np.concatenate([self.site, other.site]),
            np.concatenate([self.share_ppb, other.share_ppb]),
        )


class RouteTable:
    """All rows of routes.parquet by the moment that they hold at."""

    def __init__(self, path: Path) -> None:
        try:
            table = pq.read_table(path, columns=ROUTES.names)
        except (OSError, ValueError, KeyError) as error:
            raise PlanReadError(f"{path}: {error}") from error
        coded = {name: _coded(table[name]) for name in (*TIMES, *PLACES)}
        self.names = {name: names for name, (names, _) in coded.items()}
        self.shape = tuple(max(len(self.names[name]), 1) for name in PLACES)
        key = np.ravel_multi_index(tuple(coded[name][1] for name in PLACES), self.shape).astype(np.int64)
        share = table["share_ppb"].to_numpy().astype(np.int64)
        times = np.ravel_multi_index(
            tuple(coded[name][1] for name in TIMES), tuple(max(len(self.names[name]), 1) for name in TIMES)
        )
        order = np.lexsort((key, times))
        order = order[share[order] > 0]
        self._rows = Rows(key[order], coded["site"][1][order], share[order])
        starts = np.flatnonzero(np.diff(times[order], prepend=-1))
        ends = [*starts[1:].tolist(), len(order)]
        moments = zip(*(coded[name][1][order[starts]].tolist() for name in TIMES), strict=True)
        self._spans = {
            Moment(*(self.names[name][code] for name, code in zip(TIMES, moment, strict=True))): slice(start, end)
            for moment, start, end in zip(moments, starts.tolist(), ends, strict=True)
        }

    @property
    def moments(self) -> tuple[Moment, ...]:
        """Moments that have rows of their own."""
        return tuple(sorted(self._spans))

    def rows(self, moment: Moment) -> Rows:
        """The rows that name exactly this moment."""
        span = self._spans.get(moment, slice(0, 0))
        return Rows(self._rows.key[span], self._rows.site[span], self._rows.share_ppb[span])

    def failed(self, normal: Rows, extra: Rows, down: frozenset[str]) -> Rows:
        """What flows on at survivors, and what the plan moves there: one row where both name the same place."""
        both = normal.where(~self.at(normal, down)).joined(extra)
        order = np.argsort(both.key, kind="stable")
        key, share = both.key[order], both.share_ppb[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        return Rows(key[first], both.site[order][first], np.add.reduceat(share, first) if len(first) else share)

    def touched(self, normal: Rows, extra: Rows, down: frozenset[str]) -> Int:
        """The numbers of the classes that a failure changes anything for, sorted."""
        return np.unique(np.concatenate([self.class_of(normal.where(self.at(normal, down))), self.class_of(extra)]))

    def region_of(self, classes: Int) -> Int:
        """A number for the region of classes by their numbers."""
        return np.asarray(classes // (self.shape[1] * self.shape[2]), np.int64)

    def at(self, rows: Rows, down: frozenset[str]) -> NDArray[np.bool_]:
        """Which rows end at sites that are down, N."""
        return np.isin(rows.site, [self._site[name] for name in down if name in self._site])

    @cached_property
    def _site(self) -> dict[str, int]:
        return {name: j for j, name in enumerate(self.names["site"])}

    def routes(self, rows: Rows) -> tuple[Route, ...]:
        """The rows by their names, sorted."""
        return tuple(map(Route._make, zip(*self.columns(rows), rows.share_ppb.tolist(), strict=True)))

    def columns(self, rows: Rows) -> list[list[str]]:
        """The names of the rows, a list for each of PLACES."""
        codes = np.unravel_index(rows.key, self.shape)
        return [self._texts[name][code].tolist() for name, code in zip(PLACES, codes, strict=True)]

    def class_of(self, rows: Rows) -> Int:
        """A number for the class of every row, N; in the order of the classes' names."""
        return np.asarray(rows.key // (self.shape[3] * self.shape[4]), np.int64)

    def classes(self, numbers: Int) -> list[Class]:
        """The names of classes by their numbers."""
        codes = np.unravel_index(numbers, self.shape[:3])
        columns = [self._texts[name][code].tolist() for name, code in zip(PLACES[:3], codes, strict=True)]
        return list(zip(*columns, strict=True))

    @cached_property
    def _texts(self) -> dict[str, NDArray[np.object_]]:
        return {name: np.array([*self.names[name], None], object)[:-1] for name in PLACES}


def _coded(column: Any) -> tuple[tuple[str, ...], Int]:
    """The distinct texts of a column in their order, "" for null, and the number of every row's."""
    coded = column.combine_chunks().dictionary_encode()
    found = [str(text) for text in coded.dictionary.to_pylist()]
    indices = coded.indices.fill_null(len(found)).to_numpy().astype(np.int64)
    names = tuple(sorted({*found, *([""] if coded.null_count else [])}))
    number = {name: j for j, name in enumerate(names)}
    of = np.array([number[name] for name in found] + [number.get("", 0)], np.int64)
    return names, of[indices]
