"""One group's tree from its root, with cuts, to the certificate's value."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from solvers.bound.cuts import chosen, together
from solvers.bound.groups.ascent import empty_course
from solvers.bound.groups.group import Box, Group, group_of, whole_box
from solvers.bound.groups.restrict import Restricted
from solvers.bound.groups.sites import empty_choice, empty_work
from solvers.bound.groups.tables import Tables, empty_tables, fill_tables
from solvers.bound.groups.tree import Effort, Nodes, Space, bound_node, grow, worst_leaf
from solvers.bound.layout import layout_of
from solvers.bound.separate import Means, separate
from solvers.problem import Problem
from solvers.solution import SPLIT_REPLICAS, SPLIT_SERVERS, Cuts, GroupLeaf, Tree
from solvers.solution import Group as Listed

Float = NDArray[np.float64]
Int = NDArray[np.int64]

ROOT = Effort(150, 0.03, 0.001)
NODE = Effort(60, 0.01, 0.0005)
CUT_ROUNDS = 3
MOST_CUTS = 60
LEAST_PRICE = 1e-4
"""Of a cut, in its unit, to be kept."""
CANDIDATES = 8
FIRST_ROOM = 256


@dataclass
class GroupSearch:
    """A group, its cuts and its tree. `root_usd` are the prices that the root of the tree starts from."""

    part: Restricted
    root_usd: Float
    cuts: Cuts = field(default_factory=Cuts)
    cut_usd: Float = field(default_factory=lambda: np.empty(0))
    sweeps: int = 0

    def __post_init__(self) -> None:
        self.layout = layout_of(self.part.problem)
        row_usd, cut_usd = np.minimum(self.root_usd, self.part.problem.unserved_usd), self.cut_usd
        for k in range(CUT_ROUNDS + 1):
            self._plant(row_usd, cut_usd)
            if k == CUT_ROUNDS or not len(self.group.pair_load):
                break
            row_usd, cut_usd = self.nodes.row_usd[0].copy(), self.nodes.cut_usd[0]
            kept = cut_usd > LEAST_PRICE * self.space.course.cut_unit
            means = Means(self.space.course.share, self.space.course.replicas)
            new = separate(self.layout, means, row_usd, MOST_CUTS, 1)
            if not new.count:
                break
            self.cuts = together(chosen(self.cuts, kept), new) if self.cuts.count else new
            cut_usd = np.append(cut_usd[kept], np.zeros(new.count))

    def _plant(self, row_usd: Float, cut_usd: Float) -> None:
        """Begin the tree with its root at these prices."""
        self.group = group_of(self.layout, self.cuts)
        self.box = whole_box(self.group)
        self.space = space_of(self.group, self.box, cut_units(self.part.problem, self.group))
        self.nodes = empty_nodes(FIRST_ROOM, len(row_usd), len(cut_usd))
        self.nodes.filled[0] = 1
        self.nodes.row_usd[0], self.nodes.cut_usd[0] = row_usd, cut_usd
        self.sweeps += bound_node(self.group, self.box, self.nodes, 0, self.space, ROOT, -np.inf)

    @property
    def worth(self) -> float:
        """W: the most that the group earns."""
        return float(self.nodes.worth[worst_leaf(self.nodes)])

    @property
    def leaves(self) -> int:
        return (int(self.nodes.filled[0]) + 1) // 2

    def grow(self, branchings: int, enough: float = -np.inf) -> bool:
        """Branch the leaf that sets W so many times; False when there is nothing left to gain."""
        while self.nodes.filled[0] + 2 * branchings > len(self.nodes.parent):
            self.nodes = doubled(self.nodes)
        made, sweeps = grow(self.group, self.box, self.nodes, self.space, NODE, branchings, enough)
        self.sweeps += sweeps
        return made == branchings

    def listed(self) -> Listed:
        """The group as the certificate holds it, in the numbering of the whole problem."""
        part, nodes = self.part, self.nodes
        count = int(nodes.filled[0])
        inner = np.flatnonzero(nodes.left[:count] >= 0)
        outer = np.flatnonzero(nodes.left[:count] < 0)
        number = np.empty(count, np.int64)
        number[inner], number[outer] = np.arange(len(inner)), -1 - np.arange(len(outer))
        s = self.layout.structure
        index = part.site[np.clip(nodes.counted[inner], 0, len(part.site) - 1)]
        servers, replicas = nodes.kind[inner] == SPLIT_SERVERS, nodes.kind[inner] == SPLIT_REPLICAS
        index[servers] = part.offer[s.offers[s.offer_first[nodes.counted[inner][servers]]]]
        index[replicas] = part.block[nodes.counted[inner][replicas]]
        paid = np.asarray((nodes.cut_usd[outer] > 0).any(axis=0), np.bool_)
        cuts = chosen(self.cuts, paid) if self.cuts.count else self.cuts
        return Listed(
            site=part.site,
            row=part.row,
            cuts=Cuts(cuts.unit, cuts.row_first, part.row[cuts.row], cuts.weight, cuts.block_first,
                      part.block[cuts.block]),
            tree=Tree(
                nodes.kind[inner], index, nodes.most[inner], number[nodes.left[inner]], number[nodes.right[inner]]
            ),
            leaves=tuple(GroupLeaf(nodes.row_usd[n].copy(), nodes.cut_usd[n][paid].copy()) for n in outer),
        )  # fmt: skip


def space_of(group: Group, box: Box, cut_unit: Float) -> Space:
    """Work space of a tree whose root allows `box`."""
    base = empty_tables(group)
    for site in range(len(group.open_usd)):
        for unit in range(int(group.unit_first[site]), int(group.unit_first[site + 1])):
            fill_tables(group, box, base, unit, site)
    return Space(
        Box(*(of.copy() for of in box)), base, copied(base), empty_work(group),
        empty_choice(group), empty_course(group, cut_unit), np.zeros(CANDIDATES, np.int64),
        np.zeros(CANDIDATES, np.int64), np.zeros(CANDIDATES, np.int64), np.zeros(CANDIDATES),
    )  # fmt: skip


def copied(tables: Tables) -> Tables:
    """Tables of their own."""
    return Tables(tables.cost.copy(), tables.servers.copy(), tables.most.copy(), tables.must.copy())


def empty_nodes(room: int, rows: int, cuts: int) -> Nodes:
    """Room for a tree."""
    parent, left, right, kind, counted, most = np.full((6, room), -1, np.int64)
    return Nodes(
        np.zeros(1, np.int64), parent, left, right, kind, counted, most,
        np.full(room, np.inf), np.zeros((room, rows)), np.zeros((room, cuts)),
    )  # fmt: skip


def doubled(nodes: Nodes) -> Nodes:
    """The same tree with room for as much again."""
    room = len(nodes.parent)
    larger = empty_nodes(2 * room, nodes.row_usd.shape[1], nodes.cut_usd.shape[1])
    larger.filled[:] = nodes.filled
    for old, new in zip(nodes[1:], larger[1:], strict=True):
        new[:room] = old
    return larger


def cut_units(problem: Problem, group: Group) -> Float:
    """What a step of each cut's price is measured in: a twentieth of the rows' price of the replicas that count one."""
    cuts = group.cuts
    busy = np.bincount(problem.pair_demand, problem.pair_load, minlength=problem.demands)
    per_replica = float(problem.unserved_usd.sum() / max(busy.sum(), 1e-300)) if problem.pairs else 0.0
    return np.full(len(cuts.net), 0.05 * per_replica)
