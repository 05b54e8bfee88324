"""A plan of the second world that keeps every rule, each of its figures worked out by hand, and the plan before it."""

from copy import deepcopy
from typing import Any

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
    "late": 0.0,
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
    "late": 0.0,
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
    "late": 0.0,
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
    "schema": "nearserve-plan-3",
    "scenario": "whole",
    "status": "FEASIBLE",
    "objective_usd_month": COST_MEAN["total"],
    "bound_claimed_usd_month": 0.0,
    "bound_verified_usd_month": 0.0,  # all prices zero, and somebody could serve every class
    "gap": 1.0,
    "cost": COST_MEAN,
    "latency": {"p50_ms": 40.0, "p95_ms": 50.0, "p99_ms": 50.0},  # 482.895 of 611.667 million requests at 40 ms
    "budget_met": {"met_ppm": 1_000_000, "inferred_share": 0.0, "classes": []},  # all is measured
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
    "schema": "nearserve-plan-3",
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


def plan() -> dict[str, Any]:
    """A copy of the valid plan.json to change."""
    return deepcopy(PLAN)
