"""A second world worked out by hand, with every rule that the first lacks, and a plan that keeps them all.

Two periods of 6 and 12 months, three slices (rush 1 h, day 11 h, night 12 h), two metros that may fail one at a time
(oslo, turku) and a cloud that nobody uses. The bank's replicas have a server of their own, and may not leave Norway.
Replicas may follow the slices. Limits are met exactly wherever a plan can.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from audit_arrays import nothing_more
from audit_world import frame, pairs, write

from placement.scenario import Document, Scenario
from placement.topology.pairs import Pairs

DOCUMENT: dict[str, Any] = {
    "name": "whole",
    "planning_date": "2026-12-01",
    "money": {"wacc": 0.0, "latency_usd_per_million_request_ms": 1.0},
    "limits": {
        "replicas_follow_slices": True,
        "installs_per_period": 2,
        "min_served_share": 0.9676,
        "max_tco2e_month": 0.12951296875,
    },
    "reliability": {"n_minus_1": ["metro"]},
    "stability": {"previous_plan": "before", "max_moves": 1, "usd_per_move": 30.0},
    "objective": {"usd_per_tco2e": 100.0, "goals": ["served", "latency", "carbon", "moves"]},
}

TABLES = {
    "sites": """
site,kind,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb,downlink_mbps,open_usd_month,usd_per_kw_month,usd_per_kwh,pue,gco2_per_kwh,transit_usd_per_mbps_month,transit_billing
oslo,edge,NO,60,11,4,4,16,0.02,1.68,200,50,0.1,1.25,20,2,p95
turku,edge,FI,60,22,4,4,100,0.05,20,100,40,0.2,1,100,,
cloud,cloud,SE,59,18,99,99,1000,0.1,1000,0,0,0.1,1,30,1,mean
""",
    "regions": """
region,country,latitude,longitude,users
norse,NO,60,11,1000
""",
    "services": """
service,profile,latency_budget_ms,kbyte_in,kbyte_out,residency,unserved_usd_per_1000,tenant,dedicated,backup_latency_budget_ms,min_share,max_sites
chat,chat,50,10,100,nordic,2,,,70,0.4,2
bank,chat,60,10,10,home,3,bank,yes,,,
""",
    "demand": """
region,model,service,slice,period,requests_per_s
norse,m,chat,rush,2027-1,10
norse,m,chat,day,2027-1,8
norse,m,chat,night,2027-1,5
norse,m,bank,day,2027-1,5
norse,m,chat,rush,2027-2,20
norse,m,chat,day,2027-2,16
norse,m,chat,night,2027-2,10
norse,m,bank,day,2027-2,5
""",
    "periods": """
period,start_date,months
2027-1,2027-01-01,6
2027-2,2027-07-01,12
""",
    "slices": """
slice,start_utc,hours_per_day
rush,08:00,1
day,09:00,11
night,20:00,12
""",
    "gpus": """
gpu,memory_gb,mig_slices,tdp_w
g,96,1,600
""",
    "servers": """
server,gpu,gpus,dpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,months,rent_usd_month,embodied_kgco2e,stands_at
s2,g,2,1,2,2,48000,0.5,100,0,48,1500,1200,any
""",
    "shapes": """
shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,ttft_p95_ms,memory_gb,weights_gb,source
one,m,g,1,fp8,chat,near,10,30,90,16,hand
quick,m,g,1,fp8,chat,quick,5,20,90,16,hand
""",
    "residency": """
residency,country,scope
nordic,NO,
nordic,FI,
nordic,SE,
home,NO,
own,@own,
""",
    "export": """
gpu,server,country,max_gpus,from_date,reason
g,,FI,2,2027-07-01,in force when the second period begins
g,,NO,3,2027-07-02,a day too late
""",
    "deliveries": """
period,delivery_group,server,quantity
2027-1,,s2,1
2027-2,,s2,1
""",
    "budgets": """
