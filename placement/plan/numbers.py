"""The numbers of a Problem by the names that plans use, to read a plan back."""

from collections import defaultdict
from dataclasses import dataclass, field

from placement.problem.names import Names
from solvers.problem import Problem

Key = tuple[str, ...]


@dataclass(frozen=True)
class Numbers:
    """Names of one period to the numbers of its problem."""

    block: dict[Key, list[int]] = field(default_factory=dict)  # (site, shape, tenant, slice); slice "": all of them
    offer: dict[Key, int] = field(default_factory=dict)  # (site, server, way, tenant)
    demand: dict[Key, int] = field(default_factory=dict)  # (region, model, service, slice)


def numbers(problem: Problem, names: Names) -> Numbers:
    """Every name that a plan of the problem may use."""
    block: dict[Key, list[int]] = defaultdict(list)
    for b, (p, d) in enumerate(zip(problem.block_site.tolist(), problem.block_shape.tolist(), strict=True)):
        t = -1 if problem.block_slice is None else int(problem.block_slice[b])
        shape = names.shapes[d]
        place = (names.sites[p], shape.shape, shape.tenant)
        block[*place, "" if t < 0 else names.slices[t]].append(b)
        if t >= 0:
            block[*place, ""].append(b)
    offer: dict[Key, int] = {(o.site, o.server, o.way, o.tenant): n for n, o in enumerate(names.offers)}
    demand: dict[Key, int] = {(d.region, d.model, d.service, d.slice): i for i, d in enumerate(names.demands)}
    return Numbers(dict(block), offer, demand)
