"""Plans of problems too large for one mixed-integer program."""

from solvers.search.greedy import greedy
from solvers.search.scale import Progress, net_gap, solve_scale

__all__ = ["Progress", "greedy", "net_gap", "solve_scale"]
