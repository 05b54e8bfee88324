"""The bound that a certificate with groups proves, by the kernels: any prices, cuts and trees are sound."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from solvers.bound.evaluate import Evaluator
from solvers.bound.groups.ascent import worth
from solvers.bound.groups.group import group_of, whole_box
from solvers.bound.groups.restrict import Restricted, part_of, priced
from solvers.bound.groups.search import empty_nodes, space_of
from solvers.bound.groups.tree import Nodes, set_box
from solvers.bound.layout import layout_of
from solvers.problem import Problem
from solvers.solution import SPLIT_REPLICAS, SPLIT_SERVERS, Certificate, Cuts, Group

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def certified_usd(problem: Problem, certificate: Certificate) -> float:
    """The lower bound of `problem`, USD a month, that prices, cuts and groups of `certificate` prove together."""
    at = certificate.multipliers
    capped = replace(at, demand_usd=np.minimum(at.demand_usd, problem.unserved_usd))
    with Evaluator(layout_of(problem), 1) as evaluator:
        evaluator.use(certificate.cuts)
        bound = evaluator.sweep(capped).bound_usd
        grouped = np.zeros(problem.sites, np.bool_)
        for group in certificate.groups:
            grouped[group.site] = True
        bound += float(np.maximum(evaluator.answer.profit, 0.0)[grouped].sum())
    whole = priced(problem, certificate)
    return bound - sum(group_worth(part_of(whole, group.site), group) for group in certificate.groups)


def group_worth(part: Restricted, group: Group) -> float:
    """W: the most that the group earns in any leaf."""
    layout = layout_of(part.problem)
    kernel = group_of(layout, _numbered(part, group.cuts))
    box = whole_box(kernel)
    space = space_of(kernel, box, np.zeros(group.cuts.count))
    nodes, first_leaf = nodes_of(part, group)
    place = np.searchsorted(group.row, part.row)
    most = -np.inf
    for k, leaf in enumerate(group.leaves):
        if not set_box(kernel, box, nodes, first_leaf + k, space):
            continue
        row_usd = np.clip(leaf.demand_usd[place], 0.0, kernel.price)
        most = max(
            most,
            worth(kernel, row_usd, leaf.cut_usd.astype(float), space.box, space.tables, space.work, space.choice),
        )
    return most


def _numbered(part: Restricted, cuts: Cuts) -> Cuts:
    """The group's cuts in its own numbering."""
    return replace(cuts, row=np.searchsorted(part.row, cuts.row), block=np.searchsorted(part.block, cuts.block))


def nodes_of(part: Restricted, group: Group) -> tuple[Nodes, int]:
    """The tree in the group's numbering, branchings first; and where its leaves begin."""
    tree, inner = group.tree, len(group.tree.kind)
    nodes = empty_nodes(inner + len(group.leaves), 0, 0)
    nodes.filled[0] = inner + len(group.leaves)
    offer_kind = np.full(len(part.offer), -1)
    s = layout_of(part.problem).structure
    offer_kind[s.offers] = np.repeat(np.arange(len(s.offer_first) - 1), np.diff(s.offer_first))
    for n in range(inner):
        nodes.kind[n], nodes.most[n] = tree.kind[n], tree.most[n]
        if tree.kind[n] == SPLIT_SERVERS:
            nodes.counted[n] = offer_kind[np.searchsorted(part.offer, tree.index[n])]
        elif tree.kind[n] == SPLIT_REPLICAS:
            nodes.counted[n] = np.searchsorted(part.block, tree.index[n])
        else:
            nodes.counted[n] = np.searchsorted(part.site, tree.index[n])
        for children, child in ((nodes.left, int(tree.left[n])), (nodes.right, int(tree.right[n]))):
            at = child if child >= 0 else inner - 1 - child
            children[n] = at
            nodes.parent[at] = n
    return nodes, inner
