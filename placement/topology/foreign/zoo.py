"""GraphML and GML as the Internet Topology Zoo publishes them, by networkx.

Nodes have Latitude and Longitude in degrees and a label; edges may have LinkSpeedRaw, bit/s. http://www.topology-zoo.org
"""

import re
import warnings
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import ParseError

import networkx as nx

from placement.topology.foreign.network import Leg, Network, Node, UnreadableGraphError, figure, network

BIT_PER_MBIT = 1e6


def read_graphml(file: str, name: str, text: str) -> Network:
    """Text that `safe_xml` let pass."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a key without a type is text: that is all we need of it
            # as bytes of one known encoding, whatever the declaration says
            graph = nx.read_graphml(BytesIO(_declared_utf8(text)), force_multigraph=True)
    except (nx.NetworkXError, ParseError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise UnreadableGraphError(file, [f"no GraphML that networkx reads: {_said(error)}. Mend the file"]) from error
    return _network(file, name, graph)


def read_gml(file: str, name: str, text: str) -> Network:
    """Parallel edges are read whether or not the file says that it has some: many of the Zoo do not."""
    if not re.search(r"^[ \t]*multigraph[ \t]+1\b", text, re.MULTILINE):
        text = re.sub(r"\bgraph\s*\[", "graph [\n  multigraph 1\n", text, count=1)
    try:
        graph = nx.parse_gml(text.splitlines(), label="id")
    except (nx.NetworkXError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UnreadableGraphError(file, [f"no GML that networkx reads: {_said(error)}. Mend the file"]) from error
    return _network(file, name, graph)


def _network(file: str, name: str, graph: Any) -> Network:
    nodes = [
        Node(str(key), str(data.get("label") or key), figure(data.get("Latitude")), figure(data.get("Longitude")))
        for key, data in graph.nodes(data=True)
    ]
    legs = [Leg(str(one), str(other), mbps=_mbps(data)) for one, other, data in graph.edges(data=True)]
    return network(file, str(graph.graph.get("Network") or name), nodes, legs)


def _mbps(data: dict[str, Any]) -> float | None:
    """Of LinkSpeedRaw; a speed of zero says nothing."""
    bits = figure(data.get("LinkSpeedRaw"))
    return bits / BIT_PER_MBIT if bits else None


def _declared_utf8(text: str) -> bytes:
    return re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1).encode("utf-8")


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
