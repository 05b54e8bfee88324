"""Blocks: the shapes that a site could hold, and how many replicas of each."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.problem.offers import gpu_room, largest_server
from placement.problem.routes import Routes
from placement.problem.shapes import quarters
from placement.scenario import Scenario
from solvers.problem import CAPACITY_FACTOR

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def all_blocks(
    scenario: Scenario, routes: Routes, shapes: pd.DataFrame, offers: pd.DataFrame, row_slice: Int, slices: int
) -> tuple[pd.DataFrame, Int]:
    """Blocks that a site could hold and demand could fill, sorted by (site, shape), and each route's block or -1."""
    key = routes.site * len(shapes) + routes.shape
    used, block = np.unique(key, return_inverse=True)
    site, shape = used // max(len(shapes), 1), used % max(len(shapes), 1)
    load = np.bincount(block * slices + row_slice[routes.demand], routes.load, len(used) * slices)
    by_demand = np.ceil(load.reshape(len(used), slices).max(axis=1, initial=0.0) / CAPACITY_FACTOR)
    room = gpu_room(scenario, offers)
    gpu = shapes["gpu"].to_numpy()[shape]
    most = np.array([room.get((s, g), 0.0) for s, g in zip(site, gpu, strict=True)])
    biggest = largest_server(offers)
    fits = np.array([biggest.get((s, g), 0) for s, g in zip(site, gpu, strict=True)])
    size = quarters(shapes)[shape]
    by_room = np.where(4 * fits >= size, np.floor(4 * most / size), 0)
    limit = np.minimum(by_demand, by_room).astype(np.int64)
    held = limit > 0
    renumber = np.where(held, np.cumsum(held) - 1, -1)
    blocks = pd.DataFrame({"site": site[held], "shape": shape[held], "max": limit[held]})
    return blocks, renumber[block]


def useful_servers(offers: pd.DataFrame, blocks: pd.DataFrame, shapes: pd.DataFrame) -> Float:
    """Servers of a kind that carry every block at its most, O: a plan with more of the kind has some to spare."""
    need = pd.DataFrame(
        {
            "site_number": blocks["site"].to_numpy(),
            "gpu": shapes["gpu"].to_numpy()[blocks["shape"]],
            "gpus": blocks["max"].to_numpy() * quarters(shapes)[blocks["shape"]] / 4,
        }
    )
    total = need.groupby(["site_number", "gpu"])["gpus"].sum()
    gpus = np.array([total.get(key, 0.0) for key in zip(offers["site_number"], offers["gpu"], strict=True)], np.float64)
    return np.ceil(gpus / offers["gpus"].to_numpy(np.float64))


def choices(blocks: pd.DataFrame, shapes: pd.DataFrame) -> Int:
    """A number for blocks of one (site, model, GPU, size) where there are several, else -1; B."""
    group = shapes.groupby(["model", "gpu", "gpus_per_replica"], sort=True).ngroup().to_numpy()
    key = blocks["site"].to_numpy(np.int64) * (group.max(initial=0) + 1) + group[blocks["shape"]]
    _, number, count = np.unique(key, return_inverse=True, return_counts=True)
    several = count[number] > 1
    _, compact = np.unique(number[several], return_inverse=True)
    choice = np.full(len(blocks), -1, np.int64)
    choice[several] = compact
    return choice
