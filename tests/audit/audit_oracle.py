"""Random small worlds and prices, with what `audit_model` says of them.

Seeds below 100 have one GPU type, those from 100 on two, and from 200 on power and rack units do not bind. A seed from
1000 on has more of the rules, as `FEATURES` says by its thousands: 1000 + s is the base world s with them.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import audit_world
import numpy as np
from audit_model import Prices, solved
from audit_model_limits import limits
from audit_model_world import World

from placement.topology.pairs import Pairs

__all__ = [
    "FEATURES",
    "ONE_GPU",
    "OWN_ROOM",
    "SHARED",
    "Prices",
    "World",
    "expected_bound",
    "names",
    "optimum",
    "random_prices",
    "world",
]

TWO_GPUS = 100
AMPLE = 200  # from this seed on power and rack units do not bind
FEATURES = {
    0: (),
    1: ("periods",),
    2: ("follow",),
    3: ("transit",),
    4: ("carbon",),
    5: ("cloud",),
    6: ("tenants",),
    7: ("periods", "follow", "transit", "carbon", "cloud"),
    8: ("periods", "follow", "transit", "carbon", "cloud", "tenants"),
    9: ("failures",),
    10: ("failures", "follow", "tenants"),
    11: ("uncertain",),
    12: ("uncertain", "failures"),
}


def _seeds(feature: int, *ranges: range) -> tuple[int, ...]:
    return tuple(1000 * feature + seed for of in ranges for seed in of)


ONE_GPU = (  # nothing shares a site's power and rack units: the bound is the priced problem
    *_seeds(0, range(10), range(200, 203)),
    *(seed for feature in range(1, 6) for seed in _seeds(feature, range(4))),
    *_seeds(7, range(6)),
    *_seeds(11, range(6)),
)
SHARED = (*_seeds(0, range(100, 104)), *_seeds(6, range(4)), *_seeds(8, range(1), range(100, 102)))
OWN_ROOM = _seeds(6, range(200, 204))  # tenants with room for all of them
SEEDS = (*ONE_GPU, *SHARED, *OWN_ROOM)

SERVERS = (
    "s1,g,1,1.5,2,9000,,10,,36,,edge,1500\ns2,g,2,2.5,3,16000,0.5,,500,48,RENT,SECOND,2500\n"
    "s4,g,4,5,6,,,30,,,900,THIRD,4000"
)
LEAN = (  # in kW, or in rack units
    "s1,g,1,0.5,7,9000,0.1,10,,36,,edge,1500\ns2,g,2,4,0.5,16000,0.5,,500,48,RENT,SECOND,2500\n"
    "s4,g,4,5,6,,,30,,,900,THIRD,4000"
)
DAYS = {"day": "day,06:00,18", "night": "night,00:00,6"}
SHORT_DAYS = {"day": "day,06:00,16.8", "night": "night,00:00,6", "peak": "peak,22:48,1.2"}  # 5 % of the day


def random_world(seed: int) -> World:
    """2 or 3 sites and regions, one GPU type, two models, shapes of all sizes, tight limits; every penalty stated."""
    features, seed = FEATURES[seed // 1000], seed % 1000
    rng = np.random.default_rng(seed)
    sites, regions = ["p1", "p2", "p3"][: rng.integers(2, 4)], ["r1", "r2", "r3"][: rng.integers(2, 4)]
    days = SHORT_DAYS if "transit" in features else DAYS

    def pick(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    slices = list(days) if rng.integers(2) or "follow" in features or "transit" in features else [""]
    periods = ["h1", "h2"] if "periods" in features else [""]
    head = audit_world.TABLES["sites"].strip().splitlines()[0] + ",kind,transit_billing,gco2_per_kwh"
    more = 90 * (seed >= AMPLE)
    site_rows = [
        f"{p},{pick('DE', 'FR')},50,8,{pick(3, 6, 9, 14) + more},{pick(8, 20) + more},{pick(0.2, 1, 50)},"
        f"{pick(0.01, 0.1)},{pick('', 0.5, 9)},{pick('', 9, 30) if not more else ''},{pick(0, 50, 400)},{pick(0, 40)},"
        f"0.2,{pick(1.2, 1.5)},{pick(3, 300) if 'transit' in features else pick('', 3)},,{pick('', 'east')},"
        f"{pick('edge', 'cloud') if 'cloud' in features else ''},"
        f"{pick('peak', 'p95', 'mean') if 'transit' in features else ''},{pick(50, 400)}"
        for p in sites
    ]
    demand_rows = [
        f"{r},{m},{pick('chat', 'code')},{t},{h},{round(float(rng.uniform(0.5, 9)), 3)},{pick('', 0.4)},"
        for r in regions
        for m in ("m", "n")
        for t in slices
        for h in periods
        if not h or rng.random() < 0.8
    ]
    demand_rows += [
        f"r1,m,chat,{t},{h},0.7,,"
        for t in slices
        for h in periods
        if f"r1,m,chat,{t},{h}," not in "\n".join(demand_rows)
    ]
    changes: dict[str, str | None] = {
        "sites": "\n".join([head, *site_rows]),
        "regions": "region,country,latitude,longitude,users\n" + "\n".join(f"{r},DE,50,8,1" for r in regions),
        "services": "service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000,tenant,dedicated\n"
        f"chat,chat,120,5,10,{pick(0.5, 2)},,\ncode,code,150,30,60,{pick(1, 3)},"
        + ("acme,yes" if "tenants" in features else ","),
        "demand": "region,model,service,slice,period,requests_per_s,mean_requests_per_s,residency\n"
        + "\n".join(demand_rows),
        "servers": "server,gpu,gpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,months,"
        "rent_usd_month,stands_at,embodied_kgco2e\n"
        + (SERVERS, LEAN)[seed % 3 == 1]
        .replace("RENT", str(pick("", 300, 900)))
        .replace("SECOND", pick("any", "cloud") if "cloud" in features else "edge")
        .replace("THIRD", pick("any", "cloud") if "cloud" in features else "any")
        + ("\nh2,h,2,2,2,20000,0.2,,,24,,any,900" if seed >= TWO_GPUS else ""),
        "gpus": "gpu,memory_gb,mig_slices,tdp_w\ng,96,4,600\nh,80,1,700",
        "shapes": audit_world.TABLES["shapes"].strip().splitlines()[0] + "\n" + "\n".join(_shape_rows(rng, seed)),
        "residency": None,
        "export": pick(None, f"gpu,server,country,max_gpus,from_date,reason\ng,,DE,{pick(0, 3)},,x\n,s2,FR,2,,x"),
        "deliveries": pick(None, f"period,delivery_group,server,quantity\n,,s1,{pick(1, 3)}\n,east,s2,2\n,,s4,1"),
        "budgets": pick(None, f"period,capex_usd,monthly_usd\n,{pick(9000, 40000)},{pick('', 1500, 4000)}"),
        "fleet": pick(None, f"site,server,count\n{sites[0]},s1,2\n{sites[1]},s2,1"),
        "energy": f"site,country,slice,usd_per_kwh,gco2_per_kwh\np1,,{slices[-1]},0.1,900"
        if "carbon" in features
        else None,
        "slices": "slice,start_utc,hours_per_day\n" + "\n".join(days[t] for t in slices) if slices != [""] else None,
    }
    if "periods" in features:
        changes |= _period_tables(rng)
    if "failures" in features:
        changes |= _failure_tables(changes, sites, np.random.default_rng(seed))
    toml = {
        "money": {"wacc": 0.12, "latency_usd_per_million_request_ms": float(pick(0, 3))},
        "limits": {"replicas_follow_slices": "follow" in features}
        | ({"installs_per_period": int(pick(1, 3))} if "periods" in features else {}),
        "objective": {"usd_per_tco2e": float(pick(100, 1000))} if "carbon" in features else {},
        "reliability": {"n_minus_1": ["metro"] if "failures" in features else []},
    }
    pairs = _random_pairs(rng, sites, regions)
    if "uncertain" in features:
        toml["uncertainty"], pairs = _uncertain(pairs, np.random.default_rng(seed))
    return World(audit_world.scenario(changes, toml), pairs)


def _uncertain(pairs: Pairs, rng: np.random.Generator) -> tuple[dict[str, Any], Pairs]:
    """A price on being late that counts, a percentile or none, and intervals of all widths around what is known."""
    told = {"late_usd_per_1000": float(rng.choice([0.2, 2])), "percentile": rng.choice([None, 0.05, 0.31, 0.5, 0.8])}
    shape = pairs.rtt_state.shape
    states = np.where((pairs.rtt_state > 0) & (rng.random(shape) < 0.8), 1, pairs.rtt_state).astype(np.int8)
    inferred, ms = states == 1, pairs.rtt_p95_ms
    lower, upper = np.round(ms * rng.uniform(0.2, 1, shape), 3), np.round(ms * rng.uniform(1, 3, shape), 3) + 0.001
    return told, replace(
        pairs,
        rtt_state=states,
        rtt_p95_ms=np.where(inferred, np.nan, ms),
        rtt_lower_ms=np.where(inferred, lower, ms),
        rtt_upper_ms=np.where(inferred, upper, ms),
    )


def _period_tables(rng: np.random.Generator) -> dict[str, str | None]:
    """Two periods of different length; stock that arrives, budgets for one or both, an export rule that begins."""
    several = [
        f"period,capex_usd,monthly_usd\nh1,{rng.choice([9000, 20000])},\nh2,16000,{rng.choice([900, 5000])}",
        "period,capex_usd,monthly_usd\nh2,16000,2500\n,,4000",
        None,
    ]
    return {
        "periods": "period,start_date,months\nh1,2027-01-01,6\nh2,2027-07-01,3.5",
        "deliveries": [
            "period,delivery_group,server,quantity\nh1,,s1,1\nh2,,s1,2\nh2,,s2,1",
            "period,delivery_group,server,quantity\n,east,s2,1\nh2,east,s2,1\nh1,,s1,1",
            None,
        ][rng.integers(3)],
        "budgets": several[rng.integers(3)],
        "export": "gpu,server,country,max_gpus,from_date,reason\ng,,DE,3,2027-07-01,x\n,s2,FR,2,2027-01-01,x",
    }


def _failure_tables(
    changes: dict[str, str | None], sites: list[str], rng: np.random.Generator
) -> dict[str, str | None]:
    """Metros of one or two sites, some of which overlap, and a budget for backups that is wider or narrower."""
    metros = [f"{name},{site},metro" for name in ("x", "y") for site in sites if rng.random() < 0.6]
    services = str(changes["services"]).splitlines()
    budgets = ("backup_latency_budget_ms", rng.choice(["", "160", "90"]), rng.choice(["", "200"]))
    return {
        "domains": "domain,site,kind\n" + "\n".join([*metros, f"z,{sites[0]},metro", f"w,{sites[-1]},grid"]),
        "services": "\n".join(f"{line},{more}" for line, more in zip(services, budgets, strict=True)),
    }


def _shape_rows(rng: np.random.Generator, seed: int) -> list[str]:
    found = []
    for m in ("m", "n"):
        for shape, gpus in (("a", 0.25), ("b", 1), ("c", 1), ("d", 2), ("e", 4)):
            if rng.random() < 0.7:
                q, ttft = round(float(rng.uniform(1, 9)) * gpus, 3), int(rng.integers(20, 90))
                g = "h" if seed >= TWO_GPUS and shape in "bd" else "g"
                found += [f"{m}{shape},{m},{g},{gpus},fp8,chat,p,{q},{ttft},1,1,x"]
                found += [f"{m}{shape},{m},{g},{gpus},fp8,code,p,{round(q / 3, 3)},{ttft + 9},1,1,x"]
    return found


def _random_pairs(rng: np.random.Generator, sites: list[str], regions: list[str]) -> Pairs:
    shape = (len(regions), len(sites))
    rtt = np.round(rng.uniform(5, 70, shape), 3)
    figures = {name: np.full(shape, np.nan) for name in ("rtt_base_ms", "rtt_p50_ms", "loss", "jitter_ms")}
    return Pairs(
        regions=tuple(regions),
        sites=tuple(sites),
        rtt_state=rng.choice([0, 1, 2], shape, p=[0.1, 0.3, 0.6]).astype(np.int8),
        rtt_provenance=np.zeros(shape, np.int8),
        mbps_provenance=np.zeros(shape, np.int8),
        rtt_p95_ms=rtt,
        rtt_lower_ms=rtt,
        rtt_mid_ms=rtt,
        rtt_upper_ms=rtt,
        samples=np.ones(shape, np.int64),
        mbps_state=rng.choice([0, 2], shape, p=[0.2, 0.8]).astype(np.int8),
        mbps=np.full(shape, 40.0),
        observed_at_s=np.zeros(shape),
        **figures,
    )


@cache
def world(seed: int) -> World:
    """A random world."""
    return random_world(seed)


@cache
def optimum(seed: int) -> float:
    """Mean over the periods of the optimum of each by itself: no roll-out costs less."""
    told = world(seed)
    return _mean_by_months(told, [solved(told, period) for period in told.periods])


@cache
def expected_bound(seed: int) -> float:
    """The same of the priced problems."""
    told, prices = world(seed), random_prices(seed)
    return _mean_by_months(told, [solved(told, period, prices[period]) for period in told.periods])


def _mean_by_months(told: World, usd: list[float]) -> float:
    return float(np.dot(told.months, usd) / np.sum(told.months))


def names(told: World, period: str) -> dict[str, list[Any]]:
    """Names of demand rows, sites, slices and limits of a period."""
    return {
        "keys": [(row["region"], row["model"], row["service"], row["slice"]) for row in told.demand(period)],
        "sites": list(told.scenario.table("sites")["site"]),
        "slices": sorted(set(told.scenario.table("demand")["slice"])),
        "limits": sorted({name for name, _, _ in limits(told, period)}),
    }


@cache
def random_prices(seed: int) -> dict[str, Prices]:
    """Prices of a sensible size, by period: about what rows, wires, servers cost; some are zero."""
    told, rng = world(seed), np.random.default_rng(1000 + seed)
    found = {}
    for period in told.periods:
        listed = names(told, period)
        some, scale = rng.integers(0, 2, 4), rng.choice([0.1, 0.3, 1.0])
        wires = [(site, t) for site in listed["sites"] for t in listed["slices"]]
        found[period] = Prices(
            demand={key: float(scale * rng.uniform(-100, 6000)) for key in listed["keys"]},
            up={wire: float(some[0] * rng.uniform(0, 300)) for wire in wires},
            down={wire: float(some[1] * rng.uniform(0, 300)) for wire in wires},
            limit={name: float(some[2] * rng.uniform(0, 0.1 if "capex" in name else 300)) for name in listed["limits"]},
            budget=float(some[3] * rng.uniform(0, 1)),
        )
    return found
