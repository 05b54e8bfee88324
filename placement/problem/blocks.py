"""Blocks: the shapes that a site could hold, and how many replicas of each."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import numbered, texts
from placement.problem.offers import Offers
from placement.problem.routes import Routes
from placement.problem.shapes import groups, quarters
from solvers.problem import CAPACITY_FACTOR

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """Shapes at sites, B each, sorted by (site, shape), with the most replicas that could be of use."""

    site: Int
    shape: Int
    most: Int
    choice: Int  # the same number: at most one of them runs; -1: free
    of_route: Int  # N: block of every route, -1 where the site cannot hold the shape


def all_blocks(
    routes: Routes, shapes: pd.DataFrame, gpus: tuple[str, ...], room: tuple[Int, Int], slices: int, row_slice: Int
) -> Blocks:
    """The blocks that demand could fill and a site could hold; `room` is that of `gpu_room`."""
    count = max(len(shapes), 1)
    used, block = np.unique(routes.site * count + routes.shape, return_inverse=True)
    site, shape = used // count, used % count
    load = np.bincount(block * slices + row_slice[routes.demand], routes.load, len(used) * slices)
    by_demand = np.ceil(load.reshape(len(used), slices).max(axis=1, initial=0.0) / CAPACITY_FACTOR)
    gpu_number = numbered(gpus)
    gpu = np.array([gpu_number[name] for name in texts(shapes, "gpu")], np.int64)[shape]
    size = quarters(shapes)[shape]
    total, largest = room
    by_room = np.where(4 * largest[site, gpu] >= size, 4 * total[site, gpu] // size, 0)
    most = np.minimum(by_demand, by_room).astype(np.int64)
    held = most > 0
    renumbered = np.where(held, np.cumsum(held) - 1, -1)
    site, shape = site[held], shape[held]
    return Blocks(site, shape, most[held], _choice(site, shape, shapes), renumbered[block])


def useful_servers(offers: Offers, blocks: Blocks, shapes: pd.DataFrame, servers: pd.DataFrame) -> Int:
    """Servers of a kind that carry every block of a site at its most, O; more of the kind would be to spare."""
    kinds = {name: j for j, name in enumerate(sorted(set(texts(servers, "gpu"))))}
    gpu_of_shape = np.array([kinds[name] for name in texts(shapes, "gpu")], np.int64)
    gpu_of_server = np.array([kinds[name] for name in texts(servers, "gpu")], np.int64)
    need = np.zeros((int(offers.site.max(initial=0)) + 1, len(kinds)))
    np.add.at(need, (blocks.site, gpu_of_shape[blocks.shape]), blocks.most * quarters(shapes)[blocks.shape] / 4)
    size = np.asarray(servers["gpus"], np.float64)[offers.server]
    return np.ceil(need[offers.site, gpu_of_server[offers.server]] / size).astype(np.int64)


def _choice(site: Int, shape: Int, shapes: pd.DataFrame) -> Int:
    """A number for blocks of one (site, model, GPU, size) where there are several, else -1; B."""
    group = groups(shapes)
    _, number, count = np.unique(
        site * (group.max(initial=0) + 1) + group[shape], return_inverse=True, return_counts=True
    )
    several = count[number] > 1
    choice = np.full(len(site), -1, np.int64)
    choice[several] = np.unique(number[several], return_inverse=True)[1]
    return choice
