"""A world of three sites whose plans are written down by hand, and what is true of it, in the tests' own arithmetic.

Servers are s2, two GPUs and 1 kW, and s1, one GPU and 0.5 kW; every site has 2 kW and 1,000 Mbit/s both ways (or what
`scenario` is told) and 42 rack units; a request takes 5 kB in and 10 kB out. `small` runs on one GPU (10 requests/s a
replica) or on two (25), `large` on two (6). Every class asks at its rate; one of `far` reaches gamma only within its
backup budget.
"""

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from placement.plan.document import Cost
from placement.scenario import Scenario, load
from tests import tiny

SITES = ("alpha", "beta", "gamma")
REGIONS = ("east", "west", "far")
SERVER_GPUS = {"s2": 2, "s1": 1}
SERVER_KW = {"s2": Fraction(1), "s1": Fraction(1, 2)}
GPUS = {"small-1": 1, "small-2": 2, "large-2": 2}
MODEL = {"small-1": "small", "small-2": "small", "large-2": "large"}
CAPACITY = {"small-1": Fraction(10), "small-2": Fraction(25), "large-2": Fraction(6)}
WEIGHTS_GB = {"small-1": 16, "small-2": 16, "large-2": 40}
DEMAND = {
    ("east", "small", "chat"): Fraction(6),
    ("west", "small", "chat"): Fraction(9),
    ("far", "small", "chat"): Fraction(3),
    ("east", "large", "code"): Fraction(2),
    ("west", "large", "code"): Fraction(4),
}
MBIT = Fraction(8 * 10, 1000)
"""Of a request on its way out, the wider way: Mbit/s a request/s."""
SLOW = {("far", "gamma")}
"""Reached within the backup budget alone."""
SHARES = 10**9

Servers = Mapping[tuple[str, str], int]
Replicas = Mapping[tuple[str, str], int]
Routes = Mapping[tuple[str, str, str], Mapping[tuple[str, str], int]]


def _files(kw: int, mbps: int) -> dict[str, str | None]:
    sites = "site,name,country,latitude,longitude,power_kw,rack_units,uplink_mbps,downlink_mbps,egress_usd_per_gb\n"
    sites += "".join(f"{site},{site},FR,48.8{n},2.3{n},{kw},42,{mbps},{mbps},0.05\n" for n, site in enumerate(SITES, 5))
    shapes = "shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,ttft_p95_ms,memory_gb,"
    shapes += "weights_gb,source\n"
    for name, model in MODEL.items():
        figures = f"{CAPACITY[name]},50,40,{WEIGHTS_GB[name]}"
        shapes += f"{name},{model},g96,{GPUS[name]},fp8,chat,balanced,{figures},by hand\n"
    pairs = "observed_at,source,target,method,sent,received,rtt_ms\n"
    for region in REGIONS:
        for site in SITES:
            rtt = 180 if (region, site) in SLOW else 20
            pairs += f"2025-12-31T00:00:00Z,{region},{site},icmp,3,3,{rtt};{rtt};{rtt}\n"
    services = "service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000,backup_latency_budget_ms\n"
    demand = "region,model,service,requests_per_s,mean_requests_per_s\n"
    return {
        "scenario.toml": 'name = "three"\nplanning_date = 2026-01-01\n[reliability]\nn_minus_1 = ["all"]\n',
        "sites.csv": sites,
        "domains.csv": "domain,site,kind\nd-alpha,alpha,metro\nd-beta,beta,metro\nd-gamma,gamma,metro\n",
        "regions.csv": "region,name,country,latitude,longitude,users\n"
        + "".join(f"{name},{name},FR,48.86,2.35,1000\n" for name in REGIONS),
        "services.csv": services + "chat,chat,200,5,10,1,400\ncode,chat,200,5,10,1,400\n",
        "demand.csv": demand + "".join(f"{r},{m},{s},{rate},{rate}\n" for (r, m, s), rate in DEMAND.items()),
        "servers.csv": tiny.FILES["servers.csv"].lstrip() + "s1,g96,1,1,0.5,1,2600,0.1,10,0,48\n",
        "models.csv": "model,kind\nsmall,chat\nlarge,chat\n",
        "shapes.csv": shapes,
        "measurements/pairs.csv": pairs,
    }


def scenario(folder: Path, kw: int = 2, mbps: int = 1000) -> Scenario:
    """The world as a folder, with so many kW and Mbit/s a site."""
    return load(tiny.write(folder, _files(kw, mbps)))


def write_plan(
    folder: Path,
    of: Scenario,
    servers: Servers,
    replicas: Replicas,
    routes: Routes,
    **other: Any,
) -> Path:
    """A plan folder that says just this: servers and replicas by site and kind, shares by class and way."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "schema": "nearserve-plan-3",
        "scenario": of.document.name,
        "periods": [],
        "servers": [
            {"site": site, "server": server, "tenant": None, "period": None, "count": n, "new": n, "rented": 0}
            for (site, server), n in servers.items()
            if n
        ],
        "replicas": [
            {"site": site, "shape": shape, "tenant": None, "slice": None, "period": None, "count": n}
            for (site, shape), n in replicas.items()
            if n
        ],
        "cost": dict.fromkeys(Cost.model_fields, 0.0),
        "served_share": 1.0,
        "provenance": {"inputs_sha256": dict(of.sha256)},
        **other,
    }
    (folder / "plan.json").write_text(json.dumps(document), "utf-8")
    rows = [
        {"region": r, "model": m, "service": s, "site": site, "shape": shape, "share_ppb": share}
        for (r, m, s), ways in routes.items()
        for (site, shape), share in ways.items()
    ]
    empty = {"slice": None, "period": None, "failure": None}
    names = ("region", "model", "service", "slice", "period", "site", "shape", "failure", "share_ppb")
    kinds = [pa.int64() if name == "share_ppb" else pa.string() for name in names]
    table = pa.Table.from_pylist([row | empty for row in rows], pa.schema(list(zip(names, kinds, strict=True))))
    pq.write_table(table, folder / "routes.parquet")
    return folder


def admissible(region: str, site: str) -> bool:
    """20 + 50 ms keep 200; 180 + 50 do not."""
    return (region, site) not in SLOW


def busy(routes: Routes) -> dict[tuple[str, str], Fraction]:
    """Replicas kept busy by way."""
    found: dict[tuple[str, str], Fraction] = {}
    for cls, ways in routes.items():
        for way, share in ways.items():
            found[way] = found.get(way, Fraction(0)) + Fraction(share, SHARES) * DEMAND[cls] / CAPACITY[way[1]]
    return found


def sent(routes: Routes) -> dict[str, Fraction]:
    """Mbit/s out of each site."""
    found: dict[str, Fraction] = {}
    for cls, ways in routes.items():
        for (site, _), share in ways.items():
            found[site] = found.get(site, Fraction(0)) + Fraction(share, SHARES) * DEMAND[cls] * MBIT
    return found
