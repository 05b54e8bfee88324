"""Who is wrong when light contradicts two places: the end that most of those who measured it contradict.

A time too small for its distance says that one of two ends does not stand where its place does, not which. So, method
by method: an end's score is the lower end of a 95 % interval (Wilson 1927) for the share k/n of places that contradict
it, among the n places it was measured with. An end that three places or more contradict is to blame, if none of the
ends that it contradicts has a higher score. What it explains is taken away, and the rest is judged again.

A contradiction is disputed where another method (but HTTP) has a possible time for the same two ends: then it is the
method that is wrong there, and not a place.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.geo import great_circle_km
from placement.topology.gates.evidence import Evidence, Positions
from placement.topology.gates.light import GLASS_KM_PER_MS, PLACE_KM, impossible_km
from placement.topology.pairs import Float

Ints = NDArray[np.int64]

LEAST_ACCUSERS = 3
NORMAL_975 = 1.96
MOST_DISCS = 64
"""Of an end's vantage points the nearest say most: the smallest discs bound where it stands."""


@dataclass(frozen=True)
class Blamed:
    """One end that light contradicts from many places, by one method.

    `accusers` of `judged` places contradict it; `as_source` is the share of these contradictions of which it is the
    source, `disputed` that of which another method says otherwise.
    It must stand within `radius_km` of each of the `vantage` positions (indices, the nearest first) of ends that
    nothing contradicts.
    """

    end: int
    method: str
    accusers: int
    judged: int
    as_source: float
    disputed: float
    vantage: Ints
    radius_km: Float

    @property
    def share(self) -> float:
        """The lower end of the interval for the share of places that contradict it."""
        return float(wilson_lower(np.array([self.accusers]), np.array([self.judged]))[0])


@dataclass(frozen=True)
class _Edges:
    """Unordered pairs of nodes (method and end), each way round; `place` is that of the other end."""

    node: Ints
    other: Ints
    place: Ints
    rtt_ms: Float
    wrong: NDArray[np.bool_]
    disputed: NDArray[np.bool_]
    is_source: NDArray[np.bool_]


