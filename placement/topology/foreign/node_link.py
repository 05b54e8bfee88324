"""Node-link JSON as topohub publishes the Topology Zoo and SNDlib: pos is [longitude, latitude], dist is km.

`graph.demands` is traffic by source and target, in the unit of its source: none is stated.
"""

from typing import Any

from placement.topology.foreign.network import Leg, Network, Node, UnreadableGraphError, figure, network


def read(file: str, name: str, document: dict[str, Any]) -> Network:
    """A parsed document."""
    nodes, edges = _objects(document.get("nodes")), _objects(document.get("edges", document.get("links")))
    about = document.get("graph", {})
    if nodes is None or edges is None or not isinstance(about, dict):
        raise UnreadableGraphError(
            file, ["no node-link graph: nodes and edges must be lists of objects. Mend the file"]
        )
    problems = [f"node {i} has no id. Give it one" for i, node in enumerate(nodes) if "id" not in node]
    problems += [
        f"edge {i} has no source or no target. Give it both"
        for i, edge in enumerate(edges)
        if "source" not in edge or "target" not in edge
    ]
    if problems:
        raise UnreadableGraphError(file, problems)
    legs = [Leg(str(e["source"]), str(e["target"]), km=figure(e.get("dist"))) for e in edges]
    return network(
        file, str(about.get("name") or name), [_node_of(node) for node in nodes], legs, _traffic(about.get("demands"))
    )


def _objects(value: object) -> list[dict[str, Any]] | None:
    return value if isinstance(value, list) and all(isinstance(entry, dict) for entry in value) else None


def _node_of(node: dict[str, Any]) -> Node:
    key, position = str(node["id"]), node.get("pos")
    whole = position if isinstance(position, list) and len(position) == 2 else (None, None)
    longitude, latitude = (figure(value) for value in whole)
    return Node(key, str(node.get("name") or key), latitude, longitude)


def _traffic(demands: object) -> dict[tuple[str, str], float]:
    found = {}
    for source, row in demands.items() if isinstance(demands, dict) else ():
        for target, value in row.items() if isinstance(row, dict) else ():
            found[str(source), str(target)] = figure(value) or 0.0
    return found
