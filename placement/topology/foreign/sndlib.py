"""Networks of SNDlib, in its XML and in its native format. http://sndlib.put.poznan.pl/html/docu/io-formats

x is the longitude and y the latitude where coordinates are geographical. Capacities and demands have no stated unit.
A link's capacity is the preinstalled one; modules are what could be bought, and not there.
"""

import re
from xml.etree import ElementTree

from placement.topology.foreign.network import Leg, Network, Node, UnreadableGraphError, figure, network

SECTIONS = {"NODES": 2, "LINKS": 3, "DEMANDS": 4}  # and how many values of an entry are read


def read_xml(file: str, name: str, text: str) -> Network:
    """Text that `safe_xml` let pass."""
    root = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1))
    drawn = root.find("{*}networkStructure/{*}nodes")
    kind = None if drawn is None else drawn.get("coordinatesType")
    if kind not in (None, "geographical"):
        raise UnreadableGraphError(
            file, [f"coordinatesType is {kind!r}: points of a drawing. Give geographical coordinates, in degrees"]
        )
    nodes = [
        Node(node.get("id", ""), node.get("id", ""), _number(node, "coordinates/y"), _number(node, "coordinates/x"))
        for node in root.iterfind("{*}networkStructure/{*}nodes/{*}node")
    ]
    legs = [
        Leg(_text(link, "source"), _text(link, "target"), units=_number(link, "preInstalledModule/capacity") or None)
        for link in root.iterfind("{*}networkStructure/{*}links/{*}link")
    ]
    traffic: dict[tuple[str, str], float] = {}
    for demand in root.iterfind("{*}demands/{*}demand"):
        ends = _text(demand, "source"), _text(demand, "target")
        unit = _number(demand, "routingUnit")
        traffic[ends] = traffic.get(ends, 0.0) + (_number(demand, "demandValue") or 0.0) * (
            1.0 if unit is None else unit
        )
    return network(file, name, nodes, legs, traffic)


def read_native(file: str, name: str, text: str) -> Network:
    """The header is line 1; a line of a section is one node, link or demand."""
    nodes: list[Node] = []
    legs: list[Leg] = []
    traffic: dict[tuple[str, str], float] = {}
    problems = []
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        words = content.replace("(", " ( ").replace(")", " ) ").split()
        if len(words) == 2 and words[1] == "(":
            section = words[0]
        elif words == [")"]:
            section = ""
        elif words and section in SECTIONS:
            entry = _entry(words, SECTIONS[section])
            if entry is None:
                problems.append(f"line {number} is no entry of {section}: {content[:60]!r}. Mend it")
            elif section == "NODES":
                nodes.append(Node(entry[0], entry[0], figure(entry[2]), figure(entry[1])))
            elif section == "LINKS":
                legs.append(Leg(entry[1], entry[2], units=figure(entry[3]) or None))
            else:
                ends = entry[1], entry[2]
                traffic[ends] = traffic.get(ends, 0.0) + (figure(entry[3]) or 0.0) * (figure(entry[4]) or 0.0)
    if problems:
        raise UnreadableGraphError(file, problems)
    return network(file, name, nodes, legs, traffic)


def _entry(words: list[str], values: int) -> list[str] | None:
    """An id, what stands in its first brackets, and what follows; None unless it begins `id ( one other )`."""
    if len(words) < values + 3 or words[1] != "(" or words[4] != ")":
        return None
    return [words[0], *words[2:4], *words[5 : values + 3]]


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(_any_namespace(path)) or "").strip()


def _number(element: ElementTree.Element, path: str) -> float | None:
    return figure(_text(element, path))


def _any_namespace(path: str) -> str:
    return "/".join(f"{{*}}{step}" for step in path.split("/"))
