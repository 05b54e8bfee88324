"""A small world worked out by hand, a plan that keeps every rule in it, and ways to change both.

Two sites (alba, brest), two regions (north, south), one model, two slices (day 18 h, night 6 h). Limits are met
exactly wherever a plan can: the least change breaks them. The figures of `PLAN` are derived in the comments.
"""

import csv
import io
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from audit_arrays import nothing_more

from placement.scenario import Document, Finding, Scenario
from placement.scenario.dictionary import tables
from placement.scenario.reading import Raw
from placement.scenario.tables import filled, finished, typed
from placement.topology.pairs import Pairs

DOCUMENT = {
    "name": "hand",
    "planning_date": "2026-06-01",
    "money": {"wacc": 0.0, "latency_usd_per_million_request_ms": 2.0},
    "limits": {"bandwidth_free_kbyte": 14.0, "default_residency": "anywhere"},
}

TABLES = {
    "sites": """
site,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb,downlink_mbps,max_kw_per_rack,open_usd_month,usd_per_kw_month,usd_per_kwh,pue,transit_usd_per_mbps_month,vendor_jurisdiction,delivery_group
alba,DE,50,8,8,8,1.92,0.1,1.56,,300,50,0.2,1.25,,DE,east
brest,FR,48,-4,30,42,0.512,0.1,,8,200,40,0.9,1.5,2,US,
""",
    "regions": """
region,country,latitude,longitude,users
north,DE,53,10,1000
south,FR,43,5,1000
""",
    "services": """
service,profile,latency_budget_ms,kbyte_in,kbyte_out,round_trips,max_loss,max_jitter_ms,residency,unserved_usd_per_1000
chat,chat,100,10,20,,0.02,10,,4
code,code,200,100,50,2,,,eu,
""",
    "demand": """
region,model,service,slice,requests_per_s,mean_requests_per_s,residency
north,m,chat,day,10,5,
north,m,chat,night,4,2,
south,m,chat,day,3,,
north,m,code,day,1,0.5,
south,m,code,day,2,1,brazil
""",
    "slices": """
slice,start_utc,hours_per_day
day,06:00,18
night,00:00,6
""",
    "gpus": """
gpu,memory_gb,mig_slices,tdp_w
g,96,4,600
""",
    "servers": """
server,gpu,gpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,months,rent_usd_month
s2,g,2,4,4,48000,1,100,4800,48,
s4,g,4,8,6,,1,50,,,5000
""",
    "shapes": """
shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,ttft_p95_ms,memory_gb,weights_gb,source
quarter,m,g,0.25,fp8,chat,near,2,50,24,16,hand
quarter,m,g,0.25,fp8,code,near,1,80,24,16,hand
one,m,g,1,fp8,chat,near,10,30,96,16,hand
one,m,g,1,fp8,code,near,4,40,96,16,hand
one-far,m,g,1,fp8,chat,far,20,90,90,16,hand
two,m,g,2,bf16,chat,near,25,25,150,32,hand
""",
    "residency": """
residency,country,scope
anywhere,@any,
eu,@bloc:EU,
eu,DE,vendor
eu,US,vendor
brazil,BR,
""",
    "export": """
gpu,server,country,max_gpus,from_date,reason
g,,DE,4,2026-06-01,in force from the planning date on
,s4,FR,4,,by server
g,,FR,0,2026-06-02,not in force yet
""",
    "deliveries": """
period,delivery_group,server,quantity
,east,s2,1
,,s4,1
""",
    "budgets": """
period,capex_usd,monthly_usd
,48000,10338.48
""",
    "fleet": """
site,server,count
alba,s2,1
""",
    "energy": """
site,country,slice,usd_per_kwh
brest,,night,0.1
,FR,,0.3
""",
}

NAN = float("nan")


def scenario(changes: Mapping[str, str | None] | None = None, document: Mapping[str, Any] | None = None) -> Scenario:
    """The scenario; `changes` gives other CSV text for tables, None to leave one out; `document` replaces sections."""
    texts = {name: text for name, text in {**TABLES, **(changes or {})}.items() if text is not None}
    told = Document.model_validate({**DOCUMENT, **(document or {})})
    frames = {name: frame(name, text) for name, text in texts.items()}
    return Scenario(Path("hand"), told, frames, (), (), {"sites.csv": "5" * 64, "demand.csv": "d" * 64})


@cache
def frame(name: str, text: str) -> pd.DataFrame:
    """The table as `load` would give it, without its checks."""
    spec, header = tables()[name], text.strip().splitlines()[0].split(",")
    lines = list(csv.DictReader(io.StringIO(text.strip())))
    columns = {column: [line[column] for line in lines] for column in header}
    table, _ = filled(typed(Raw(f"{name}.csv", columns, [*range(2, len(lines) + 2)]), spec)[0])
    return finished(table.frame, spec)


def edited(table: str, old: str, new: str) -> dict[str, str | None]:
    """The table's text with `old` replaced; raises where it does not hold `old` exactly once."""
    assert TABLES[table].count(old) == 1, f"{old!r} is not in {table} once"
    return {table: TABLES[table].replace(old, new)}


