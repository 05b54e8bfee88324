"""Lower bounds by Lagrangian relaxation, and the multipliers that prove them."""

from solvers.bound.ascent import BoundResult
from solvers.bound.evaluate import evaluate
from solvers.bound.lagrangian import lagrangian_bound

__all__ = ["BoundResult", "evaluate", "lagrangian_bound"]
