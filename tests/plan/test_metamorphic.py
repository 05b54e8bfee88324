"""What must not change when nothing does, and what may only fall when a limit is loosened, on whole generated worlds.

The worlds are small ones of the generator with every kind of rule: slices, metros that fail, jobs, periods, residency.
Penalties and backup budgets are stated: the default penalty grows with the dearest way that a budget allows, and a
class that N-1 exempts for want of any backup pair is exempt no more when a longer budget gives it one.
"""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from thorough import seeds

from placement.plan.document import PlanDocument
from placement.planning import plan_scenario
from placement.problem import build_rollout
from placement.scenario import load
from placement.solving import Request
from placement.topology import build_pairs
from placement.worlds.edge import generate
from solvers.exact.rollout import solve_rollout_exact

SEEDS = seeds((2, 3, 4), (2, 4))
TIGHT = {
    "deliveries": ("quantity", 0.25),  # of the servers: stock binds
}


def world(folder: Path, seed: int) -> Path:
    """A world of 4 sites, 4 regions and 2 models in which stock is short."""
    generate(folder, sites=4, regions=4, models=2, seed=seed, full=True)
    change(
        folder, "services", lambda f: f.assign(unserved_usd_per_1000=2, backup_latency_budget_ms=f["latency_budget_ms"])
    )
    for table, (column, factor) in TIGHT.items():
        change(
            folder, table, lambda f, c=column, k=factor: f.assign(**{c: np.ceil(f[c].astype(float) * k).astype(int)})
        )
    return folder


def change(folder: Path, table: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = folder / f"{table}.csv"
    edit(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)


def least_usd(folder: Path) -> float:
    """The optimum of the whole decision, to a millionth."""
    scenario = load(folder)
    built = build_rollout(scenario, build_pairs(scenario).pairs)
    solution = solve_rollout_exact(built.rollout, gap=1e-6, time_limit_s=120)
    assert solution.status == "OPTIMAL", solution.message
    return solution.objective_usd


@cache
def base_usd(root: Path, seed: int) -> float:
    return least_usd(world(root / f"base-{seed}", seed))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metamorphic")


def scaled(column: str, factor: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{column: frame[column].astype(float) * factor})


LOOSER: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "more servers": ("deliveries", lambda f: f.assign(quantity=f["quantity"].astype(int) + 1)),
    "servers that come earlier": ("deliveries", lambda f: f.assign(period=f["period"].min())
                                  .groupby(["period", "delivery_group", "server"], as_index=False)
                                  .agg({"quantity": lambda q: q.astype(int).sum()})),
    "a looser latency budget": ("services", scaled("latency_budget_ms", 1.2)),
    "more power": ("sites", scaled("power_kw", 1.5)),
    "a wider uplink": ("sites", scaled("uplink_mbps", 2.0)),
    "a later deadline": ("jobs", lambda f: f.assign(deadline="2027-03-31")),
    "fewer metros that fail": ("domains", lambda f: f[~((f["kind"] == "metro") & (f["domain"] == f["domain"].min()))]),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", sorted(LOOSER))
def test_a_looser_limit_never_costs_more(name: str, seed: int, root: Path, tmp_path: Path) -> None:
    base = base_usd(root, seed)
    folder = world(tmp_path / "looser", seed)
    change(folder, *LOOSER[name])
    assert least_usd(folder) <= base * (1 + 3e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_other_names_for_the_same_world_change_no_cost(seed: int, root: Path, tmp_path: Path) -> None:
    """Sites and regions are named in the opposite order of the alphabet."""
    folder = world(tmp_path / "renamed", seed)
    sites = list(pd.read_csv(folder / "sites.csv", keep_default_na=False)["site"])
    regions = list(pd.read_csv(folder / "regions.csv", keep_default_na=False)["region"])
    new = {name: f"s{len(sites) - k:03d}" for k, name in enumerate(sorted(sites))}
    new |= {name: f"r{len(regions) - k:03d}" for k, name in enumerate(sorted(regions))}
    columns = {"sites": ["site"], "regions": ["region"], "demand": ["region"], "domains": ["site"],
               "jobs": ["data_site"], "endpoints": ["site", "region"]}  # fmt: skip
    for table, named in columns.items():
        change(folder, table, lambda f, n=named: f.assign(**{c: f[c].replace(new) for c in n}))
    assert least_usd(folder) == pytest.approx(base_usd(root, seed), rel=3e-6)


def plan(folder: Path, out: Path) -> tuple[PlanDocument, dict[str, bytes]]:
    document = plan_scenario(load(folder), out, Request("exact", gap=1e-4)).document
    return document, {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.mark.parametrize("seed", seeds([2, 4], [2]))
def test_permuted_rows_give_the_same_bytes(seed: int, tmp_path: Path) -> None:
    first = world(tmp_path / "one", seed)
    shutil.copytree(first, tmp_path / "two")
    for path in sorted((tmp_path / "two").glob("*.csv")):
        change(tmp_path / "two", path.stem, lambda f: f.sample(frac=1.0, random_state=7))
    _, expected = plan(first, tmp_path / "plan-one")
    _, found = plan(tmp_path / "two", tmp_path / "plan-two")
    assert found == expected


def keep(folder: Path, previous: Path, extra: str = "") -> None:
    """State in scenario.toml that `previous` stands today."""
    text = (folder / "scenario.toml").read_text("utf-8")
    stability = f'\n[stability]\nprevious_plan = "{previous}"\n{extra}'
    (folder / "scenario.toml").write_text(text + stability, "utf-8")


def test_an_unchanged_scenario_moves_nothing(tmp_path: Path) -> None:
    folder = world(tmp_path / "world", seeds(7, 2))
    before, _ = plan(folder, tmp_path / "before")
    keep(folder, tmp_path / "before")
    after, _ = plan(folder, tmp_path / "after")
    assert after.moves == ()
    assert after.replicas == before.replicas
    assert after.servers == before.servers


def test_a_tenth_of_a_percent_of_noise_moves_almost_nothing(tmp_path: Path) -> None:
    folder = world(tmp_path / "world", 4)
    plan(folder, tmp_path / "before")
    noise = np.random.default_rng(5)
    change(
        folder,
        "demand",
        lambda f: f.assign(
            requests_per_s=f["requests_per_s"].astype(float) * (1 + 0.001 * noise.uniform(-1, 1, len(f)))
        ),
    )
    keep(folder, tmp_path / "before", "usd_per_move = 20.0\n")
    after, _ = plan(folder, tmp_path / "after")
    replicas = sum(row.count for row in after.replicas if row.period == after.periods[0].period)
    assert sum(move.count for move in after.moves if move.action == "add") <= 0.02 * replicas + 1