def with_later(base: Scenario) -> Scenario:
    """The scenario with one rule of later work in it."""
    finding = Finding("later", "pins.csv", "plan will refuse: pins", "Remove the table.", severity="later")
    return replace(base, later=(finding,))


def pairs(**changes: Any) -> Pairs:
    """north-alba measured 20 ms, north-brest inferred up to 60 ms, south-alba unknown, south-brest measured 10 ms."""
    figures: dict[str, Any] = {
        "regions": ("north", "south"),
        "sites": ("alba", "brest"),
        "rtt_state": np.array([[2, 1], [0, 2]], np.int8),
        "rtt_provenance": np.array([[1, 3], [0, 1]], np.int8),
        "rtt_base_ms": np.array([[15, NAN], [NAN, 8.0]]),
        "rtt_p50_ms": np.array([[18, NAN], [NAN, 9.0]]),
        "rtt_p95_ms": np.array([[20.0, 33.0], [5.0, 10.0]]),  # beside a measured pair the figures mean nothing
        "rtt_lower_ms": np.array([[20.0, 40.0], [NAN, 10.0]]),
        "rtt_mid_ms": np.array([[20.0, 50.0], [NAN, 10.0]]),
        "rtt_upper_ms": np.array([[20.0, 60.0], [7.0, 10.0]]),
        "loss": np.array([[0.01, 0.0], [NAN, 0.02]]),
        "jitter_ms": np.array([[5.0, 1.0], [NAN, 10.0]]),
        "samples": np.array([[100, 0], [0, 50]], np.int64),
        "mbps_state": np.array([[2, 1], [0, 0]], np.int8),
        "mbps_provenance": np.array([[1, 2], [0, 0]], np.int8),
        "mbps": np.array([[100.0, 50.0], [80.0, 90.0]]),  # the states of the south say unknown
        "observed_at_s": np.full((2, 2), 1.7e9),
    }
    return Pairs(**{**figures, **changes})


# Latency, ms: 20 + 80/100 + TTFT from north to alba (chat), 60 + 80/50 + TTFT to brest, 10 + TTFT from south to brest;
# code from north: 2·20 + 800/100 + TTFT to alba, 2·60 + 800/50 + TTFT to brest.
# Replicas busy at alba by day: one .75·10/10 + 1·1/4 = 1; quarter .2·10/2 = 1; by night quarter 4/2 = 2.
ROUTES = (  # region, model, service, slice, site, shape, share in parts per billion
    ("north", "m", "chat", "day", "alba", "one", 750_000_000),
    ("north", "m", "chat", "day", "alba", "quarter", 200_000_000),
    ("north", "m", "chat", "day", "brest", "one", 50_000_000),
    ("north", "m", "chat", "night", "alba", "quarter", 1_000_000_000),
    ("north", "m", "code", "day", "alba", "one", 1_000_000_000),
    ("south", "m", "chat", "day", "brest", "one", 900_000_000),
)

