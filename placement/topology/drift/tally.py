"""What moved, summed up: by the region's country, by site, by state, and pair by pair the weightiest first."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.topology.coverage import kind_codes, kind_words, nearest_ms, weighted_median
from placement.topology.drift.moves import Change, Drift
from placement.topology.pairs import Codes, Float

Ints = NDArray[np.int64]

LATENCY: dict[Change, str] = {change: change.name.lower() for change in Change if change != Change.SAME}
COUNTED = (*LATENCY.values(), "silent")
MBPS = {
    Change.APPEARED: "bandwidth appeared",
    Change.LOST: "bandwidth lost",
    Change.SLOWER: "narrower",
    Change.FASTER: "wider",
}
LOSS = {Change.SLOWER: "lossier", Change.FASTER: "cleaner"}


@dataclass(frozen=True)
class Places:
    """What the drift is weighed by: the frames `region`, country, users, requests_per_s and `site`, country.

    A frame may lack places that the pairs have, and the other way round.
    """

    regions: pd.DataFrame
    sites: pd.DataFrame

    def countries(self, names: tuple[str, ...]) -> list[str]:
        """Of regions, in the order of the names; "" where it is not known."""
        known = dict(zip(self.regions["region"], self.regions["country"], strict=True))
        return [str(known.get(name, "")) for name in names]

    def weight(self, names: tuple[str, ...]) -> Float:
        """Of regions: requests/s, or users where nowhere is any demand; 1 each where there are neither."""
        for column in ("requests_per_s", "users"):
            known = dict(zip(self.regions["region"], self.regions[column], strict=True))
            weight = np.nan_to_num(np.array([known.get(name, 0.0) for name in names], np.float64))
            if weight.sum() > 0:
                return weight
        return np.ones(len(names))


def counts(drift: Drift) -> dict[str, dict[str, int]]:
    """Pairs by what became of their latency, bandwidth and loss; every kind, 0 where there is none."""
    kinds = (("latency", drift.rtt, LATENCY), ("bandwidth", drift.mbps, MBPS), ("loss", drift.loss, LOSS))
    return {
        name: {word: int((codes == change).sum()) for change, word in words.items()} for name, codes, words in kinds
    }


def transitions(drift: Drift) -> pd.DataFrame:
    """Pairs whose state or provenance is another: before, after, pairs; the most first."""
    words = kind_words()
    both = kind_codes(drift.old).astype(np.int16) * len(words) + kind_codes(drift.new)
    found, count = np.unique(both, return_counts=True)
    rows = [
        (words[code // len(words)], words[code % len(words)], int(n))
        for code, n in zip(found.tolist(), count.tolist(), strict=True)
        if words[code // len(words)] != words[code % len(words)]
    ]
    rows.sort(key=lambda row: (-row[2], row))
    return pd.DataFrame(rows, columns=["before", "after", "pairs"])


def by_country(drift: Drift, places: Places) -> pd.DataFrame:
    """One row per country of regions in which anything moved: country, weight, the columns COUNTED, and nearest_ms
    before and after, the median by weight of the planned round trip to each region's nearest site; the weightiest
    first."""
    weight = places.weight(drift.old.regions)
    table = pd.DataFrame({"country": places.countries(drift.old.regions), "weight": weight})
    for name, column in zip(COUNTED, _counted(drift, axis=1), strict=True):
        table[name] = column
    before, after = nearest_ms(drift.old_ms), nearest_ms(drift.new_ms)
    rows = table.groupby("country", sort=True).sum()
    for name, nearest in (("nearest_before_ms", before), ("nearest_after_ms", after)):
        rows[name] = [
            weighted_median(nearest[at], weight[at]) for at in table.groupby("country", sort=True).indices.values()
        ]
    rows = rows[rows[list(COUNTED)].sum(axis=1) > 0].reset_index()
    return rows.sort_values(["weight", "country"], ascending=[False, True], ignore_index=True)


def by_site(drift: Drift) -> pd.DataFrame:
    """One row per site with a pair that moved: site, the columns COUNTED; the most first."""
    table = pd.DataFrame(dict(zip(COUNTED, _counted(drift, axis=0), strict=True)))
    table.insert(0, "site", list(drift.old.sites))
    total = table[list(COUNTED)].sum(axis=1)
    table = table.assign(total=total)[total > 0]
    return table.sort_values(["total", "site"], ascending=[False, True], ignore_index=True).drop(columns="total")


def movers(drift: Drift, places: Places) -> Ints:
    """Flat numbers of the pairs of which anything moved, the weightiest first.

    A pair weighs its region's requests/s, times the milliseconds that the planned round trip changed by (100 where it
    appeared or was lost), times how near the site is: the round trip to the region's nearest site over the pair's own.
    """
    at = np.flatnonzero(drift.moved)
    region = at // max(len(drift.old.sites), 1)
    delta = drift.delta_ms.ravel()[at]
    nearest = np.fmin(nearest_ms(drift.old_ms), nearest_ms(drift.new_ms))[region]
    own = np.fmin(drift.old_ms.ravel()[at], drift.new_ms.ravel()[at])
    near = np.where(np.isfinite(nearest) & (own > 0), nearest / np.where(own > 0, own, 1.0), 0.0)
    changed = np.where(np.isnan(delta), np.where(np.isnan(own), 0.0, 100.0), np.abs(delta))
    score = places.weight(drift.old.regions)[region] * changed * near
    return at[np.argsort(-score, kind="stable")]


def movers_table(
    drift: Drift, places: Places, at: Ints, reasons: Mapping[tuple[str, str], str] | None = None
) -> pd.DataFrame:
    """The pairs with these flat numbers as rows: what they were, what they are, and what became of them. `reasons` are
    words by region and site, for the column `why`; "" where there are none."""
    row, column = at // max(len(drift.old.sites), 1), at % max(len(drift.old.sites), 1)
    words, weight = np.array(kind_words(), object), places.weight(drift.old.regions)
    table = pd.DataFrame(
        {
            "region": np.array(drift.old.regions, object)[row],
            "site": np.array(drift.old.sites, object)[column],
            "country": np.array(places.countries(drift.old.regions), object)[row],
            "weight": weight[row],
            "latency": _words(drift.rtt, LATENCY, at),
            "bandwidth": _words(drift.mbps, MBPS, at),
            "loss": _words(drift.loss, LOSS, at),
        }
    )
    for when, pairs, planned_ms in (("before", drift.old, drift.old_ms), ("after", drift.new, drift.new_ms)):
        table[f"kind_{when}"] = words[kind_codes(pairs).ravel()[at]]
        table[f"planned_ms_{when}"] = planned_ms.ravel()[at]
        for name in ("rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms", "mbps", "loss"):
            table[f"{name}_{when}"] = getattr(pairs, name).ravel()[at]
    told = reasons or {}
    return table.assign(why=[told.get(pair, "") for pair in zip(table["region"], table["site"], strict=True)])


def _counted(drift: Drift, axis: int) -> list[Ints]:
    return [*((drift.rtt == change).sum(axis=axis) for change in LATENCY), drift.silent.sum(axis=axis)]


def _words(codes: Codes, words: dict[Change, str], at: Ints) -> list[str]:
    return [words.get(Change(code), "") for code in codes.ravel()[at].tolist()]