def blamed(evidence: Evidence) -> list[Blamed]:
    """The ends to blame, sorted by end and method."""
    if not _any_impossible(evidence):
        return []
    methods, edges = _edges(evidence)
    ends = len(evidence.positions.names)
    guilty, left = _guilty(edges, ends * len(methods))
    contradicted = np.zeros(ends * len(methods), np.bool_)
    contradicted[edges.node[left]] = True
    trusted = ~guilty[edges.other] & ~contradicted[edges.other]
    order = np.lexsort((edges.other, edges.rtt_ms, edges.node))
    order = order[guilty[edges.node[order]]]
    found = []
    for node in np.flatnonzero(guilty):
        first, last = np.searchsorted(edges.node[order], [node, node + 1])
        own = order[first:last]
        wrong = own[edges.wrong[own]]
        near = own[trusted[own]][:MOST_DISCS]
        found.append(
            Blamed(
                end=int(node % ends),
                method=methods[node // ends],
                accusers=len(np.unique(edges.place[wrong])),
                judged=len(np.unique(edges.place[own])),
                as_source=float(edges.is_source[wrong].mean()),
                disputed=float(edges.disputed[wrong].mean()),
                vantage=edges.other[near] % ends,
                radius_km=GLASS_KM_PER_MS * edges.rtt_ms[near] + PLACE_KM,
            )
        )
    return sorted(found, key=lambda one: (one.end, one.method))


def contradicted(evidence: Evidence) -> dict[str, tuple[int, int]]:
    """By method: how many of its ends three places or more contradict, and how many it has that were judged; nothing
    where no time is impossible."""
    if not _any_impossible(evidence):
        return {}
    methods, edges = _edges(evidence)
    ends = len(evidence.positions.names)
    accusers = _places(edges.node[edges.wrong], edges.place[edges.wrong], ends * len(methods))
    judged = np.bincount(edges.node, minlength=ends * len(methods)) > 0
    accused = (accusers >= LEAST_ACCUSERS).reshape(len(methods), ends).sum(axis=1)
    return {
        method: (int(bad), int(of))
        for method, bad, of in zip(methods, accused, judged.reshape(len(methods), ends).sum(axis=1), strict=True)
    }


def disjoint(positions: Positions, one: Blamed) -> tuple[Ints, int]:
    """Vantage points no single place can satisfy: how many the discs that do not touch each other are, the nearest
    taken first (Cicalese et al. 2015, "A fistful of pings": each holds an instance of its own), and the two farthest
    beyond reach; no indices where all discs touch."""
    latitude, longitude = positions.latitude[one.vantage], positions.longitude[one.vantage]
    apart = great_circle_km(latitude[:, None], longitude[:, None], latitude[None, :], longitude[None, :])
    beyond = apart - one.radius_km[:, None] - one.radius_km[None, :]
    if not (beyond > 0).any():
        return np.empty(0, np.int64), 1
    taken: list[int] = []
    for disc in range(len(one.vantage)):
        if all(beyond[disc, other] > 0 for other in taken):
            taken.append(disc)
    worst = np.unravel_index(int(np.argmax(beyond)), beyond.shape)
    return one.vantage[np.sort(np.array(worst, np.int64))], max(len(taken), 2)


def _any_impossible(evidence: Evidence) -> bool:
    """Whether there is anything to blame an end for: a clean world costs no more than this."""
    return bool((impossible_km(evidence.least_ms, evidence.km) > 0).any())


def _edges(evidence: Evidence) -> tuple[list[str], _Edges]:
    """The judged pairs of ends, by their least time either way round, seen from both ends."""
    known = np.flatnonzero(~np.isnan(evidence.least_ms) & ~np.isnan(evidence.km) & (evidence.source != evidence.target))
    source, target, rtt_ms = evidence.source[known], evidence.target[known], evidence.least_ms[known]
    names, method = evidence.methods, evidence.method[known]
    ends = len(evidence.positions.names)
    low, high = np.minimum(source, target), np.maximum(source, target)
    order = np.lexsort((source, rtt_ms, (method * ends + low) * ends + high))
    key = ((method * ends + low) * ends + high)[order]
    first = order[np.diff(key, prepend=-1) != 0]
    wrong = impossible_km(rtt_ms[first], evidence.km[known][first]) > 0
    pair = key[np.diff(key, prepend=-1) != 0] % (ends * ends)
    speaks = method[first] != (names.get_loc("http") if "http" in names else -1)
    disputed = np.isin(pair, pair[~wrong & speaks])
    where = np.stack([evidence.positions.latitude, evidence.positions.longitude], axis=1)
    place = np.unique(where, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    a, b, base = source[first], target[first], method[first] * ends
    return [str(name) for name in names], _Edges(
        node=np.concatenate([base + a, base + b]),
        other=np.concatenate([base + b, base + a]),
        place=np.concatenate([place[b], place[a]]),
        rtt_ms=np.tile(rtt_ms[first], 2),
        wrong=np.tile(wrong, 2),
        disputed=np.tile(disputed, 2),
        is_source=np.repeat([True, False], len(first)),
    )


def _guilty(edges: _Edges, nodes: int) -> tuple[NDArray[np.bool_], Ints]:
    """The nodes to blame, and the contradictions (indices of edges) that they do not explain."""
    guilty = np.zeros(nodes, np.bool_)
    left = np.flatnonzero(edges.wrong)
    suspects = np.isin(edges.node, edges.node[left])
    judged = _places(edges.node[suspects], edges.place[suspects], nodes)
    while len(left):
        accusers = _places(edges.node[left], edges.place[left], nodes)
        score = wilson_lower(accusers, judged)
        worst_other = np.zeros(nodes)
        np.maximum.at(worst_other, edges.node[left], score[edges.other[left]])
        now = (accusers >= LEAST_ACCUSERS) & (score >= worst_other)
        if not now.any():
            break
        guilty |= now
        left = left[~now[edges.node[left]] & ~now[edges.other[left]]]
    return guilty, left


def wilson_lower(hits: Ints, of: Ints) -> Float:
    """Lower end of the 95 % score interval of a share; 0 of nothing."""
    n = np.maximum(of, 1).astype(np.float64)
    share, z2 = hits / n, NORMAL_975**2
    middle = share + z2 / (2 * n)
    half = NORMAL_975 * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return np.asarray(np.maximum((middle - half) / (1 + z2 / n), 0.0), np.float64)


def _places(node: Ints, place: Ints, nodes: int) -> Ints:
    """How many different places each node has."""
    width = int(place.max(initial=0)) + 1
    distinct = np.unique(node * width + place)
    return np.bincount(distinct // width, minlength=nodes).astype(np.int64)
