"""Best-first branch and bound over a group: always the leaf that sets the bound is branched."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.groups.ascent import Course, ascend
from solvers.bound.groups.branching import candidates
from solvers.bound.groups.group import CLOSED, OPEN, Box, Group
from solvers.bound.groups.sites import Choice, Work
from solvers.bound.groups.tables import IMPOSSIBLE, Tables, fill_tables
from solvers.solution import SPLIT_OPEN, SPLIT_SERVERS

Float = NDArray[np.float64]
Int = NDArray[np.int64]

UNBRANCHED, EXACT, DONE = -1, -2, -3
"""What stands in `left` of a leaf: it may be branched; nothing is left to branch; nor have better prices been found."""

POLISH = (150, 0.03, 0.0003)
GAINED = 1e-6
"""Part of its worth that a leaf has to lose to be polished again."""


class Nodes(NamedTuple):
    """A tree by nodes, with room for more; node 0 is the root. Counts are of the group's own sites, kinds, blocks."""

    filled: Int  # 1
    parent: Int
    left: Int  # children, or UNBRANCHED, EXACT
    right: Int
    kind: Int  # what the node branches on; of a leaf, what it would
    counted: Int  # site, kind or block
    most: Int
    worth: Float
    row_usd: Float  # nodes × I
    cut_usd: Float  # nodes × C


class Space(NamedTuple):
    """Work space of one tree."""

    box: Box
    base: Tables  # of the root's box
    tables: Tables
    work: Work
    choice: Choice
    course: Course
    kinds: Int
    indices: Int
    mosts: Int
    scores: Float


class Effort(NamedTuple):
    """How much a node is worth."""

    sweeps: int
    first_step: float
    last_step: float


@njit(cache=True, nogil=True)
def narrow_counts(least: Int, most: Int, index: int, at: int, right: bool) -> bool:
    """At most `at` of a count, or more; False where nothing is left."""
    if right:
        least[index] = max(least[index], at + 1)
    else:
        most[index] = min(most[index], at)
    return bool(least[index] <= most[index])


@njit(cache=True, nogil=True)
def narrow(group: Group, box: Box, kind: int, index: int, at: int, right: bool) -> bool:
    """Put one branching into the box; False where it contradicts what is there."""
    if kind == SPLIT_OPEN:
        if at != 0:
            return not right if at > 0 else right
        wanted, excluded = (OPEN, CLOSED) if right else (CLOSED, OPEN)
        possible = box.open[index] != excluded
        box.open[index] = wanted
        return bool(possible)
    if kind == SPLIT_SERVERS:
        site = group.kind_site[index]
        possible = narrow_counts(box.servers_least, box.servers_most, index, at, right)
    else:
        site = group.block_site[index]
        possible = narrow_counts(box.replicas_least, box.replicas_most, index, at, right)
    if right and at >= 0:
        possible = possible and box.open[site] != CLOSED
        box.open[site] = OPEN
    return bool(possible)


@njit(cache=True, nogil=True)
def set_box(group: Group, root: Box, nodes: Nodes, node: int, space: Space) -> bool:
    """Make the box and the server tables of a node; False where its limits contradict each other."""
    box = space.box
    box.open[:] = root.open
    box.servers_least[:] = root.servers_least
    box.servers_most[:] = root.servers_most
    box.replicas_least[:] = root.replicas_least
    box.replicas_most[:] = root.replicas_most
    space.tables.cost[:] = space.base.cost
    space.tables.servers[:] = space.base.servers
    space.tables.most[:] = space.base.most
    space.tables.must[:] = space.base.must
    possible = True
    at = node
    while nodes.parent[at] >= 0:
        above = nodes.parent[at]
        right = nodes.right[above] == at
        if not narrow(group, box, nodes.kind[above], nodes.counted[above], nodes.most[above], right):
            possible = False
        at = above
    if not possible:
        return False
    for p in range(len(group.open_usd)):
        for unit in range(group.unit_first[p], group.unit_first[p + 1]):
            moved = False
            for k in range(group.kind_first[unit], group.kind_first[unit + 1]):
                if box.servers_least[k] != root.servers_least[k] or box.servers_most[k] != root.servers_most[k]:
                    moved = True
            if moved:
                fill_tables(group, box, space.tables, unit, p)
                if space.tables.most[unit] == IMPOSSIBLE:
                    return False
    return True


@njit(cache=True, nogil=True)
def bound_node(group: Group, root: Box, nodes: Nodes, node: int, space: Space, effort: Effort, enough: float) -> int:
    """Price a node from the prices it holds, and choose what it would branch on; returns the sweeps made."""
    nodes.left[node] = UNBRANCHED
    nodes.right[node] = UNBRANCHED
    if not set_box(group, root, nodes, node, space):
        nodes.worth[node] = -np.inf
        nodes.left[node] = EXACT
        return 0
    nodes.worth[node], done = ascend(
        group, nodes.row_usd[node], nodes.cut_usd[node], space.box, space.tables, space.work, space.choice,
        space.course, effort.sweeps, effort.first_step, effort.last_step, enough,
    )  # fmt: skip
    found = candidates(group, space.box, space.course, space.kinds, space.indices, space.mosts, space.scores)
    if found == 0:
        nodes.left[node] = EXACT
    nodes.kind[node], nodes.counted[node], nodes.most[node] = space.kinds[0], space.indices[0], space.mosts[0]
    return done


@njit(cache=True, nogil=True)
def polish(group: Group, root: Box, nodes: Nodes, node: int, space: Space, enough: float) -> int:
    """Better prices for a leaf that has nothing left to branch; returns the sweeps made."""
    before = nodes.worth[node]
    effort = Effort(POLISH[0], POLISH[1], POLISH[2])
    done = bound_node(group, root, nodes, node, space, effort, enough)
    nodes.left[node] = EXACT if before - nodes.worth[node] > GAINED * abs(before) else DONE
    return done


@njit(cache=True, nogil=True)
def worst_leaf(nodes: Nodes) -> int:
    """The leaf with the highest worth."""
    found, most = 0, -np.inf
    for n in range(nodes.filled[0]):
        if nodes.left[n] < 0 and nodes.worth[n] > most:
            found, most = n, nodes.worth[n]
    return found


@njit(cache=True, nogil=True)
def grow(
    group: Group, root: Box, nodes: Nodes, space: Space, effort: Effort, branchings: int, enough: float
) -> tuple[int, int]:
    """Branch the worst leaf (or polish its prices) up to `branchings` times, while it is worth more than `enough`.

    Returns the branchings and the sweeps made.
    """
    made, sweeps = 0, 0
    while made < branchings:
        node = worst_leaf(nodes)
        if nodes.left[node] == DONE or nodes.worth[node] <= enough or nodes.filled[0] + 2 > len(nodes.parent):
            break
        made += 1
        if nodes.left[node] == EXACT:
            sweeps += polish(group, root, nodes, node, space, enough)
            continue
        first = nodes.filled[0]
        nodes.filled[0] += 2
        nodes.left[node], nodes.right[node] = first, first + 1
        for child in (first, first + 1):
            nodes.parent[child] = node
            nodes.row_usd[child] = nodes.row_usd[node]
            nodes.cut_usd[child] = nodes.cut_usd[node]
            sweeps += bound_node(group, root, nodes, child, space, effort, enough)
    return made, sweeps
