"""Regions, sites, links and pairs as one networkx graph, for people and other tools; nothing is computed on it."""

import networkx as nx
import numpy as np
import pandas as pd

from placement.topology.links import link_nodes
from placement.topology.pairs import Pairs, Provenance, State


def graph(pairs: Pairs, regions: pd.DataFrame, sites: pd.DataFrame, links: pd.DataFrame) -> "nx.MultiGraph[str]":
    """A MultiGraph of nodes `region:NAME` and `site:NAME` and of edges of two kinds.

    Nodes have kind, name, label, country, latitude, longitude, and a region its users. Edges with kind `link` have
    rtt_ms and mbps as the links table gives them; edges with kind `pair` have state, provenance, rtt_base_ms,
    rtt_p50_ms, rtt_p95_ms, rtt_lower_ms, rtt_mid_ms, rtt_upper_ms, loss, jitter_ms, samples, mbps. What is not known is
    left out, never zero; an unknown pair whose bandwidth is unknown too has no edge. Nodes and edges come in sorted
    order.
    """
    out: nx.MultiGraph[str] = nx.MultiGraph()
    for kind, table in (("region", regions), ("site", sites)):
        for row in table.to_dict("records"):
            wanted = ("country", "latitude", "longitude", "users")
            known = {name: row[name] for name in wanted if name in row}
            out.add_node(f"{kind}:{row[kind]}", kind=kind, name=row[kind], label=str(row.get("name", "")), **known)
    _add_links(out, pairs, links)
    _add_pairs(out, pairs)
    return out


def _add_links(out: "nx.MultiGraph[str]", pairs: Pairs, links: pd.DataFrame) -> None:
    names = [f"region:{name}" for name in pairs.regions] + [f"site:{name}" for name in pairs.sites]
    source, target = link_nodes(links, pd.Index(pairs.regions), pd.Index(pairs.sites))
    known = (source >= 0) & (target >= 0)
    for one, other, row in zip(source[known], target[known], links[known].to_dict("records"), strict=True):
        figures = {name: float(row[name]) for name in ("rtt_ms", "mbps") if name in row and pd.notna(row[name])}
        out.add_edge(names[one], names[other], kind="link", **figures)


def _add_pairs(out: "nx.MultiGraph[str]", pairs: Pairs) -> None:
    figures = (
        *("rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms"),
        *("loss", "jitter_ms", "mbps"),
    )
    known = (pairs.rtt_state != State.UNKNOWN) | (pairs.mbps_state != State.UNKNOWN)
    for region, site in np.argwhere(known):
        values = {name: float(getattr(pairs, name)[region, site]) for name in figures}
        out.add_edge(
            f"region:{pairs.regions[region]}",
            f"site:{pairs.sites[site]}",
            kind="pair",
            state=State(pairs.rtt_state[region, site]).name.lower(),
            provenance=Provenance(pairs.rtt_provenance[region, site]).name.lower(),
            samples=int(pairs.samples[region, site]),
            **{name: value for name, value in values.items() if not np.isnan(value)},
        )
