"""Bad geolocation: an end that light contradicts from three places or more, and that one other place would explain.

Who is to blame is worked out in `blame`. An end of which no place on Earth would do is none of this gate's (`anycast`),
nor is one of which most contradictions are disputed: another method has a possible time for the same two.

What is left stands somewhere else than the endpoints table says. The discs around the vantage points say where: it lies
within the smallest, and the estimate is the mean of their centres, weighted by 1 / radius² (constraint-based
geolocation: Gueye et al. 2006).
"""

from collections.abc import Iterable
from functools import partial

import numpy as np

from placement.geo import great_circle_km
from placement.topology.gates.blame import Blamed, blamed, disjoint
from placement.topology.gates.evidence import Evidence, Finding, Positions
from placement.topology.gates.verdicts import EXCLUDE, verdict_rows

NAME = "geolocation"


def judge(evidence: Evidence) -> Finding:
    """Excludes whatever was measured of ends that stand elsewhere, bandwidth too."""
    out = np.zeros(len(evidence.frame), np.bool_)
    rows = []
    for one in _worst_by_end(filter(partial(_stands_elsewhere, evidence.positions), blamed(evidence))):
        which = evidence.rows_of(one.end)
        name = str(evidence.positions.names[one.end])
        rows.append(
            {
                "source": name,
                "series": len(which),
                "records": evidence.records(which),
                "action": EXCLUDE,
                "severity": float(one.accusers),
                "why": _why(name, one, evidence.positions),
            }
        )
        out[which] = True
    return Finding(out, verdict_rows(NAME, rows))


def estimate(positions: Positions, one: Blamed) -> tuple[float, float]:
    """Where the end may stand, degrees: the mean of the vantage points on the sphere, weighted by 1 / radius²."""
    latitude, longitude = np.radians(positions.latitude[one.vantage]), np.radians(positions.longitude[one.vantage])
    weight = one.radius_km**-2.0
    x, y, z = (
        float((weight * part).sum())
        for part in (np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude))
    )
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))


def _stands_elsewhere(positions: Positions, one: Blamed) -> bool:
    """Whether the blame is the place's, and one other place would do."""
    return one.disputed <= 0.5 and not len(disjoint(positions, one)[0])


def _worst_by_end(found: Iterable[Blamed]) -> list[Blamed]:
    """Of the methods by which an end was found, that with most accusers; sorted by end."""
    worst: dict[int, Blamed] = {}
    for one in found:
        if one.end not in worst or one.accusers > worst[one.end].accusers:
            worst[one.end] = one
    return [worst[end] for end in sorted(worst)]


def _why(name: str, one: Blamed, positions: Positions) -> str:
    said = f"{one.accusers} of {one.judged} places contradict where {name} is said to stand"
    if not len(one.vantage):
        return f"{said}; none of them can be relied on to say where it stands"
    latitude, longitude = estimate(positions, one)
    nearest = one.vantage[0]
    moved = great_circle_km(positions.latitude[one.end], positions.longitude[one.end], latitude, longitude)
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return (
        f"{said}: it stands within {one.radius_km[0]:,.0f} km of {positions.names[nearest]}, perhaps at "
        f"{abs(latitude):.1f}° {north} {abs(longitude):.1f}° {east}, {float(moved):,.0f} km away"
    )
