"""Lower bounds by Lagrangian relaxation, and the multipliers that prove them."""

from solvers.bound.ascent import BoundResult, lagrangian_bound
from solvers.bound.evaluate import evaluate

__all__ = ["BoundResult", "evaluate", "lagrangian_bound"]
