"""Whether a plan keeps every row of a reference instance, and what it costs: numpy and the instance, nothing else.

Two ways that know nothing of each other: `broken_rows` restates each family of the generator's rows without building
them, so that XXL's 264 million entries need not exist; `broken_matrix` multiplies the generator's own matrix.
"""

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.arrays.instance import SERVER_GPUS, SERVER_KW, SERVER_RACK_UNITS, EdgeArrays, Matrix
from bench.arrays.planned import ArrayPlan

Values: TypeAlias = NDArray[Any]

EPS = float(np.finfo(np.float64).eps)
TOLERANCE = 1e-9
"""A row may exceed its limit by this × max(1, |limit|), which is what adding floats can lose."""


def broken_rows(arrays: EdgeArrays, plan: ArrayPlan, tolerance: float = TOLERANCE) -> list[str]:
    """What the plan breaks, one line a family of rows; empty when it keeps them all."""
    misfits = list(_misfits(arrays, plan))
    if misfits:
        return misfits
    return [
        f"{name}: {count} rows, by {worst:.3g} at most"
        for name, left, right in _families(arrays, plan)
        for count, worst in [_exceeded(left, right, tolerance)]
        if count
    ]


def broken_matrix(matrix: Matrix, plan: ArrayPlan, tolerance: float = TOLERANCE) -> list[str]:
    """As `broken_rows`, by the generator's matrix: row_lower ≤ A z ≤ row_upper, bounds, whole numbers."""
    column = plan.column
    if column.shape != matrix.cost.shape:
        return [f"the plan has {len(column)} columns, the matrix {len(matrix.cost)}"]
    if not np.isfinite(column).all():
        return ["the plan holds a value that is not finite"]
    row = np.asarray(matrix.rows @ column).reshape(-1)
    checks = (
        ("row below its lower limit", matrix.row_lower, row),
        ("row above its upper limit", row, matrix.row_upper),
        ("column below 0", np.zeros(len(column)), column),
        ("column above its limit", column, matrix.upper),
        ("column that is not whole", np.abs(column - np.rint(column))[matrix.integer], np.zeros(matrix.integer.sum())),
    )
    found = ((name, *_exceeded(left, right, tolerance)) for name, left, right in checks)
    return [f"{name}: {count}, by {worst:.3g} at most" for name, count, worst in found if count]


def cost_usd(arrays: EdgeArrays, plan: ArrayPlan) -> float:
    """What the plan costs, USD a day, rounded up."""
    products = (
        arrays.open_cost * plan.open,
        (arrays.server_cost * plan.servers).ravel(),
        arrays.replica_cost[arrays.replica_model] * plan.replicas,
        arrays.pair_cost * plan.share,
        arrays.unserved_cost * plan.unserved,
    )
    # Every product is rounded once, and each part once more when it is summed exactly.
    total = math.fsum(math.fsum(part.tolist()) + 4 * EPS * float(np.abs(part).sum()) for part in products)
    return math.nextafter(total, math.inf)


def _misfits(arrays: EdgeArrays, plan: ArrayPlan) -> Iterator[str]:
    wanted = {
        "open": (arrays.sites,),
        "servers": (arrays.sites, 3),
        "replicas": (arrays.blocks,),
        "share": (arrays.pairs,),
        "unserved": (arrays.classes,),
    }
    for name, shape in wanted.items():
        value = getattr(plan, name)
        if value.shape != shape:
            yield f"{name} has the shape {value.shape}, not {shape}"
        elif not np.isfinite(value).all():
            yield f"{name} holds a value that is not finite"


def _families(arrays: EdgeArrays, plan: ArrayPlan) -> Iterator[tuple[str, Values, Values]]:
    """Name, left and right of every family of rows left ≤ right."""
    sites, block = arrays.sites, arrays.pair_block
    share, opened = plan.share, plan.open
    served = np.bincount(arrays.pair_class, share, arrays.classes) + plan.unserved
    one = np.ones(arrays.classes)
    yield "demand served more than once", served, one
    yield "demand neither served nor unserved", one, served
    load = arrays.demand[arrays.pair_class] * share
    yield "capacity of replicas", np.bincount(block, load, arrays.blocks), plan.replicas
    yield "shares without a replica", share, plan.replicas[block]
    gpus = arrays.gpus_per_replica[arrays.replica_model]
    held = plan.servers @ SERVER_GPUS
    yield "GPUs", np.bincount(arrays.replica_site, gpus * plan.replicas, sites), held
    for name, use, limit in (
        ("power", SERVER_KW, arrays.power_kw),
        ("rack units", SERVER_RACK_UNITS, arrays.rack_units),
        ("GPU slots", SERVER_GPUS, arrays.gpu_slots),
    ):
        yield name, plan.servers @ use, limit * opened
    gbps = load * arrays.uplink_per_replica[arrays.class_model[arrays.pair_class]]
    yield "uplink", np.bincount(arrays.pair_site, gbps, sites), arrays.uplink * opened
    yield "stock", plan.servers.sum(axis=0), arrays.inventory
    most = np.floor(arrays.gpu_slots[arrays.replica_site] / gpus)
    yield "replicas at a closed site", plan.replicas, most * opened[arrays.replica_site]
    upper = np.floor(arrays.gpu_slots[:, None] / SERVER_GPUS)
    for name, value, limit in (
        ("open", opened, np.ones(sites)),
        ("servers", plan.servers, upper),
        ("replicas", plan.replicas, most),
    ):
        yield f"{name} below 0", -value.ravel(), np.zeros(value.size)
        yield f"{name} above its limit", value.ravel(), np.broadcast_to(limit, value.shape).ravel()
        yield f"{name} not whole", np.abs(value - np.rint(value)).ravel(), np.zeros(value.size)
    for name, value in (("share", share), ("unserved", plan.unserved)):
        yield f"{name} below 0", -value, np.zeros(value.size)
        yield f"{name} above 1", value, np.ones(value.size)


def _exceeded(left: Values, right: Values, tolerance: float) -> tuple[int, float]:
    """How many rows exceed their limit, and by how much at most."""
    over = left - right
    wrong = over > tolerance * np.maximum(1.0, np.abs(right))
    wrong &= np.isfinite(right)
    return int(wrong.sum()), float(over[wrong].max(initial=0.0))
