"""The topology as one networkx graph, for people and other tools; nothing is computed on it."""

from typing import Any

import networkx as nx
import pyarrow as pa

from placement.topology.build import Topology
from placement.topology.elements import EVERYTHING, Selection, edge_tables, node_table


def as_networkx(topology: Topology, selection: Selection = EVERYTHING) -> "nx.MultiGraph[str]":
    """A MultiGraph of the nodes and edges that `elements` describes, with the columns of its tables as attributes.

    What is not known is left out, never zero. Nodes and edges come in sorted order. An edge takes some two kilobytes:
    of millions of pairs select some.
    """
    out: nx.MultiGraph[str] = nx.MultiGraph()
    for row in _rows(node_table(topology)):
        out.add_node(row.pop("id"), **row)
    for part in edge_tables(topology, selection):
        for row in _rows(part):
            out.add_edge(row.pop("source"), row.pop("target"), **row)
    return out


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows without what is not known."""
    return [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]