period,capex_usd,monthly_usd
2027-1,48000,4526.29
2027-2,48000,
""",
    "fleet": """
site,server,count
oslo,s2,1
""",
    "domains": """
domain,site,kind
metro-oslo,oslo,metro
metro-turku,turku,metro
baltic,oslo,grid
baltic,turku,grid
""",
    "energy": """
site,country,slice,usd_per_kwh,gco2_per_kwh
turku,,night,0.1,50
""",
    "jobs": """
job,kind,model,gpu,gpus,hours,window,deadline,preemptible,residency,data_gb,data_site,period
tune,finetune,m,g,1,11,night,,no,nordic,7.2,oslo,
train,posttrain,m,g,1,26,night+rush,2027-01-02,yes,own,,oslo,2027-1
""",
    "pins": """
model,site,min_replicas,max_replicas,reason
m,turku,1,2,as many as there are
m,oslo,2,3,the bank's counts
""",
}

# Replicas busy: oslo .6·10/10 in the rush, turku .4; when either fails the other takes all: 1 each. Twice that later.
# Mbit/s from oslo (.8 for each request/s of chat, .08 of bank): rush 4.8, day 3.84 + .4, night 4; later 9.6, 8.08, 7.2.
# When turku fails, later, the rush is 16 up, and the day 1.28 + .4 down.
FIRST, SECOND = "2027-1", "2027-2"
SHARES = (  # period, class, slice, share at oslo, at turku
    (FIRST, "chat", "rush", 6, 4),
    (FIRST, "chat", "day", 6, 4),
    (FIRST, "chat", "night", 10, 0),
    (FIRST, "bank", "day", 10, 0),
    (SECOND, "chat", "rush", 6, 4),
    (SECOND, "chat", "day", 6, 4),
    (SECOND, "chat", "night", 9, 0),
    (SECOND, "bank", "day", 10, 0),
)
NAMES = ("region", "model", "service", "slice", "period", "site", "shape", "failure", "share_ppb")


def _routes() -> tuple[tuple[Any, ...], ...]:
    rows = []
    for period, service, name, *tenths in SHARES:
        for site, other, share in zip(("oslo", "turku"), ("turku", "oslo"), tenths, strict=True):
            row = ("norse", "m", service, name, period)
            if share:
                rows.append((*row, site, "one", None, share * 10**8))
            if share and service == "chat":
                rows.append((*row, other, "one", f"metro-{site}", share * 10**8))
    return tuple(rows)


ROUTES = _routes()

# Hours a month: rush 730/24, day 11·730/24, night 365. Busy 3/4 kW a GPU, 10 requests/s a replica.
COST_FIRST = {
    "servers": 2500.0,  # oslo bought 48000/48, turku rented 1500
    "support": 200.0,
    "power_space": 280.0,  # oslo 2·2 kW·50, turku 2·40
    "idle_energy": 146.0,  # oslo 2·.5·1.25·730·.1 = 91.25, turku .5·365·(.2 + .1) = 54.75
    # kWh oslo: rush 17.109375, day 150.5625, night 171.09375, bank 156.8359375; turku 9.125 + 80.3 at .2
    "load_energy": 67.45,  # 49.56015625 + 17.885
    "open_sites": 300.0,
    "egress": 29.94,  # oslo 4.24 Mbit/s at 2 as the rush is left out; turku 429.24 GB at .05 = 21.462
    "latency": 975.86,  # 975.864 million request-ms: (13.0086 + 6.0225)·40 + 4.2924·50
    "jobs": 0.57,  # tune (8.25 kWh·.1 + 7.2 GB·.02)/6 = .1615; train 24.375 kWh·.1/6 = .40625
    "moves": 15.0,  # one replica added in three slices, 30 each, over 6 months
    # g: idle 18250 + 27375, load 9912.03125 + 8942.5, jobs 68.75 + 81.25; made 2·1200/48 kg
    "carbon": 11.46,  # .11462953125 t
    "unserved": 0.0,
    "total": 4526.28,  # 4526.281859375
}
COST_SECOND = {
    "servers": 2000.0,
    "support": 200.0,
    "power_space": 280.0,
    "idle_energy": 146.0,
    "load_energy": 115.78,  # oslo 34.21875 + 301.125 + 307.96875 + 156.8359375 at .1, turku 178.85 at .2: 115.78484375
    "open_sites": 300.0,
    "egress": 59.08,  # 8.08·2 + 42.924
    "latency": 1658.27,  # (24.7032 + 6.0225)·40 + 8.5848·50 = 1658.268
    "jobs": 0.0,
    "moves": 0.0,
    "carbon": 12.95,  # 45625 + 16002.96875 + 17885 g, 50 kg: .12951296875 t
    "unserved": 2628.0,  # 1.314 million at 2 a thousand
    "total": 7400.09,  # 7400.088140625
}
COST_MEAN = {  # a third of the first and two of the second
    "servers": 2166.67,
    "support": 200.0,
    "power_space": 280.0,
    "idle_energy": 146.0,
    "load_energy": 99.67,  # (67.44515625 + 2·115.78484375)/3 = 99.671614...
    "open_sites": 300.0,
    "egress": 49.37,  # (29.942 + 118.168)/3
    "latency": 1430.8,  # (975.864 + 3316.536)/3
    "jobs": 0.19,  # .56775/3
    "moves": 5.0,
    "carbon": 12.46,  # (11.462953125 + 25.90259375)/3 = 12.455182...
    "unserved": 1752.0,
    "total": 6442.15,  # (4526.281859375 + 14800.17628125)/3 = 6442.152713...
}
ASKED = {FIRST: 23_323_500, SECOND: 40_624_500}  # mean requests a month
SERVED_SECOND = 39_310_500 / ASKED[SECOND]


def _server(period: str, site: str, **changes: Any) -> dict[str, Any]:
    row = {"site": site, "server": "s2", "tenant": None, "period": period, "count": 1, "new": 1, "rented": 0}
    return {**row, **changes}


def _replicas(period: str, site: str, count: int, **changes: Any) -> dict[str, Any]:
    row = {"site": site, "shape": "one", "tenant": None, "slice": None, "period": period, "count": count}
    return {**row, **changes}


def _domain(period: str, site: str, rerouted: int, lost: int) -> dict[str, Any]:
    asked = ASKED[period]
    return {
        "domain": f"metro-{site}",
        "period": period,
        "rerouted_share": rerouted / asked,
        "lost_share": lost / asked,
    }


PLAN: dict[str, Any] = {
    "schema": "nearserve-plan-2",
    "scenario": "whole",
    "status": "FEASIBLE",
    "objective_usd_month": COST_MEAN["total"],
    "bound_claimed_usd_month": 0.0,
    "bound_verified_usd_month": 0.0,  # all prices zero, and somebody could serve every class
    "gap": 1.0,
    "cost": COST_MEAN,
    "latency": {"p50_ms": 40.0, "p95_ms": 50.0, "p99_ms": 50.0},  # 482.895 of 611.667 million requests at 40 ms
    "served_share": 1 - 12 * 1_314_000 / (6 * ASKED[FIRST] + 12 * ASKED[SECOND]),
    "servers": [
        _server(FIRST, "oslo"),
        _server(FIRST, "oslo", tenant="bank", new=0),
        _server(FIRST, "turku", rented=1),
        _server(SECOND, "oslo"),
        _server(SECOND, "oslo", tenant="bank", new=0),
        _server(SECOND, "turku"),
    ],
    "replicas": [
        *(_replicas(FIRST, "oslo", 1, slice=name) for name in ("rush", "day", "night")),
        _replicas(FIRST, "oslo", 1, tenant="bank"),
        _replicas(FIRST, "turku", 1),
        _replicas(SECOND, "oslo", 2),
        _replicas(SECOND, "oslo", 1, tenant="bank"),
        _replicas(SECOND, "turku", 2),
    ],
    "jobs": [  # 7.2 GB at 16 Mbit/s take an hour
        {
            "job": "train",
            "site": "oslo",
            "period": FIRST,
            "slices": ["rush", "night"],
            "transfer_hours": 0.0,
            "usd_month": 0.41,
        },
        {
            "job": "tune",
            "site": "turku",
            "period": FIRST,
            "slices": ["night"],
            "transfer_hours": 1.0,
            "usd_month": 0.16,
        },
    ],
    "moves": [
        {
            "step": 1,
            "action": "add",
            "site": "turku",
            "shape": "one",
            "tenant": None,
            "slice": None,
            "count": 1,
            "seconds": 1280.0,  # 8000·16/100
        },
        {
            "step": 2,
            "action": "drain",
            "site": "oslo",
            "shape": "one",
            "tenant": None,
            "slice": None,
            "count": 1,
            "seconds": 0.0,
        },
    ],
    "reliability": {
        "failover": "planned",
        "domains": [
            _domain(FIRST, "oslo", 13_008_600, 6_022_500),
            _domain(FIRST, "turku", 4_292_400, 0),
            _domain(SECOND, "oslo", 24_703_200, 6_022_500),
            _domain(SECOND, "turku", 8_584_800, 0),
        ],
        "price_usd_month": None,
    },
    "carbon": {  # (.06462953125 + 2·.07951296875)/3
        "energy_tco2e": 0.22365546875 / 3,
        "embodied_tco2e": 0.05,
        "total_tco2e": 0.37365546875 / 3,
    },
    "goals": [
        {"goal": goal, "unit": unit, "value": value, "bound_claimed": None, "gap_claimed": None}
        for goal, unit, value in (
            ("served", "requests/month", 876_000.0),  # 1.314 million in two thirds of the months
            ("latency", "request-ms/month", 1_430_800_000.0),
            ("carbon", "tCO2e/month", 0.37365546875 / 3),
            ("moves", "replicas", 1.0),  # three in a third of the months
            ("cost", "USD/month", 6442.1527),
        )
    ],
    "periods": [
        {
            "period": FIRST,
            "months": 6.0,
            "cost": COST_FIRST,
            "served_share": 1.0,
            "capex_usd": 48000.0,
            "gpus": 6,
            "dpus": 3,
        },
        {
            "period": SECOND,
            "months": 12.0,
            "cost": COST_SECOND,
            "served_share": SERVED_SECOND,
            "capex_usd": 48000.0,  # turku's rented server goes back, and one is bought
            "gpus": 6,
            "dpus": 3,
        },
    ],
    "economics": None,
    "unserved": [
        {
            "region": "norse",
            "model": "m",
            "service": "chat",
            "slice": "night",
            "period": SECOND,
            "share_ppb": 10**8,
            "usd_month": 2628.0,
            "reason": "price",
        }
    ],
    "shadow_prices": [],
    "provenance": {
        "inputs_sha256": {"sites.csv": "5" * 64},
        "versions": {},
        "parameters": {},
        "work": 1,
        "seed": 0,
        "previous_plan": "before",
    },
}

BEFORE: dict[str, Any] = {  # what stood before: two replicas at oslo, and the bank's
    "schema": "nearserve-plan-2",
    "servers": [
        {**_server("", "oslo"), "period": None},
        {**_server("", "oslo", tenant="bank", new=0), "period": None},
    ],
    "replicas": [
        {**_replicas("", "oslo", 2), "period": None},
        {**_replicas("", "oslo", 1, tenant="bank"), "period": None},
    ],
    "periods": [],
}


def scenario(
    folder: Path, changes: Mapping[str, str | None] | None = None, document: Mapping[str, Any] | None = None
) -> Scenario:
    """The scenario in a folder that holds the plan before; `document` merges into the sections."""
    texts = {name: text for name, text in {**TABLES, **(changes or {})}.items() if text is not None}
    merged = deepcopy(DOCUMENT)
    for section, value in (document or {}).items():
        merged[section] = {**merged[section], **value} if isinstance(merged.get(section), dict) else value
    frames = {name: frame(name, text) for name, text in texts.items()}
    return Scenario(folder, Document.model_validate(merged), frames, (), (), {"sites.csv": "5" * 64})


def whole_pairs(**changes: Any) -> Pairs:
    """norse to oslo 10 ms, to turku 20 ms, to the cloud 40 ms; no bandwidth is known."""
    size = (1, 3)
    figures: dict[str, Any] = {
        "regions": ("norse",),
        "sites": ("oslo", "turku", "cloud"),
        "rtt_state": np.full(size, 2, np.int8),
        "rtt_provenance": np.full(size, 1, np.int8),
        **{
            name: np.array([[10.0, 20.0, 40.0]])
            for name in ("rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_lower_ms", "rtt_upper_ms")
        },
        "loss": np.zeros(size),
        "jitter_ms": np.ones(size),
        "samples": np.full(size, 50, np.int64),
        "mbps_state": np.zeros(size, np.int8),
        "mbps": np.full(size, np.nan),
        "observed_at_s": np.full(size, 1.7e9),
    }
    return pairs(**{**figures, **changes})


def certificate() -> dict[str, np.ndarray]:
    """All prices zero, in both periods."""
    none = np.array([], np.str_)
    found = {
        "schema": np.array("nearserve-certificate-3"),
        "period": np.array([FIRST, SECOND]),
        "site": np.array(["cloud", "oslo", "turku"]),
        "slice": np.array(["day", "night", "rush"]),
    }
    for h, period in enumerate((FIRST, SECOND)):
        rows = [(service, name) for of, service, name, *_ in SHARES if of == period]
        columns = (["norse"] * 4, ["m"] * 4, [row[0] for row in rows], [row[1] for row in rows])
        for column, values in zip(("region", "model", "service", "slice"), columns, strict=True):
            found[f"p{h}_demand_{column}"] = np.array(values)
        found |= {f"p{h}_{name}": value for name, value in nothing_more().items()}
        found |= {
            f"p{h}_demand_usd": np.zeros(4),
            f"p{h}_uplink_usd": np.zeros((3, 3)),
            f"p{h}_downlink_usd": np.zeros((3, 3)),
            f"p{h}_limit": none,
            f"p{h}_limit_usd": np.zeros(0),
            f"p{h}_budget": np.array(0.0),
        }
    return found


def edited(table: str, old: str, new: str) -> dict[str, str | None]:
    """The table's text with `old` replaced; raises where it does not hold `old` exactly once."""
    assert TABLES[table].count(old) == 1, f"{old!r} is not in {table} once"
    return {table: TABLES[table].replace(old, new)}


def plan() -> dict[str, Any]:
    """A copy of the valid plan.json to change."""
    return deepcopy(PLAN)


def routes_table(routes: Any = ROUTES) -> pa.Table:
    """routes.parquet as a table."""
    return pa.table(
        {
            name: pa.array([row[j] for row in routes], pa.int64() if name == "share_ppb" else pa.string())
            for j, name in enumerate(NAMES)
        }
    )


def written(folder: Path, document: Any = None, routes: Any = ROUTES, before: Any = None) -> Path:
    """A plan folder below `folder`, and the plan before beside it; the valid plan unless told otherwise."""
    table = routes if isinstance(routes, pa.Table) else routes_table(routes)
    write(folder / "before", BEFORE if before is None else before, table, certificate())
    return write(folder / "plan", PLAN if document is None else document, table, certificate())
