"""Which of the replicas that appear are those that disappear elsewhere.

A replica of a model that goes at a site where another of the same model and owner comes is *reshaped*. Of what is left
a replica that goes at one site and one that comes at another are one that *moved*. A replica's weights come over the
uplink of the site where it appears, wherever it was before, so that no pairing is quicker than another; the nearest
two are paired, the shortest way first. All by itself in each slice.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from placement.geo import great_circle_km
from placement.plan.steps import Place

Points: TypeAlias = Mapping[str, tuple[float, float]]
"""Latitude and longitude of sites, degrees."""


@dataclass(frozen=True, order=True)
class Moved:
    """`count` replicas of a model that stand elsewhere, or at the same site in another shape."""

    model: str
    tenant: str
    slice: str
    source: str
    source_shape: str
    target: str
    target_shape: str
    count: int

    @property
    def reshaped(self) -> bool:
        """Whether the site stays the same."""
        return self.source == self.target


def paired(old: Mapping[Place, int], new: Mapping[Place, int], model: Mapping[str, str], points: Points) -> list[Moved]:
    """What was reshaped and what moved, sorted; `model` is that of each shape. Shapes of no known model do not pair."""
    gone: dict[tuple[str, str, str], dict[Place, int]] = defaultdict(dict)
    come: dict[tuple[str, str, str], dict[Place, int]] = defaultdict(dict)
    for place in sorted(old.keys() | new.keys()):
        change = new.get(place, 0) - old.get(place, 0)
        if change and place[1] in model:
            (come if change > 0 else gone)[model[place[1]], place[2], place[3]][place] = abs(change)
    found: list[Moved] = []
    for kind in sorted(gone.keys() & come.keys()):
        sources, targets = list(gone[kind]), list(come[kind])
        km = _km(points, [place[0] for place in sources], [place[0] for place in targets])
        for at in np.argsort(km, axis=None, kind="stable").tolist():
            a, b = sources[at // len(targets)], targets[at % len(targets)]
            count = min(gone[kind][a], come[kind][b])
            if count:
                gone[kind][a] -= count
                come[kind][b] -= count
                found.append(Moved(*kind, a[0], a[1], b[0], b[1], count))
    return sorted(found)


def _km(points: Points, sources: list[str], targets: list[str]) -> NDArray[np.float64]:
    """Distances, sources × targets; a site to itself before every other, one that is not known any more after."""
    nowhere = (np.nan, np.nan)
    (a, b), (c, d) = (np.array([points.get(site, nowhere) for site in sites]).T for sites in (sources, targets))
    km = great_circle_km(a[:, None], b[:, None], c[None, :], d[None, :])
    km[np.array(sources)[:, None] == np.array(targets)[None, :]] = -1.0
    return np.where(np.isnan(km), np.inf, km)
