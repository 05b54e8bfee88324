"""How long it takes from a problem's arrays to a filled solver object, at about a million nonzeros.

python -m bench model_build [--pairs N]
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from solvers.exact import build_model
from solvers.exact.backends import mathopt_message, model_builder
from solvers.problem import Problem

_ROUNDS = 5


def main(argv: list[str] | None = None) -> int:
    """Print the median seconds of each step."""
    parser = argparse.ArgumentParser(prog="bench model_build", description=__doc__)
    parser.add_argument("--pairs", type=int, default=160_000)
    problem = dense_problem(parser.parse_args(argv).pairs)
    model, built = _median(lambda: build_model(problem))
    _, sparse = _median(lambda: model_builder(model))
    _, message = _median(lambda: mathopt_message(model))
    rows, columns = model.matrix.shape
    print(f"{problem.sites} sites, {problem.demands} rows of demand, {problem.pairs} pairs")
    print(f"{columns} columns, {rows} rows, {model.matrix.nnz} nonzeros; median of {_ROUNDS}")
    print(f"{'problem to sparse model':34}{built:8.3f} s")
    print(f"{'model to model builder (SCIP)':34}{sparse:8.3f} s   problem to solver {built + sparse:.3f} s")
    print(f"{'model to MathOpt message (HiGHS)':34}{message:8.3f} s   problem to solver {built + message:.3f} s")
    return 0


def _median(step: Callable[[], Any]) -> tuple[Any, float]:
    seconds, result = [], None
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        result = step()
        seconds.append(time.perf_counter() - begun)
    return result, float(np.median(seconds))


def dense_problem(pairs: int) -> Problem:
    """A problem of about `pairs` pairs with every family of rows: 8 models, 3 servers a site, 24 sites a demand row."""
    draw = np.random.default_rng(0)
    models, near = 8, 24
    demands, sites = max(pairs // near, 1), max(pairs // 400, near)
    pair_site = np.sort(np.argsort(draw.random((demands, sites)), axis=1)[:, :near], axis=1).reshape(-1)
    pair_demand = np.repeat(np.arange(demands), near)
    demand_model = draw.integers(0, models, demands)
    rate = draw.uniform(0.05, 2.0, demands)
    quarters = np.array([1, 2, 4, 4, 8, 8, 16, 32])
    gpus, offers = np.array([2, 4, 8]), 3 * sites
    use = np.column_stack([0.2 + 0.75 * gpus, [2.0, 4.0, 6.0]])
    return Problem(
        open_usd=draw.uniform(500, 3000, sites),
        uplink_mbps=draw.uniform(100, 400, sites),
        downlink_mbps=draw.uniform(50, 200, sites),
        site_limit=np.column_stack([draw.uniform(8, 40, sites), draw.integers(10, 42, sites).astype(np.float64)]),
        server_gpu=np.zeros(3, np.int64),
        server_gpus=gpus,
        server_use=use,
        offer_site=np.repeat(np.arange(sites), 3),
        offer_server=np.tile(np.arange(3), sites),
        offer_max=np.full(offers, 6),
        offer_usd=np.tile(gpus * 600.0, sites),
        shape_gpu=np.zeros(models, np.int64),
        shape_quarters=quarters,
        shape_model=np.arange(models),
        block_site=np.repeat(np.arange(sites), models),
        block_shape=np.tile(np.arange(models), sites),
        block_max=np.full(sites * models, 40),
        block_choice=np.full(sites * models, -1),
        demand_model=demand_model,
        demand_slice=draw.integers(0, 2, demands),
        unserved_usd=rate * 9000,
        out_mbps=rate * 40,
        in_mbps=rate * 15,
        pair_demand=pair_demand,
        pair_block=pair_site * models + demand_model[pair_demand],
        pair_load=rate[pair_demand],
        pair_usd=rate[pair_demand] * draw.uniform(50, 500, len(pair_demand)),
        limit_matrix=sp.csr_matrix((np.ones(offers), (np.tile(np.arange(3), sites), np.arange(offers)))),
        limit_rhs=np.full(3, sites / 2),
        monthly_budget_usd=1e9,
    )


if __name__ == "__main__":
    sys.exit(main())
