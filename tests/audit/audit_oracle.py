"""A second opinion on bounds: random small worlds, and their model as one MILP for scipy, written from the equations.

`solved(world)` is the optimum; `solved(world, prices)` the least of the same with rules 1 and 9 to 12 priced instead of
kept and the rows of rule 6 for 2, 4 and 8 GPUs left out, which is what a certificate proves. A demand row is never
priced above its penalty, which would prove less, and at its penalty where no site could serve it.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any

import audit_world
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from placement.scenario import Scenario
from placement.topology.pairs import Pairs

HOURS = 730.0
TWO_GPUS = 100
AMPLE = 200  # from this seed on power and rack units do not bind
SERVERS = "s1,g,1,1.5,2,9000,,10,,36,\ns2,g,2,2.5,3,16000,0.5,,500,48,\ns4,g,4,5,6,,,30,,,900"
LEAN = (
    "s1,g,1,0.5,7,9000,0.1,10,,36,\ns2,g,2,4,0.5,16000,0.5,,500,48,\ns4,g,4,5,6,,,30,,,900"  # in kW, or in rack units
)


@dataclass(frozen=True)
class World:
    scenario: Scenario
    pairs: Pairs


@dataclass(frozen=True)
class Prices:
    """Multipliers by name."""

    demand: dict[tuple[str, ...], float]
    up: dict[tuple[str, str], float]
    down: dict[tuple[str, str], float]
    limit: dict[str, float]
    budget: float


def random_world(seed: int) -> World:
    """2 or 3 sites and regions, one GPU type, two models, shapes of all sizes, tight limits; every penalty stated."""
    rng = np.random.default_rng(seed)
    sites, regions = ["p1", "p2", "p3"][: rng.integers(2, 4)], ["r1", "r2", "r3"][: rng.integers(2, 4)]
    slices = ["", "day night"][rng.integers(2)].split() or [""]

    def pick(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    head = audit_world.TABLES["sites"].strip().splitlines()[0]
    more = 90 * (seed >= AMPLE)
    site_rows = [
        f"{p},{pick('DE', 'FR')},50,8,{pick(3, 6, 9, 14) + more},{pick(8, 20) + more},{pick(0.2, 1, 50)},"
        f"{pick(0.01, 0.1)},{pick('', 0.5, 9)},{pick('', 9, 30) if not more else ''},{pick(0, 50, 400)},{pick(0, 40)},"
        f"0.2,{pick(1.2, 1.5)},{pick('', 3)},,{pick('', 'east')}"
        for p in sites
    ]
    demand_rows = [
        f"{r},{m},{pick('chat', 'code')},{t},{round(float(rng.uniform(0.5, 9)), 3)},{pick('', 0.4)},"
        for r in regions
        for m in ("m", "n")
        for t in slices
    ]
    shape_rows = []
    for m in ("m", "n"):
        for shape, gpus in (("a", 0.25), ("b", 1), ("c", 1), ("d", 2), ("e", 4)):
            if rng.random() < 0.7:
                q, ttft = round(float(rng.uniform(1, 9)) * gpus, 3), int(rng.integers(20, 90))
                g = "h" if seed >= TWO_GPUS and shape in "bd" else "g"
                shape_rows += [f"{m}{shape},{m},{g},{gpus},fp8,chat,p,{q},{ttft},1,1,x"]
                shape_rows += [f"{m}{shape},{m},{g},{gpus},fp8,code,p,{round(q / 3, 3)},{ttft + 9},1,1,x"]
    changes: dict[str, str | None] = {
        "sites": "\n".join([head, *site_rows]),
        "regions": "region,country,latitude,longitude,users\n" + "\n".join(f"{r},DE,50,8,1" for r in regions),
        "services": "service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000\n"
        f"chat,chat,120,5,10,{pick(0.5, 2)}\ncode,code,150,30,60,{pick(1, 3)}",
        "demand": "region,model,service,slice,requests_per_s,mean_requests_per_s,residency\n" + "\n".join(demand_rows),
        "servers": "server,gpu,gpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,months,"
        "rent_usd_month\n"
        + (SERVERS, LEAN)[seed % 3 == 1]
        + ("\nh2,h,2,2,2,20000,0.2,,,24," if seed >= TWO_GPUS else ""),
        "gpus": "gpu,memory_gb,mig_slices,tdp_w\ng,96,4,600\nh,80,1,700",
        "shapes": audit_world.TABLES["shapes"].strip().splitlines()[0] + "\n" + "\n".join(shape_rows),
        "residency": None,
        "export": pick(None, f"gpu,server,country,max_gpus,from_date,reason\ng,,DE,{pick(0, 3)},,x\n,s2,FR,2,,x"),
        "deliveries": pick(None, f"period,delivery_group,server,quantity\n,,s1,{pick(1, 3)}\n,east,s2,2\n,,s4,1"),
        "budgets": pick(None, f"period,capex_usd,monthly_usd\n,{pick(9000, 40000)},{pick('', 1500, 4000)}"),
        "fleet": pick(None, f"site,server,count\n{sites[0]},s1,2\n{sites[1]},s2,1"),
        "energy": None,
    }
    if slices == [""]:
        changes["slices"] = None
    toml = {"money": {"wacc": 0.12, "latency_usd_per_million_request_ms": float(pick(0, 3))}, "limits": {}}
    return World(audit_world.scenario(changes, toml), _random_pairs(rng, sites, regions))


def _random_pairs(rng: np.random.Generator, sites: list[str], regions: list[str]) -> Pairs:
    shape = (len(regions), len(sites))
    rtt = np.round(rng.uniform(5, 70, shape), 3)
    figures = {name: np.full(shape, np.nan) for name in ("rtt_base_ms", "rtt_p50_ms", "loss", "jitter_ms")}
    return Pairs(
        regions=tuple(regions),
        sites=tuple(sites),
        rtt_state=rng.choice([0, 1, 2], shape, p=[0.1, 0.3, 0.6]).astype(np.int8),
        rtt_provenance=np.zeros(shape, np.int8),
        rtt_p95_ms=rtt,
        rtt_lower_ms=rtt,
        rtt_upper_ms=rtt,
        samples=np.ones(shape, np.int64),
        mbps_state=rng.choice([0, 2], shape, p=[0.2, 0.8]).astype(np.int8),
        mbps=np.full(shape, 40.0),
        observed_at_s=np.zeros(shape),
        **figures,
    )


class Model:
    """Columns by name with cost, upper bound and kind; rows ≤, filled as the equations say."""

    def __init__(self) -> None:
        self.columns: dict[tuple[Any, ...], int] = {}
        self.cost: list[float] = []
        self.upper: list[float] = []
        self.whole: list[int] = []
        self.rows: list[tuple[dict[int, float], float, float]] = []
        self.constant = 0.0

    def column(self, name: tuple[Any, ...], cost: float, upper: float, *, whole: bool = False) -> None:
        self.columns[name] = len(self.cost)
        self.cost.append(cost)
        self.upper.append(upper)
        self.whole.append(int(whole))

    def row(self, terms: list[tuple[tuple[Any, ...], float]], most: float, least: float = -np.inf) -> None:
        entries: dict[int, float] = defaultdict(float)
        for name, weight in terms:
            entries[self.columns[name]] += weight
        self.rows.append((entries, least, most))

    def price(self, terms: list[tuple[tuple[Any, ...], float]], most: float, usd: float) -> None:
        """Σ terms ≤ most priced at usd instead of kept."""
        for name, weight in terms:
            self.cost[self.columns[name]] += usd * weight
        self.constant -= usd * most

    def minimum(self) -> float:
        matrix = np.zeros((len(self.rows), len(self.cost)))
        for j, (entries, _, _) in enumerate(self.rows):
            for column, weight in entries.items():
                matrix[j, column] = weight
        rows = LinearConstraint(matrix, [row[1] for row in self.rows], [row[2] for row in self.rows])
        options = {"mip_rel_gap": 0.0}
        found = milp(self.cost, integrality=self.whole, bounds=Bounds(0, self.upper), constraints=rows, options=options)
        assert found.success, found.message
        return float(found.fun) + self.constant


def solved(world: World, prices: Prices | None = None) -> float:
    """The optimum; with prices the least of the priced problem."""
    model, scenario = Model(), world.scenario
    sites, servers = scenario.table("sites").to_dict("records"), scenario.table("servers").to_dict("records")
    hours = dict(
        zip(scenario.table("slices")["slice"], scenario.table("slices")["hours_per_day"] * HOURS / 24, strict=True)
    )
    hours = hours or {"": HOURS}
    routes = list(_routes(world, hours))
    shapes = scenario.table("shapes").drop_duplicates("shape").to_dict("records")
    _machines(model, world, sites, servers, shapes, priced=prices is not None)
    spent, spent_unserved = dict(zip(model.columns, model.cost, strict=True)), {}
    for row in scenario.table("demand").to_dict("records"):
        key = _key(row)
        service = scenario.table("services").set_index("service").loc[row["service"]]
        requests = _mean(row) * 3600 * hours[row["slice"]]
        spent_unserved[key] = requests / 1000 * float(service["unserved_usd_per_1000"])
        model.column(("u", key), spent_unserved[key], 1)
    for key, p, d, _, usd, _, _ in routes:
        model.column(("x", key, p, d), usd, 1)
        spent[("x", key, p, d)] = usd
        model.row([(("x", key, p, d), 1), (("y", p, d), -1)], 0)
    for key in sorted(_key(row) for row in scenario.table("demand").to_dict("records")):
        terms = [(("u", key), 1.0), *((("x", k, p, d), 1.0) for k, p, d, *_ in routes if k == key)]
        if prices is None:
            model.row(terms, 1, 1)
        else:
            servable = any(k == key and model.upper[model.columns[("y", p, d)]] for k, p, d, *_ in routes)
            penalty = spent_unserved[key]
            model.price(terms, 1, -min(prices.demand[key], penalty) if servable else -penalty)
    _serving(model, sites, list(hours), routes, prices)
    for name, terms, most in limits(world):
        _state(model, terms, most, None if prices is None else prices.limit[name])
    monthly = scenario.table("budgets")["monthly_usd"].dropna()
    if len(monthly):
        _state(model, list(spent.items()), float(monthly.min()), None if prices is None else prices.budget)
    return model.minimum()


def _serving(model: Model, sites: Any, slices: list[str], routes: Any, prices: Prices | None) -> None:
    for site in sites:
        for t in slices:
            here = [route for route in routes if route[1] == site["site"] and route[0][3] == t]
            for d in {route[2] for route in here}:
                model.row([*((("x", r[0], r[1], d), r[3]) for r in here if r[2] == d), (("y", site["site"], d), -1)], 0)
            wires = ((5, site["uplink_mbps"], "up"), (6, site["downlink_mbps"], "down"))
            for at, limit, kind in wires:
                if np.isnan(limit):
                    continue
                terms = [*((("x", r[0], r[1], r[2]), r[at]) for r in here), (("open", site["site"]), -limit)]
                usd = None if prices is None else getattr(prices, kind)[(site["site"], t)]
                _state(model, terms, 0, usd)


def _state(model: Model, terms: list[tuple[tuple[Any, ...], float]], most: float, usd: float | None) -> None:
    if usd is None:
        model.row(terms, most)
    else:
        model.price(terms, most, usd)


def _machines(model: Model, world: World, sites: Any, servers: Any, shapes: Any, *, priced: bool) -> None:
    fleet = {(row["site"], row["server"]): row["count"] for row in world.scenario.table("fleet").to_dict("records")}
    for site in sites:
        p = site["site"]
        model.column(("open", p), site["open_usd_month"], 1, whole=True)
        cooled = np.inf if np.isnan(site["max_kw_per_rack"]) else site["max_kw_per_rack"] * site["rack_units"] / 42
        kw = min(site["power_kw"], cooled)
        for k in servers:
            most = min(kw // k["power_kw"], site["rack_units"] // k["rack_units"])
            if not np.isnan(site["max_kw_per_rack"]) and k["power_kw"] > site["max_kw_per_rack"]:
                most = 0
            place = k["power_kw"] * site["usd_per_kw_month"]
            stand = place + k["idle_kw"] * site["pue"] * site["usd_per_kwh"] * HOURS
            rate = 0.12 / 12
            factor = rate / (1 - (1 + rate) ** -k["months"])
            buy = (k["capex_usd"] + k["install_usd"]) * factor if np.isnan(k["rent_usd_month"]) else k["rent_usd_month"]
            model.column(("kept", p, k["server"]), stand, min(most, fleet.get((p, k["server"]), 0)), whole=True)
            model.column(("new", p, k["server"]), stand + buy + k["support_usd_month"], most, whole=True)
        held = [(kind, p, k["server"]) for k in servers for kind in ("kept", "new")]
        use = {k["server"]: k for k in servers}
        model.row([*((h, use[h[2]]["power_kw"]) for h in held), (("open", p), -kw)], 0)
        model.row([*((h, use[h[2]]["rack_units"]) for h in held), (("open", p), -site["rack_units"])], 0)
        groups = defaultdict(list)
        largest: dict[str, int] = defaultdict(int)
        for k in servers:
            if model.upper[model.columns[("new", p, k["server"])]] >= 1:
                largest[k["gpu"]] = max(largest[k["gpu"]], k["gpus"])
        for d in shapes:
            most = 64 if d["gpus_per_replica"] <= largest[d["gpu"]] else 0
            model.column(("y", p, d["shape"]), 0, most, whole=True)
            model.column(("point", p, d["shape"]), 0, 1, whole=True)
            model.row([(("y", p, d["shape"]), 1), (("point", p, d["shape"]), -64)], 0)
            groups[(d["model"], d["gpu"], d["gpus_per_replica"])].append((("point", p, d["shape"]), 1.0))
        for terms in groups.values():
            model.row(terms, 1)
        for size in (0,) if priced else (0, 2, 4, 8):
            _gpus(model, p, servers, shapes, size)


def _gpus(model: Model, p: str, servers: Any, shapes: Any, size: int) -> None:
    """A row of rule 6 for every GPU type."""
    for gpu in sorted({k["gpu"] for k in servers}):
        kinds = [k for k in servers if k["gpu"] == gpu and k["gpus"] >= size]
        have = [((kind, p, k["server"]), -float(k["gpus"])) for k in kinds for kind in ("kept", "new")]
        large = [d for d in shapes if d["gpu"] == gpu and d["gpus_per_replica"] >= size]
        model.row([*have, *((("y", p, d["shape"]), d["gpus_per_replica"]) for d in large)], 0)


def limits(world: World) -> list[tuple[str, list[tuple[tuple[Any, ...], float]], float]]:
    """Rules 10 to 12 by name: terms ≤ most."""
    scenario, found = world.scenario, []
    sites, servers = scenario.table("sites").to_dict("records"), scenario.table("servers").to_dict("records")
    if scenario.has("deliveries"):
        for row in scenario.table("deliveries").to_dict("records"):
            group, k = row["delivery_group"], row["server"]
            here = [s["site"] for s in sites if group in ("", s["delivery_group"])]
            found.append((f"stock|{k}|{group}", [(("new", p, k), 1.0) for p in here], float(row["quantity"])))
            others = [s["site"] for s in sites if s["delivery_group"] != group]
            if group:
                found.append((f"stock|{k}|", [(("new", p, k), 1.0) for p in others], 0.0))
        listed = set(scenario.table("deliveries")["server"])
        absent = (k["server"] for k in servers if k["server"] not in listed)
        found += [(f"stock|{k}|", [(("new", s["site"], k), 1.0) for s in sites], 0.0) for k in absent]
    for row in scenario.table("export").to_dict("records"):
        by = "gpu" if row["gpu"] else "server"
        terms = [
            ((kind, s["site"], k["server"]), float(k["gpus"]))
            for s in sites
            for k in servers
            for kind in ("kept", "new")
            if s["country"] == row["country"] and k[by] == row[by]
        ]
        found.append((f"export|{by}|{row[by]}|{row['country']}", terms, float(row["max_gpus"])))
    for row in scenario.table("budgets").to_dict("records"):
        if not np.isnan(row["capex_usd"]):
            bought = [k for k in servers if np.isnan(k["rent_usd_month"])]
            terms = [(("new", s["site"], k["server"]), float(k["capex_usd"])) for s in sites for k in bought]
            found.append(("capex|", terms, float(row["capex_usd"])))
    return found


def _key(row: Any) -> tuple[str, ...]:
    return row["region"], row["model"], row["service"], row["slice"]


def _mean(row: Any) -> float:
    return float(row["requests_per_s"] if np.isnan(row["mean_requests_per_s"]) else row["mean_requests_per_s"])


def _routes(world: World, hours: dict[str, float]) -> Any:
    """(class, site, shape, replicas busy, USD a month, Mbit/s out, Mbit/s in) of everything admissible."""
    scenario, pairs = world.scenario, world.pairs
    services = scenario.table("services").set_index("service")
    busy_kw: dict[str, float] = defaultdict(float)
    for k in scenario.table("servers").to_dict("records"):
        busy_kw[k["gpu"]] = max(busy_kw[k["gpu"]], (k["power_kw"] - k["idle_kw"]) / k["gpus"])
    for row in scenario.table("demand").to_dict("records"):
        service = services.loc[row["service"]]
        for site in scenario.table("sites").to_dict("records"):
            at = pairs.regions.index(row["region"]), pairs.sites.index(site["site"])
            if pairs.rtt_state[at] == 0 or (pairs.mbps_state[at] == 0 and service["kbyte_in"] > 14):
                continue
            way = pairs.rtt_p95_ms[at] + (8 * service["kbyte_in"] / pairs.mbps[at] if pairs.mbps_state[at] else 0)
            for d in scenario.table("shapes").to_dict("records"):
                latency = way + d["ttft_p95_ms"]
                if (
                    d["model"] != row["model"]
                    or d["profile"] != service["profile"]
                    or latency > service["latency_budget_ms"]
                ):
                    continue
                month = _mean(row) * 3600 * hours[row["slice"]]
                out, in_ = (8 * row["requests_per_s"] * service[name] / 1000 for name in ("kbyte_out", "kbyte_in"))
                usd = _mean(row) / d["requests_per_s"] * d["gpus_per_replica"] * busy_kw[d["gpu"]]
                usd *= site["pue"] * site["usd_per_kwh"] * hours[row["slice"]]
                transit = site["transit_usd_per_mbps_month"]
                gigabytes = month * service["kbyte_out"] / 1e6
                usd += gigabytes * site["egress_usd_per_gb"] if np.isnan(transit) else out * transit
                usd += scenario.document.money.latency_usd_per_million_request_ms * month / 1e6 * latency
                yield _key(row), site["site"], d["shape"], row["requests_per_s"] / d["requests_per_s"], usd, out, in_


@cache
def world(seed: int) -> World:
    """A random world; from seed 100 on with two GPU types."""
    return random_world(seed)


@cache
def optimum(seed: int) -> float:
    return solved(world(seed))


@cache
def expected_bound(seed: int) -> float:
    return solved(world(seed), random_prices(seed))


def names(told: World) -> dict[str, list[Any]]:
    """Names of demand rows, sites, slices and limits."""
    table = told.scenario.table("demand")
    keys = list(zip(table["region"], table["model"], table["service"], table["slice"], strict=True))
    return {
        "keys": keys,
        "sites": list(told.scenario.table("sites")["site"]),
        "slices": sorted(set(table["slice"])),
        "limits": sorted({name for name, _, _ in limits(told)}),
    }


@cache
def random_prices(seed: int) -> Prices:
    """Prices of a sensible size: about what rows, wires, servers cost; some are zero."""
    told, rng = world(seed), np.random.default_rng(1000 + seed)
    listed = names(told)
    some, scale = rng.integers(0, 2, 4), rng.choice([0.1, 0.3, 1.0])
    wires = [(site, t) for site in listed["sites"] for t in listed["slices"]]
    return Prices(
        demand={key: float(scale * rng.uniform(-100, 6000)) for key in listed["keys"]},
        up={wire: float(some[0] * rng.uniform(0, 300)) for wire in wires},
        down={wire: float(some[1] * rng.uniform(0, 300)) for wire in wires},
        limit={name: float(some[2] * rng.uniform(0, 0.1 if "capex" in name else 300)) for name in listed["limits"]},
        budget=float(some[3] * rng.uniform(0, 1)),
    )
