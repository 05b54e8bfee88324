"""Nodes and edges of the topology as tables: what the graph and its files are made of, all at once or a part at a time.

Nodes are `region:NAME`, `site:NAME` and `metro:NAME`. Edges are of four kinds:

| kind | between | says |
|---|---|---|
| pair | region, site | the arrays of `Pairs` (latency and bandwidth have a state and a provenance each), and `via` |
| link | sites, or a region and a site | rtt_ms and mbps as the table `links` gives them |
| between | two sites | what their probes measured of each other; `mbps` is the lesser of both directions |
| within | region or site, metro | that it lies there |

A pair of which nothing is known has no edge; `via` names the sites that a path goes by (`ways.via`).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from placement.topology.links import link_nodes
from placement.topology.metros import metros
from placement.topology.pairs import Pairs, Provenance, State
from placement.topology.ways import via

if TYPE_CHECKING:
    from placement.topology.build import Topology

PAIRS_AT_ONCE = 200_000
RTT = ("rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms")
FIGURES = (*RTT, "loss", "jitter_ms", "mbps", "observed_at_s")
STATES, PROVENANCES = ("rtt_state", "mbps_state"), ("rtt_provenance", "mbps_provenance")


def _schema(texts: str, numbers: str) -> pa.Schema:
    return pa.schema(
        [(name, pa.string()) for name in texts.split()] + [(name, pa.float64()) for name in numbers.split()]
    )


NODE = _schema("id kind name label country source", "latitude longitude users")
EDGE = _schema(f"source target kind via {' '.join((*STATES, *PROVENANCES))}", f"rtt_ms {' '.join(FIGURES)}").append(
    pa.field("samples", pa.int64())
)


@dataclass(frozen=True)
class Selection:
    """Which pairs become edges; as it stands, all of which something is known.

    `states` of the latency (a pair of unknown latency whose bandwidth is known is `unknown`), the names of `regions`
    and `sites`, and of each region's pairs only the `nearest`: those with the least planned round trip.
    """

    states: Collection[State] = tuple(State)
    regions: Collection[str] | None = None
    sites: Collection[str] | None = None
    nearest: int | None = None

    def mask(self, pairs: Pairs) -> NDArray[np.bool_]:
        """R × P: the pairs that become edges.

        Raises:
            KeyError: no region or no site has a name that is asked for; the message says which.
        """
        chosen = (pairs.rtt_state != State.UNKNOWN) | (pairs.mbps_state != State.UNKNOWN)
        chosen &= np.isin(pairs.rtt_state, [int(state) for state in self.states])
        for wanted, names, axis in ((self.regions, pairs.regions, 1), (self.sites, pairs.sites, 0)):
            if wanted is not None:
                chosen &= np.expand_dims(_among(wanted, names), axis)
        if self.nearest is not None:
            planned = np.where(chosen, pairs.planned_rtt_ms, np.nan)
            rank = np.argsort(np.argsort(planned, axis=1, kind="stable"), axis=1, kind="stable")  # NaN comes last
            chosen &= (rank < self.nearest) & ~np.isnan(planned)
        return np.asarray(chosen, np.bool_)


EVERYTHING = Selection()


EVERYTHING = Selection()


def node_table(topology: "Topology") -> pa.Table:
    """Every region, site and metro under the columns NODE, in this order and sorted; null where not known."""
    found = metros(topology.regions, topology.sites, topology.domains).frame
    parts = []
    for kind, table in (("region", topology.regions), ("site", topology.sites), ("metro", found)):
        columns = {name: table[name] for name in ("country", "latitude", "longitude", "users") if name in table}
        label = table["name"].fillna("") if "name" in table else pd.Series([""] * len(table), dtype=object)
        columns |= {"id": f"{kind}:" + table[kind].astype(object), "name": table[kind], "label": label}
        columns |= {"kind": pd.Series([kind] * len(table), dtype=object)}
        columns |= {"source": table["source"]} if kind == "metro" else {}
        frame = pd.DataFrame({name: columns.get(name) for name in NODE.names})
        parts.append(pa.Table.from_pandas(frame, NODE, preserve_index=False))
    return pa.concat_tables(parts)


def edge_tables(topology: "Topology", selection: Selection) -> Iterator[pa.Table]:
    """The edges under the columns EDGE, a part at a time: metros, links, what sites measured of each other, pairs in
    the order of region and site. Null where not known."""
    yield _within(topology)
    yield _links(topology)
    yield _between(topology)
    region, site = np.nonzero(selection.mask(topology.pairs))
    for first in range(0, len(region), PAIRS_AT_ONCE):
        part = slice(first, first + PAIRS_AT_ONCE)
        yield _pairs(topology, region[part], site[part])


def _within(topology: "Topology") -> pa.Table:
    members = metros(topology.regions, topology.sites, topology.domains).members
    names = {"region": topology.regions["region"].to_numpy(object), "site": topology.sites["site"].to_numpy(object)}
    source = [f"{side}:{names[side][place]}" for side, place in zip(members["side"], members["place"], strict=True)]
    return _table({"source": source, "target": [f"metro:{name}" for name in members["metro"]]}, "within", len(members))


def _links(topology: "Topology") -> pa.Table:
    links, pairs = topology.links, topology.pairs
    names = np.array([f"region:{n}" for n in pairs.regions] + [f"site:{n}" for n in pairs.sites], object)
    source, target = link_nodes(links, pd.Index(pairs.regions), pd.Index(pairs.sites))
    known = (source >= 0) & (target >= 0)
    columns = {name: pa.array(links.loc[known, name], from_pandas=True) for name in ("rtt_ms", "mbps") if name in links}
    return _table({"source": names[source[known]], "target": names[target[known]], **columns}, "link", int(known.sum()))


def _between(topology: "Topology") -> pa.Table:
    found, names = topology.between, np.array([f"site:{name}" for name in topology.pairs.sites], object)
    ends = [np.minimum(found["source"], found["target"]), np.maximum(found["source"], found["target"])]
    less = found.groupby(ends)["mbps"].min().to_numpy()
    once = found[found["source"] < found["target"]].reset_index(drop=True).assign(mbps=less)
    figures = {name: pa.array(once[name], from_pandas=True) for name in once.columns if name in (*FIGURES, "samples")}
    words = {name: np.where(once[of].notna(), State.MEASURED, State.UNKNOWN) for name, of in _SEEN.items()}
    from_word = {name: word(codes.astype(np.int8), State) for name, codes in words.items()}
    source, target = names[once["source"].to_numpy(np.int64)], names[once["target"].to_numpy(np.int64)]
    return _table({"source": source, "target": target, **figures, **from_word}, "between", len(once))


_SEEN = {"rtt_state": "rtt_p95_ms", "mbps_state": "mbps"}


def _pairs(topology: "Topology", region: NDArray[np.int64], site: NDArray[np.int64]) -> pa.Table:
    pairs = topology.pairs
    columns = {name: word(getattr(pairs, name)[region, site], State) for name in STATES}
    columns |= {name: word(getattr(pairs, name)[region, site], Provenance) for name in PROVENANCES}
    for name in FIGURES:
        columns[name] = pa.array(getattr(pairs, name)[region, site], from_pandas=True)
    columns["samples"] = pa.array(pairs.samples[region, site])
    columns["via"] = via(pairs, topology.paths, region, site)
    source, target = (
        np.array([f"{kind}:{name}" for name in names], object)
        for kind, names in (("region", pairs.regions), ("site", pairs.sites))
    )
    return _table({"source": source[region], "target": target[site], **columns}, "pair", len(region))


def word(codes: NDArray[np.int8], kind: type[State] | type[Provenance]) -> pa.Array:
    """Codes by their names."""
    words = pa.array([member.name.lower() for member in kind], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes), words)


def _among(wanted: Collection[str], names: Collection[str]) -> NDArray[np.bool_]:
    missing = sorted(set(wanted) - set(names))
    if missing:
        raise KeyError(f"there is no {', '.join(missing)}")
    return np.isin(np.array(names, object), list(wanted))


def _table(columns: dict[str, object], kind: str, rows: int) -> pa.Table:
    """Columns under EDGE; null in those that this kind has not."""
    have = {**columns, "kind": pa.array([kind] * rows, pa.string())}
    arrays = [_cast(have[f.name], f.type) if f.name in have else pa.nulls(rows, f.type) for f in EDGE]
    return pa.Table.from_arrays(arrays, schema=EDGE)


def _cast(values: Any, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    return (values if isinstance(values, pa.ChunkedArray) else pa.array(values)).cast(kind)
