"""A plan of the base problem made to keep the rules: pins, jobs, N-1."""

from solvers.complete.complete import Completed, Effort, annealed, complete

__all__ = ["Completed", "Effort", "annealed", "complete"]
