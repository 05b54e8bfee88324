"""Scenario and pairs to a Problem of arrays for every period, and the names to read a solution by."""

from placement.problem.build import build_rollout
from placement.problem.errors import UnplannableError
from placement.problem.moves import Previous, read_previous
from placement.problem.names import Built, DemandRow, GoalSpec, JobOption, Names, Offer, ShapeName
from placement.problem.periods import demand_rows

__all__ = [
    "Built",
    "DemandRow",
    "GoalSpec",
    "JobOption",
    "Names",
    "Offer",
    "Previous",
    "ShapeName",
    "UnplannableError",
    "build_rollout",
    "demand_rows",
    "read_previous",
]
