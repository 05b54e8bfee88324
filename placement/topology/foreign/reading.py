"""A graph file of any of the formats, told apart by what is in it and bounded before it is read."""

import json
from pathlib import Path

from placement.topology.foreign import node_link, sndlib, zoo
from placement.topology.foreign.network import Network, UnreadableGraphError
from placement.topology.foreign.safe_xml import root_name

MOST_BYTES = 8 * 1024 * 1024  # the largest of the 229 of the reference has 0.4 MB
MOST_NODES, MOST_EDGES = 20_000, 200_000
FORMATS = "GraphML or GML of the Topology Zoo, XML or native files of SNDlib, node-link JSON of topohub"


def read_network(path: Path) -> Network:
    """The network in a file: Topology Zoo (GraphML, GML), SNDlib (XML, native) or topohub (node-link JSON).

    Raises:
        UnreadableGraphError: it is none of these, too large, or unusable; every reason is named.
        OSError: it cannot be read.
    """
    file = path.name
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UnreadableGraphError(file, [f"{size:,} bytes; a graph of places has at most {MOST_BYTES:,}. Cut it down"])
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableGraphError(file, [f"byte {error.start} is no UTF-8. Save the file as UTF-8"]) from error
    try:
        found = _read(file, path.stem, text)
    except RecursionError as error:
        raise UnreadableGraphError(file, ["brackets are nested too deeply. Write the graph flat"]) from error
    if len(found.places) > MOST_NODES or len(found.legs) > MOST_EDGES:
        counts = f"{len(found.places):,} nodes and {len(found.legs):,} edges"
        raise UnreadableGraphError(
            file, [f"{counts}; at most {MOST_NODES:,} and {MOST_EDGES:,} are taken. Merge the nodes of a town"]
        )
    return found


def _read(file: str, name: str, text: str) -> Network:
    start = text.lstrip()
    if start.startswith("<"):
        root = root_name(file, text)
        if root == "graphml":
            return zoo.read_graphml(file, name, text)
        if root == "network":
            return sndlib.read_xml(file, name, text)
        raise UnreadableGraphError(file, [f"the XML is a <{root}>, not a <graphml> nor an SNDlib <network>. {_MEND}"])
    if start.startswith("{"):
        try:
            document = json.loads(text)
        except ValueError as error:
            raise UnreadableGraphError(file, [f"no JSON: {error}. Mend the file"]) from error
        return node_link.read(file, name, document)
    if start.startswith("?SNDlib"):
        return sndlib.read_native(file, name, text)
    if "graph" in start and "[" in start:
        return zoo.read_gml(file, name, text)
    raise UnreadableGraphError(file, [f"of no format that is known. {_MEND}"])


_MEND = f"Give {FORMATS}"
