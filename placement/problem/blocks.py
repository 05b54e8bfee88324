"""Blocks: the shapes that a site could hold, and how many replicas of each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import numbered, texts
from placement.problem.pins import PinTable
from placement.problem.routes import Piece, Routes
from placement.problem.shapes import groups, quarters
from solvers.problem import CAPACITY_FACTOR, Index

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Hosting:
    """What a site could hold of a shape: P sites, D shapes."""

    shapes: int
    most: Int  # P × D: replicas
    group: Int  # D: (tenant, model, GPU, size); one of a group runs at a site
    model: NDArray[np.str_]  # D


@dataclass(frozen=True)
class Blocks:
    """Shapes at sites, B each, sorted by (site, shape, slice), with the most replicas that could be of use."""

    site: Int
    shape: Int
    slice: Int | None  # None: all blocks stand in all slices
    most: Int
    choice: Int  # the same number: at most one of them runs; -1: free
    number: Index  # of every (site, shape, slice), -1 where the site cannot hold the shape
    of_route: Index  # N: block of every route, -1 likewise


def hosting(shapes: pd.DataFrame, gpus: tuple[str, ...], room: tuple[Int, Int]) -> Hosting:
    """What sites could hold of every shape; `room` is that of `gpu_room`."""
    number, (total, largest) = numbered(gpus), room
    gpu = np.array([number[name] for name in texts(shapes, "gpu")], np.int64)
    size = quarters(shapes)
    most = np.where(4 * largest[:, gpu] >= size, 4 * total[:, gpu] // size, 0)
    return Hosting(len(shapes), most.astype(np.int64), groups(shapes), np.array(texts(shapes, "model"), str))


def all_blocks(
    routes: Routes,
    loads: Iterator[tuple[Piece, Float]],
    row_slice: Int,
    host: Hosting,
    slices: int,
    *,
    follows: bool = False,
    reserve: bool = False,
    pins: PinTable | None = None,
    last: Blocks | None = None,
) -> Blocks:
    """The blocks that demand could fill and a site could hold, and those that pins ask for.

    A row is on a block with its primary and its backup share together at most once, so the loads of all routes bound
    what could be of use, in either role. With a `reserve` a block counts as a place to go though its rows ask nothing.
    `loads` are those of all routes, some at a time. `last` are the blocks of a period with the same routes, whose
    numbers they keep where these are the same.
    """
    stands = slices if follows else 1
    asked = pinned_replicas(pins, host, stands)
    exists = asked > 0
    busiest = np.zeros((len(asked), slices))
    for piece, load in loads:
        key = _places(routes, piece, row_slice, host, stands)
        exists[key] = True
        busiest += np.bincount(key * slices + row_slice[piece.demand], load, busiest.size).reshape(busiest.shape)
    used = np.flatnonzero(exists)
    site, shape = used // stands // max(host.shapes, 1), used // stands % max(host.shapes, 1)
    busiest = busiest[used].max(axis=1, initial=0.0)
    useful = np.maximum(np.ceil(busiest / CAPACITY_FACTOR), asked[used])
    if reserve:
        useful = np.maximum(useful, 1)
    most = np.minimum(useful, host.most[site, shape]).astype(np.int64)
    held = most > 0
    number = np.full(len(asked), -1, np.int32)
    number[used[held]] = np.arange(int(held.sum()))
    if last is not None and np.array_equal(number, last.number):
        block = last.of_route
    else:
        block = _of_routes(routes, number, row_slice, host, stands)
    site, shape, own = site[held], shape[held], used[held] % stands
    choice = _choice((site * stands + own) * (host.group.max(initial=0) + 1) + host.group[shape])
    return Blocks(site, shape, own if follows else None, most[held], choice, number, block)


def _of_routes(routes: Routes, number: Index, row_slice: Int, host: Hosting, stands: int) -> Index:
    """The block of every route, N."""
    found = np.empty(routes.number, number.dtype)
    for piece in routes.pieces():
        found[piece.span] = number[_places(routes, piece, row_slice, host, stands)]
    return found


def _places(routes: Routes, piece: Piece, row_slice: Int, host: Hosting, stands: int) -> Int:
    """The (site, shape, slice) of some routes, one number each."""
    place = (routes.site[piece.of].astype(np.int64) * host.shapes + routes.shape[piece.of]) * stands
    return place if stands == 1 else place + row_slice[piece.demand]


def pinned_replicas(pins: PinTable | None, host: Hosting, stands: int) -> Int:
    """The least replicas that a pin asks of its model, on every shape of it that the site could hold; P·D·slices."""
    least = np.zeros((len(host.most), host.shapes, stands), np.int64)
    if pins is not None:
        for site, model, count in zip(pins.site, pins.model, pins.least, strict=True):
            mine = (host.model == model) & (host.most[site] > 0)
            least[site, mine] = np.maximum(least[site, mine], count)
    return least.reshape(-1)


def useful_gpus(blocks: Blocks, shape_type: Int, shape_quarters: Int, types: int, sites: int, slices: int) -> Float:
    """GPUs of every type that carry all blocks of a site at their most, P × types."""
    need = np.zeros((sites, types, 1 if blocks.slice is None else slices))
    own = np.zeros_like(blocks.site) if blocks.slice is None else blocks.slice
    np.add.at(need, (blocks.site, shape_type[blocks.shape], own), blocks.most * shape_quarters[blocks.shape] / 4)
    return np.asarray(need.max(axis=2), np.float64)


def _choice(group: Int) -> Int:
    """A number for blocks of one group at a site (in a slice) where there are several, else -1; B."""
    _, number, count = np.unique(group, return_inverse=True, return_counts=True)
    several = count[number] > 1
    choice = np.full(len(group), -1, np.int64)
    choice[several] = np.unique(number[several], return_inverse=True)[1]
    return choice
