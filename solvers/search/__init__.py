"""Plans of problems too large for one mixed-integer program."""

from solvers.search.scale import Progress, net_gap, solve_scale

__all__ = ["Progress", "net_gap", "solve_scale"]