PLAN: dict[str, Any] = {
    "schema": "nearserve-plan-3",
    "scenario": "hand",
    "status": "FEASIBLE",
    "objective_usd_month": 17229.63,
    "bound_claimed_usd_month": 9000.0,
    "bound_verified_usd_month": 4525.94,  # all prices zero: C0 = 4525.9494375 is left
    "gap": 1.0,
    "cost": {
        "servers": 6100.0,  # s2 (48000 + 4800)/48, s4 rent 5000
        "support": 150.0,  # new ones only
        "power_space": 720.0,  # 2·4 kW·50 + 8 kW·40
        "idle_energy": 638.75,  # alba 2·1·1.25·.2·730 = 365; brest 1·1.5·(547.5·.3 + 182.5·.1) = 273.75
        # busy 7/4 kW a GPU; routes in order: 89.82421875 29.94140625 10.77890625 19.9609375 29.94140625 116.4121875
        "load_energy": 296.86,
        "open_sites": 500.0,
        # alba 147.825 + 39.42 + 26.28 + 49.275 GB at .1; brest .08 + .432 Mbit/s at 2
        "egress": 27.30,
        # 2 USD · (7.39125·50.8 + 1.971·70.8 + .49275·91.6 + 1.314·70.8 + .9855·88 + 5.3217·40) million requests·ms
        "latency": 1905.56,
        "late": 0.0,
        "jobs": 0.0,
        "moves": 0.0,
        "carbon": 0.0,
        "unserved": 6891.15,  # 2365.20 + 4525.9494375
        "total": 17229.63,  # 17229.6253: the kinds as rounded sum to 17229.62
    },
    # served 17.4762 million: 40 ms 5.3217, 50.8 ms 7.39125, 70.8 ms 3.285, 88 ms .9855, 91.6 ms .49275
    "latency": {"p50_ms": 50.8, "p95_ms": 88.0, "p99_ms": 91.6},
    # .49275 million from north to brest, inferred 40 to 60 ms: they have 100 - 1.6 - 30 = 68.4 ms, beyond the upper
    # end: 1 - .05·(60/68.4)² = .961526623; of chat's 11.169 million from north, of 17.4762 in all
    "budget_met": {
        "met_ppm": 998915,
        "inferred_share": 492_750 / 17_476_200,
        "classes": [{"region": "north", "model": "m", "service": "chat", "served_share": 1.0, "met_ppm": 998302}],
    },
    "served_share": 17_476_200 / 20_038_500,
    "servers": [
        {"site": "alba", "server": "s2", "tenant": None, "period": None, "count": 2, "new": 1, "rented": 0},
        {"site": "brest", "server": "s4", "tenant": None, "period": None, "count": 1, "new": 1, "rented": 1},
    ],
    "replicas": [
        {"site": "alba", "shape": "one", "tenant": None, "slice": None, "period": None, "count": 1},
        {"site": "alba", "shape": "quarter", "tenant": None, "slice": None, "period": None, "count": 4},
        {"site": "alba", "shape": "two", "tenant": None, "slice": None, "period": None, "count": 1},
        {"site": "brest", "shape": "one", "tenant": None, "slice": None, "period": None, "count": 1},
    ],
    "jobs": [],
    "moves": [],
    "reliability": None,
    "carbon": None,
    "goals": [],
    "periods": [],
    "economics": None,
    "unserved": [
        # 3·3600·547.5 = 5.913 million requests at 4 USD a thousand, a tenth of them
        {
            "region": "south",
            "model": "m",
            "service": "chat",
            "slice": "day",
            "period": None,
            "share_ppb": 100_000_000,
            "usd_month": 2365.20,
            "reason": "4 replica capacity",
        },
        # Nobody may serve it. Its rate is that of north's code: three times the dearest way, which is `one` at brest:
        # energy 53.89453125, transit .8, latency .9855·176·2 = 346.896, a quarter of a GPU of s4 there
        # (5000 + 50 + 320 + 273.75)/4 = 1410.9375; together 754.32490625; twice the requests of north's.
        {
            "region": "south",
            "model": "m",
            "service": "code",
            "slice": "day",
            "period": None,
            "share_ppb": 1_000_000_000,
            "usd_month": 4525.95,
            "reason": "3 residency",
        },
    ],
    "shadow_prices": [],
    "provenance": {
        "inputs_sha256": {"sites.csv": "5" * 64, "demand.csv": "d" * 64},
        "versions": {},
        "parameters": {},
        "work": 1,
        "seed": 0,
        "previous_plan": None,
    },
}

DEMAND = (
    ("north", "m", "chat", "day"),
    ("north", "m", "chat", "night"),
    ("north", "m", "code", "day"),
    ("south", "m", "chat", "day"),
    ("south", "m", "code", "day"),
)
LIMITS = (
    "capex|",
    "export|gpu|g|DE",
    "export|server|s4|FR",
    "stock|s2|",
    "stock|s2|east",
    "stock|s4|",
)


def plan() -> dict[str, Any]:
    """A copy of the valid plan.json to change."""
    return deepcopy(PLAN)


def certificate(demand: Any = None, **leaf: Any) -> dict[str, np.ndarray]:
    """The arrays of a certificate; all prices zero unless given."""
    columns = np.array(DEMAND).T
    prices = {
        "demand_usd": np.zeros(len(DEMAND)) if demand is None else np.asarray(demand, np.float64),
        "uplink_usd": np.zeros((2, 2)),
        "downlink_usd": np.zeros((2, 2)),
        "limit_usd": np.zeros(len(LIMITS)),
        "budget": np.array(0.0),
        **nothing_more(),
        **leaf,
    }
    names = ("demand_region", "demand_model", "demand_service", "demand_slice")
    return {
        "schema": np.array("nearserve-certificate-6"),
        "period": np.array([""]),
        "site": np.array(["alba", "brest"]),
        "slice": np.array(["day", "night"]),
        **{f"p0_{name}": column for name, column in zip(names, columns, strict=True)},
        "p0_limit": np.array(LIMITS),
        **{f"p0_{name}": value for name, value in prices.items()},
    }


def routes_table(routes: Any = ROUTES) -> pa.Table:
    """routes.parquet as a table."""
    names = ("region", "model", "service", "slice", "site", "shape")
    columns: dict[str, Any] = {name: pa.array([row[j] for row in routes], pa.string()) for j, name in enumerate(names)}
    columns["period"] = columns["failure"] = pa.array([None] * len(routes), pa.string())
    columns["share_ppb"] = pa.array([row[6] for row in routes], pa.int64())
    return pa.table(columns)


def write(folder: Path, document: Any = None, routes: Any = ROUTES, arrays: Any = None) -> Path:
    """A plan folder; the valid plan unless told otherwise."""
    folder.mkdir(exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(PLAN if document is None else document), encoding="utf-8")
    pq.write_table(routes if isinstance(routes, pa.Table) else routes_table(routes), folder / "routes.parquet")
    np.savez(folder / "certificate.npz", **(certificate() if arrays is None else arrays))
    return folder
