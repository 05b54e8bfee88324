"""The placement problem as one mixed-integer program, solved by OR-Tools."""

from solvers.exact.core import solve_core
from solvers.exact.flow import best_flow
from solvers.exact.model import Model, build_model
from solvers.exact.solve import BACKENDS, solve_exact

__all__ = ["BACKENDS", "Model", "best_flow", "build_model", "solve_core", "solve_exact"]
