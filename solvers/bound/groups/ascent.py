"""Good prices for one node of a group's tree: a few dozen steps from its parent's."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.groups.group import Box, Group
from solvers.bound.groups.sites import Choice, Work, earnings
from solvers.bound.groups.tables import Tables

Float = NDArray[np.float64]


class Course(NamedTuple):
    """Work space of the ascent: Adam's moments (the second is kept from node to node), the best prices, averages."""

    row_slope: Float  # I
    row_square: Float
    cut_slope: Float  # C
    cut_square: Float
    cut_unit: Float  # C: USD that one step of a cut's price is measured in
    best_row: Float
    best_cut: Float
    served: Float  # I
    open: Float  # P: averages
    servers: Float  # K
    replicas: Float  # B
    share: Float  # N, in the structure's order
    steps: NDArray[np.int64]  # 1: how often the squares were updated


def empty_course(group: Group, cut_unit: Float) -> Course:
    rows, cuts = len(group.price), len(group.cuts.net)
    return Course(
        np.zeros(rows), np.zeros(rows), np.zeros(cuts), np.zeros(cuts), cut_unit, np.zeros(rows), np.zeros(cuts),
        np.zeros(rows), np.zeros(len(group.open_usd)), np.zeros(len(group.kind_site)),
        np.zeros(len(group.replica_usd)), np.zeros(len(group.pair_load)), np.zeros(1, np.int64),
    )  # fmt: skip


MEMORY = 0.85
SCALE_MEMORY = 0.97
LEAST_SLOPE = 1e-3


@njit(cache=True, nogil=True)
def worth(group: Group, row_usd: Float, cut_usd: Float, box: Box, tables: Tables, work: Work, choice: Choice) -> float:
    """The most that the group earns in the box: what the leaf proves at these prices."""
    total = earnings(group, row_usd, cut_usd, box, tables, work, choice)
    for i in range(len(row_usd)):
        total += group.price[i] - row_usd[i]
    for c in range(len(cut_usd)):
        total -= cut_usd[c] * group.cuts.net[c]
    return float(total)


@njit(cache=True, nogil=True)
def ascend(
    group: Group, row_usd: Float, cut_usd: Float, box: Box, tables: Tables, work: Work, choice: Choice,
    course: Course, sweeps: int, first_step: float, last_step: float, enough: float,
) -> tuple[float, int]:  # fmt: skip
    """Improve the prices in place, by at most `sweeps` sweeps; returns the least worth and the sweeps made.

    Ends early when the worth is ≤ `enough`. `row_usd` and `cut_usd` end at the best prices found.
    """
    best = np.inf
    course.open[:] = 0.0
    course.servers[:] = 0.0
    course.replicas[:] = 0.0
    course.share[:] = 0.0
    course.row_slope[:] = 0.0
    course.cut_slope[:] = 0.0
    weight = 0.0
    done = 0
    for k in range(sweeps):
        now = worth(group, row_usd, cut_usd, box, tables, work, choice)
        done += 1
        if now < best:
            best = now
            course.best_row[:] = row_usd
            course.best_cut[:] = cut_usd
        if now == -np.inf or best <= enough:
            break
        if k >= 0.3 * sweeps:
            weight += 1.0
            add_choice(choice, course)
        if k == sweeps - 1:
            break
        count_served(group, choice, course.served)
        step = first_step * (last_step / first_step) ** (k / sweeps)
        course.steps[0] += 1
        fade = 1.0 - SCALE_MEMORY ** course.steps[0]
        warm = 1.0 - MEMORY ** (k + 1)
        step_rows(group, row_usd, course, step, warm, fade)
        step_cuts(group, cut_usd, choice, course, step, warm, fade)
    row_usd[:] = course.best_row
    cut_usd[:] = course.best_cut
    if weight == 0.0:
        weight = 1.0
        add_choice(choice, course)
    course.open[:] /= weight
    course.servers[:] /= weight
    course.replicas[:] /= weight
    course.share[:] /= weight
    return best, done


@njit(cache=True, nogil=True)
def step_rows(group: Group, row_usd: Float, course: Course, step: float, warm: float, fade: float) -> None:
    """Multiply the rows' prices by up to exp(step), never beyond the root's."""
    for i in range(len(row_usd)):
        slope = 1.0 - course.served[i]
        if slope > 0.0 and row_usd[i] >= group.price[i]:
            slope = 0.0
        course.row_slope[i] += (1 - MEMORY) * (slope - course.row_slope[i])
        course.row_square[i] += (1 - SCALE_MEMORY) * (slope * slope - course.row_square[i])
        way = course.row_slope[i] / warm / (np.sqrt(course.row_square[i] / fade) + LEAST_SLOPE)
        row_usd[i] = min(max(row_usd[i], 1e-9 * group.price[i]) * np.exp(step * way), group.price[i])


@njit(cache=True, nogil=True)
def step_cuts(
    group: Group, cut_usd: Float, choice: Choice, course: Course, step: float, warm: float, fade: float
) -> None:
    """Move the cuts' prices by up to `step` of their unit, never below 0."""
    for c in range(len(cut_usd)):
        slope = cut_slope(group, choice, c)
        if slope < 0.0 and cut_usd[c] <= 0.0:
            slope = 0.0
        course.cut_slope[c] += (1 - MEMORY) * (slope - course.cut_slope[c])
        course.cut_square[c] += (1 - SCALE_MEMORY) * (slope * slope - course.cut_square[c])
        way = course.cut_slope[c] / warm / (np.sqrt(course.cut_square[c] / fade) + LEAST_SLOPE)
        cut_usd[c] = max(0.0, cut_usd[c] + step * course.cut_unit[c] * way)


@njit(cache=True, nogil=True)
def count_served(group: Group, choice: Choice, served: Float) -> None:
    """How often every row is served."""
    served[:] = 0.0
    for j in range(len(choice.share)):
        served[group.pair_demand[j]] += choice.share[j]


@njit(cache=True, nogil=True)
def cut_slope(group: Group, choice: Choice, c: int) -> float:
    """By how much the choice misses cut c: what its price gains."""
    cuts = group.cuts
    slope = cuts.net[c]
    for at in range(cuts.block_first[c], cuts.block_first[c + 1]):
        slope -= cuts.block_usd[at] * choice.replicas[cuts.block[at]]
    for at in range(cuts.pair_first[c], cuts.pair_first[c + 1]):
        slope += cuts.pair_usd[at] * choice.share[cuts.pair[at]]
    return float(slope)


@njit(cache=True, nogil=True)
def add_choice(choice: Choice, course: Course) -> None:
    """Add to the averages."""
    course.open[:] += choice.open
    course.servers[:] += choice.servers
    course.replicas[:] += choice.replicas
    course.share[:] += choice.share
