"""How measurements find their region and site: the endpoints table, and the names of regions and sites themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

AGGREGATE_KINDS = ("asn", "country")
SELF = "self"  # kind of a region or site that measurements call by its own name

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Endpoints:
    """What stands behind each name that measurements use.

    `frame` has one row per (endpoint, region or site): endpoint, kind, side ("region" or "site"), place (index into
    the sorted regions or sites) and weight (share of that place's traffic that the endpoint speaks for, any scale).
    """

    frame: pd.DataFrame

    @property
    def names(self) -> frozenset[str]:
        """Every name that maps somewhere."""
        return frozenset(self.frame["endpoint"])

    @property
    def aggregates(self) -> frozenset[str]:
        """Names that stand for a whole country or network: their figures are never a pair's own."""
        return frozenset(self.frame.loc[self.frame["kind"].isin(AGGREGATE_KINDS), "endpoint"])

    def places(self, side: str) -> dict[str, Ints]:
        """The places of one side behind each name that has some there."""
        rows = self.frame[self.frame["side"] == side]
        return {str(name): group.to_numpy(np.int64) for name, group in rows.groupby("endpoint")["place"]}

    def side(self, side: str, aggregate: bool) -> pd.DataFrame:
        """Rows of one side: of countries and ASNs, or of all the others. Columns endpoint, place, weight."""
        wanted = (self.frame["side"] == side) & (self.frame["kind"].isin(AGGREGATE_KINDS) == aggregate)
        return self.frame.loc[wanted, ["endpoint", "place", "weight"]]


def endpoints(table: pd.DataFrame, regions: Sequence[str], sites: Sequence[str]) -> Endpoints:
    """The endpoints of a scenario; `table` may be empty, `regions` and `sites` are sorted.

    A region or site answers to its own name as well, unless the table lists that name: then the table decides alone.
    An empty weight is 1. Rows whose region or site does not exist are left out; `check` names them.
    """
    parts = [_listed(table, "region", regions), _listed(table, "site", sites)]
    listed = set(table["endpoint"]) if len(table) else set()
    parts += [_own_names(regions, "region", listed), _own_names(sites, "site", listed)]
    frame = pd.concat(parts, ignore_index=True).sort_values(["endpoint", "side", "place"], ignore_index=True)
    return Endpoints(frame)


def _listed(table: pd.DataFrame, side: str, places: Sequence[str]) -> pd.DataFrame:
    if not len(table):
        return _rows([], [], side, np.empty(0, np.int64), np.empty(0))
    place = pd.Index(list(places)).get_indexer(pd.Index(list(table[side])))
    rows = table[place >= 0]
    weight = rows["weight"].fillna(1.0).to_numpy(np.float64) if "weight" in rows else np.ones(len(rows))
    return _rows(list(rows["endpoint"]), list(rows["kind"]), side, place[place >= 0].astype(np.int64), weight)


def _own_names(places: Sequence[str], side: str, listed: set[str]) -> pd.DataFrame:
    free = np.array([i for i, name in enumerate(places) if name not in listed], np.int64)
    return _rows([places[i] for i in free], [SELF] * len(free), side, free, np.ones(len(free)))


def _rows(names: list[str], kinds: list[str], side: str, place: Ints, weight: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "endpoint": pd.Series(names, dtype=object),
            "kind": pd.Series(kinds, dtype=object),
            "side": pd.Series([side] * len(names), dtype=object),
            "place": place,
            "weight": weight,
        }
    )
