"""The row order of tables changes no array and no name, with every rule on at once."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import tiny
from scenes import RENT_COLUMN, SLICED, SLICES, Changes, built, in_periods, old_plan, with_column, with_keys

from placement.problem import Built, Previous

KEYS = with_keys(
    "[limits]",
    "max_tco2e_month = 9",
    "min_served_share = 0.5",
    "installs_per_period = 9",
    "replicas_follow_slices = true",
    "[reliability]",
    'n_minus_1 = ["metro", "grid"]',
    "[stability]",
    'previous_plan = "old"',
    "max_moves = 3",
    "[objective]",
    'goals = ["served", "latency", "carbon", "moves", "cost"]',
)
SERVICES = """service,profile,latency_budget_ms,kbyte_in,kbyte_out,tenant,dedicated,min_share,max_sites,\
backup_latency_budget_ms
chat,chat,200,5,10,,,0.1,2,230
bank,chat,200,5,10,bank,yes,,,
"""


def everything() -> Changes:
    sites = with_column("sites.csv", "gco2_per_kwh", (100, 300))["sites.csv"]
    rows = SLICED + "paris,m8,bank,day,4,4\nparis,m8,bank,night,1,1\n"
    shapes = tiny.FILES["shapes.csv"] + "m8-slow,m8,g96,1,fp8,chat,throughput,20,90,40,16,by hand\n"
    return {
        **KEYS,
        **in_periods("p1", "p2", text=rows),
        **with_column("sites.csv", "transit_usd_per_mbps_month", (2, 3), sites),
        **with_column("servers.csv", "embodied_kgco2e", (960,), RENT_COLUMN["servers.csv"]),
        "services.csv": SERVICES,
        "shapes.csv": shapes,
        "slices.csv": SLICES,
        "periods.csv": "period,start_date,months\np1,2026-01-01,6\np2,2026-07-01,12\n",
        "deliveries.csv": "period,delivery_group,server,quantity\np1,,s2,3\np2,,s2,1\n",
        "budgets.csv": "period,capex_usd,monthly_usd\np1,99000,9000\np2,9000,9000\n",
        "fleet.csv": "site,server,count\nalpha,s2,1\nbeta,s2,1\n",
        "export.csv": "gpu,server,country,max_gpus,from_date,reason\n"
        "g96,,FR,20,2025-01-01,law\n,s2,DE,20,2026-07-01,law\n",
        "domains.csv": "domain,site,kind\nparis,alpha,metro\nfrankfurt,beta,metro\neurope,alpha,grid\n",
        "jobs.csv": "job,kind,model,gpu,gpus,hours,preemptible,period\n"
        "t1,finetune,m8,g96,2,100,yes,p1\nt2,finetune,m8,g96,1,5,no,\nt3,finetune,m8,g96,1,5,no,p2\n",
        "pins.csv": "model,site,min_replicas,max_replicas,reason\nm8,alpha,1,9,law\nm8,beta,,9,law\n",
    }


def reversed_rows(text: str) -> str:
    head, *rows = text.strip().splitlines()
    return "\n".join([head, *reversed(rows)]) + "\n"


def assert_same(one: object, other: object, where: str = "") -> None:
    """Equal to the last bit, arrays and all."""
    assert type(one) is type(other), where
    if is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    elif isinstance(one, tuple) and isinstance(other, tuple):
        assert len(one) == len(other), where
        for j, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{where}[{j}]")
    elif isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        assert one.dtype == other.dtype and np.array_equal(one, other), where
    elif sp.issparse(one):
        assert (one != other).nnz == 0 and one.shape == other.shape, where  # type: ignore[attr-defined]
    else:
        assert one == other, where


def of(folder: Path, changes: Changes) -> Built:
    old_plan(folder / "old")
    return built(folder, changes, previous=Previous({("beta", "m8-one", "", "day"): 1}))


def test_row_order_of_the_tables_changes_nothing(tmp_path: Path) -> None:
    given = tiny.FILES | everything()
    turned = {name: reversed_rows(text) for name, text in given.items() if text and name.endswith(".csv")}
    one = of(tmp_path / "one", everything())
    assert one.rollout.periods[0].rules.any
    assert_same(one, of(tmp_path / "other", {**everything(), **turned}))


def test_the_comparison_sees_a_difference_of_one_bit(tmp_path: Path) -> None:
    changed = {
        **everything(),
        "pins.csv": "model,site,min_replicas,max_replicas,reason\nm8,alpha,1,8,law\nm8,beta,,9,law\n",
    }
    one, other = of(tmp_path / "one", everything()), of(tmp_path / "other", changed)
    with pytest.raises(AssertionError, match="pins"):
        assert_same(one, other)
