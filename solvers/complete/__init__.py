"""A plan of the base problem made to keep the rules: pins, jobs, N-1; each by adding what costs least."""

from solvers.complete.complete import Completed, complete

__all__ = ["Completed", "complete"]
