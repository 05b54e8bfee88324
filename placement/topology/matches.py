"""Which summary speaks of which pair itself: through ends that are no countries and no networks, either way round."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.topology.endpoints import Endpoints
from placement.topology.pairs import Float

Ints = NDArray[np.int64]
Int32 = NDArray[np.int32]


@dataclass(frozen=True)
class Matches:
    """M matches, in the order of the rows: `row` into the summaries, region and site indices, the ends' weight.

    `forward` is true where the summary's source is the region's end.
    """

    row: Int32
    region: Int32
    site: Int32
    weight: Float
    forward: NDArray[np.bool_]

    def at(self, which: Ints) -> "Matches":
        """Some of them."""
        return Matches(self.row[which], self.region[which], self.site[which], self.weight[which], self.forward[which])


def match(summaries: pd.DataFrame, ends: Endpoints, near: str = "region", far: str = "site") -> Matches:
    """Pairs of which a summary speaks itself; sorted by row, region, site and way.

    Between places of one kind (`near` and `far` both "site") a summary speaks of both directions: the places of `near`
    stand under `region`.
    """
    names = pd.Index(sorted(ends.names), dtype=object)
    source, target = (_codes(summaries[end], names) for end in ("source", "target"))
    regions, sites = (_Side.of(ends.side(side, aggregate=False), names) for side in (near, far))
    ways = [_one_way(source, target, regions, sites), _one_way(target, source, regions, sites)]
    row, region, site, weight = (np.concatenate(parts) for parts in zip(*ways, strict=True))
    forward = np.repeat([True, False], [len(way[0]) for way in ways])
    order = np.lexsort((forward, site, region, row))
    return Matches(row[order], region[order], site[order], weight[order], forward[order])


def _codes(column: "pd.Series[str]", names: pd.Index) -> Int32:
    """The place of every row's name among `names`, -1 where it is not there; the column may be categories."""
    coded = column.astype("category").cat
    return np.asarray(names.get_indexer(coded.categories).astype(np.int32)[coded.codes.to_numpy()], np.int32)


@dataclass(frozen=True)
class _Side:
    """Places behind every name: `place[first[code]:first[code + 1]]`, and their weights."""

    first: Ints
    place: Int32
    weight: Float

    @classmethod
    def of(cls, side: pd.DataFrame, names: pd.Index) -> "_Side":
        code = names.get_indexer(pd.Index(side["endpoint"]))
        order = np.argsort(code, kind="stable")
        first = np.searchsorted(code[order], np.arange(len(names) + 1))
        return cls(first, side["place"].to_numpy(np.int32)[order], side["weight"].to_numpy(np.float64)[order])


def _one_way(at_region: Int32, at_site: Int32, regions: _Side, sites: _Side) -> tuple[Int32, Int32, Int32, Float]:
    """Rows, regions, sites and weights where one end's names stand for regions and the other's for sites."""
    row = np.flatnonzero((at_region >= 0) & (at_site >= 0)).astype(np.int32)
    r_first, s_first = regions.first[at_region[row]], sites.first[at_site[row]]
    behind_r = regions.first[at_region[row] + 1] - r_first
    behind_s = sites.first[at_site[row] + 1] - s_first
    count = behind_r * behind_s
    if count.max(initial=0) <= 1:  # the usual case by far: a name stands for one place
        some = count > 0
        r, s = r_first[some], s_first[some]
        return row[some], regions.place[r], sites.place[s], regions.weight[r] * sites.weight[s]
    turn = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    width = np.repeat(behind_s, count)
    r, s = np.repeat(r_first, count) + turn // width, np.repeat(s_first, count) + turn % width
    return np.repeat(row, count), regions.place[r], sites.place[s], regions.weight[r] * sites.weight[s]
