"""One function per family of constraints, by theme; a family that a problem does not need has no rows.

To add a family: a function (problem, columns, most) → `Rows` whose docstring begins with its equation, and its place
in `FAMILIES`. Symbols are those of `solvers.problem` and `solvers.rules`.
"""

from solvers.exact.rows.base import Family, Rows
from solvers.exact.rows.gpus import gpus, one_operating_point, operating_point
from solvers.exact.rows.money import limits, monthly_budget, total_vector, totals
from solvers.exact.rows.places import downlink, left_out, offers, open_sites, peak, site_resources, uplink
from solvers.exact.rows.reserve import RESERVE_FAMILIES
from solvers.exact.rows.serving import (
    demand,
    least_share,
    linking,
    most_sites,
    opening,
    replica_capacity,
    used_sites,
)
from solvers.exact.rows.standing import added, job_site, least_pinned, most_added, most_pinned, one_option

__all__ = ["FAMILIES", "Family", "Rows", "total_vector"]

FAMILIES: tuple[Family, ...] = (
    demand,
    replica_capacity,
    linking,
    opening,
    gpus,
    operating_point,
    one_operating_point,
    site_resources,
    offers,
    open_sites,
    uplink,
    downlink,
    limits,
    monthly_budget,
    used_sites,
    least_share,
    most_sites,
    peak,
    left_out,
    added,
    most_added,
    least_pinned,
    most_pinned,
    one_option,
    job_site,
    totals,
    *RESERVE_FAMILIES,
)
