"""What is taken from a foreign graph, and what is left out of it by name."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

MOST_NAMED, MOST_PROBLEMS, MOST_LETTERS = 8, 50, 80
MOST_LATITUDE, MOST_LONGITUDE = 90.0, 180.0


class UnreadableGraphError(ValueError):
    """A graph file that cannot be used: `problems`, each with what is wrong, where, which value, and the mend."""

    def __init__(self, file: str, problems: Iterable[str]) -> None:
        self.file, self.problems = file, tuple(problems)
        shown = [f"{file}: {problem}" for problem in self.problems[:MOST_PROBLEMS]]
        more = len(self.problems) - MOST_PROBLEMS
        super().__init__("\n".join([*shown, f"... and {more} more"] if more > 0 else shown))


@dataclass(frozen=True)
class Node:
    """A node as a file has it: degrees, None where it does not say. `label` is what people call it."""

    key: str
    label: str
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True)
class Place:
    """A node that lies somewhere, in degrees."""

    key: str
    label: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Leg:
    """An edge between two nodes, by their keys; None where the file does not say.

    `mbps` is a figure whose unit the file gives, `units` one in a unit that it does not.
    """

    source: str
    target: str
    km: float | None = None
    mbps: float | None = None
    units: float | None = None


@dataclass(frozen=True)
class Network:
    """A graph: at most one leg between two places, none from a place to itself.

    `traffic` is by (source, target), in a unit that no file gives. `notes` say what was left out.
    """

    name: str
    places: tuple[Place, ...]
    legs: tuple[Leg, ...]
    traffic: Mapping[tuple[str, str], float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def network(
    file: str, name: str, nodes: list[Node], legs: list[Leg], traffic: Mapping[tuple[str, str], float] | None = None
) -> Network:
    """A network of what can be used.

    Nodes that are nowhere (without coordinates, or at exactly 0, 0) go with their edges, and so does traffic from and
    to them; they are named. Loops go; of parallel edges the shortest and the widest figures stand.

    Raises:
        UnreadableGraphError: a node is there twice, an edge leads to none, coordinates are no degrees, a figure cannot
            be, or fewer than two places are left.
    """
    nodes = [replace(node, label=_plain(node.label)) for node in nodes]
    problems = [*_broken_nodes(nodes), *_broken_legs(nodes, legs)]
    if problems:
        raise UnreadableGraphError(file, problems)
    places = [place for node in nodes if (place := _somewhere(node)) is not None]
    keys = {place.key for place in places}
    nowhere = [node for node in nodes if node.key not in keys]
    if len(places) < 2:
        missing = f"{len(nowhere)} have no coordinates ({_some(nowhere)})" if nowhere else "that is all"
        mend = "Give two nodes or more, with latitude and longitude in degrees"
        raise UnreadableGraphError(file, [f"of {len(nodes)} nodes {missing}, and a network has two places. {mend}"])
    among = [leg for leg in legs if leg.source in keys and leg.target in keys]
    apart = [leg for leg in among if leg.source != leg.target]
    merged = _without_parallels(apart)
    notes = []
    if nowhere:
        lost = len(legs) - len(among)
        notes.append(f"{len(nowhere)} nodes without coordinates left out, with {lost} edges: {_some(nowhere)}")
    if len(among) > len(apart):
        notes.append(f"{len(among) - len(apart)} edges from a node to itself left out")
    if len(apart) > len(merged):
        notes.append(f"{len(apart) - len(merged)} parallel edges taken together with others")
    used = {ends: value for ends, value in (traffic or {}).items() if keys.issuperset(ends) and value > 0}
    if traffic and len(used) < len(traffic):
        notes.append(f"{len(traffic) - len(used)} demands of nothing, or of nodes that are left out, left out")
    return Network(name, tuple(places), tuple(merged), used, tuple(notes))


def figure(value: object) -> float | None:
    """A number of a file, None where it is none or not finite."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _somewhere(node: Node) -> Place | None:
    """Nobody's router floats at 0, 0 in the Gulf of Guinea: that is how tools write "not known"."""
    if node.latitude is None or node.longitude is None or (node.latitude, node.longitude) == (0.0, 0.0):
        return None
    return Place(node.key, node.label, node.latitude, node.longitude)


def _broken_nodes(nodes: list[Node]) -> list[str]:
    counts = Counter(node.key for node in nodes)
    twice = [key for key, count in counts.items() if count > 1]
    problems = [f"node {key!r} is there {counts[key]} times. Give every node an id of its own" for key in twice]
    halves = [p.label for p in nodes if (p.latitude is None) != (p.longitude is None)]
    problems += [f"node {label!r} has half a position. Give latitude and longitude in degrees" for label in halves]
    whole = [(p.label, p.latitude, p.longitude) for p in nodes if p.latitude is not None and p.longitude is not None]
    outside = [(name, lat, lon) for name, lat, lon in whole if abs(lat) > MOST_LATITUDE or abs(lon) > MOST_LONGITUDE]
    if outside:
        name, latitude, longitude = outside[0]
        problems.append(
            f"{len(outside)} of {len(nodes)} nodes lie on no globe: node {name!r} has latitude {latitude:g}, longitude"
            f" {longitude:g}. These are points of a drawing; give degrees, -90..90 and -180..180"
        )
    return problems


def _broken_legs(nodes: list[Node], legs: list[Leg]) -> list[str]:
    keys = {node.key for node in nodes}
    lost = sorted({end for leg in legs for end in (leg.source, leg.target) if end not in keys})
    problems = [f"an edge leads to node {end!r}, which is not there. Add it or drop the edge" for end in lost]
    for leg in legs:
        for name in ("km", "mbps", "units"):
            value = getattr(leg, name)
            if value is not None and value < 0:
                problems.append(f"edge {leg.source!r} to {leg.target!r} has {name} {value:g}. It cannot be below zero")
    return problems


def _without_parallels(legs: list[Leg]) -> list[Leg]:
    merged: dict[frozenset[str], Leg] = {}
    for leg in legs:
        have = merged.setdefault(frozenset((leg.source, leg.target)), leg)
        merged[frozenset((leg.source, leg.target))] = replace(
            have,
            km=_least(have.km, leg.km),
            mbps=_most(have.mbps, leg.mbps),
            units=_most(have.units, leg.units),
        )
    return list(merged.values())


def _least(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _most(*values: float | None) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _plain(label: str) -> str:
    """Without what moves a terminal's cursor, and of a bearable length."""
    return "".join(letter if letter.isprintable() else " " for letter in label[:MOST_LETTERS]).strip()


def _some(nodes: list[Node]) -> str:
    named = ", ".join(node.label for node in nodes[:MOST_NAMED])
    return f"{named} and {len(nodes) - MOST_NAMED} more" if len(nodes) > MOST_NAMED else named
