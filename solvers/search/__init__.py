"""Plans of problems too large for one mixed-integer program."""

from solvers.search.greedy import greedy
from solvers.search.refused import refused_at_scale
from solvers.search.rollout import solve_rollout_scale
from solvers.search.scale import Progress, net_gap, solve_scale

__all__ = ["Progress", "greedy", "net_gap", "refused_at_scale", "solve_rollout_scale", "solve_scale"]
