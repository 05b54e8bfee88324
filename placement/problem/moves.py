"""(14) Moves: what stood before the plan, and what adding to it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from placement.problem.errors import UnplannableError
from placement.problem.names import ShapeName
from placement.scenario import Scenario, previous
from placement.scenario.previous import PLAN
from solvers.rules import Moves

Int = NDArray[np.int64]

Place = tuple[str, str, str, str]
"""(site, shape, tenant or "" for anybody, slice or "" for every slice)"""


class PreviousPlanError(UnplannableError):
    """The plan that moves are counted from is not there or not readable."""


@dataclass(frozen=True)
class Previous:
    """Replicas of the plan before, as they stand in its first period."""

    replicas: Mapping[Place, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def shapes(self) -> frozenset[tuple[str, str]]:
        """The (shape, tenant) that stand anywhere."""
        return frozenset((shape, tenant) for (_, shape, tenant, _), count in self.replicas.items() if count)


def read_previous(path: Path) -> Previous:
    """The replicas of a plan: its folder, or its plan.json.

    Raises:
        PreviousPlanError: there is no plan.json, or it is none of ours.
    """
    folder = path if path.name != PLAN else path.parent
    plan, wrong, mend = previous.read_previous(folder.parent, folder.name)
    if plan is None:
        raise PreviousPlanError(f"the previous plan {folder.name!r}: {wrong}. {mend}")
    first = plan["periods"][0]["period"] if plan["periods"] else None
    found: dict[Place, int] = {}
    for row in plan["replicas"]:
        if row["period"] == first:
            place = (row["site"], row["shape"], row["tenant"] or "", row["slice"] or "")
            found[place] = found.get(place, 0) + int(row["count"])
    return Previous(MappingProxyType(found))


def moves_counted(scenario: Scenario) -> bool:
    """Whether a limit, a price or a goal asks how many replicas are added."""
    stability = scenario.document.stability
    asked = stability.max_moves is not None or stability.usd_per_move is not None
    return asked or "moves" in scenario.document.objective.goals


def moves_rule(
    scenario: Scenario,
    before: Previous | None,
    months: float,
    places: list[tuple[str, ShapeName, str]],
    slices: tuple[str, ...],
) -> Moves:
    """The rule of the first period over `places` (site, shape, slice or "" for all), B.

    Raises:
        PreviousPlanError: there is no plan to count from.
    """
    if before is None:
        raise PreviousPlanError("moves are limited, priced or a goal, and stability.previous_plan names no plan")
    stability = scenario.document.stability
    standing = [_standing(before, site, shape, name, slices) for site, shape, name in places]
    usd = (stability.usd_per_move or 0.0) / months
    most = np.inf if stability.max_moves is None else float(stability.max_moves)
    return Moves(np.array(standing, np.int64), np.full(len(places), usd), most)


def _standing(before: Previous, site: str, shape: ShapeName, name: str, slices: tuple[str, ...]) -> int:
    """Replicas that stood in the slice; where all slices are one, those that stood in any of them."""
    place = (site, shape.shape, shape.tenant)
    own = [name] if name else [t for t in slices if t]
    in_slices = max((before.replicas.get((*place, t), 0) for t in own), default=0)
    return before.replicas.get((*place, ""), 0) + in_slices
