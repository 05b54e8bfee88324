"""A second opinion on bounds: one period of a world as one MILP for scipy, written from the equations.

`solved(world, period)` is the optimum of a period by itself; with prices the least of the same with rules 1 and 9 to 12
priced instead of kept, a billed peak as the mean over the slices that are surely counted, and the rows of rule 6 for 2,
4 and 8 GPUs left out, which is what a certificate proves. A demand row is never priced above its penalty, which would
prove less, and at its penalty where no site could serve it.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from audit_milp import Model, Name, Terms

from placement.scenario import Scenario
from placement.topology.pairs import Pairs

HOURS = 730.0
FREE = {"peak": 0.0, "p95": 0.05}


@dataclass(frozen=True)
class World:
    scenario: Scenario
    pairs: Pairs

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.scenario.table(table).to_dict("records")

    @property
    def periods(self) -> list[str]:
        return sorted({row["period"] for row in self.rows("demand")})

    @property
    def months(self) -> list[float]:
        listed = {row["period"]: row["months"] for row in self.rows("periods")}
        return [listed.get(name, 1.0) for name in self.periods]

    def demand(self, period: str) -> list[dict[str, Any]]:
        return [row for row in self.rows("demand") if row["period"] == period]

    @property
    def hours(self) -> dict[str, float]:
        """Hours a month of every slice."""
        return {row["slice"]: row["hours_per_day"] * HOURS / 24 for row in self.rows("slices")} or {"": HOURS}

    @property
    def stands(self) -> list[str]:
        """Slices that replicas are counted in: one for all, or each."""
        return list(self.hours) if self.scenario.document.limits.replicas_follow_slices else ["*"]

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        return {row["service"]: row for row in self.rows("services")}

    def owner(self, service: str) -> str:
        row = self.services[service]
        return row["tenant"] if row["dedicated"] == "yes" else ""

    @property
    def owners(self) -> list[str]:
        return sorted({"", *(self.owner(name) for name in self.services)})


@dataclass(frozen=True)
class Prices:
    """Multipliers of one period by name."""

    demand: dict[tuple[str, ...], float]
    up: dict[tuple[str, str], float]
    down: dict[tuple[str, str], float]
    limit: dict[str, float]
    budget: float


@dataclass(frozen=True)
class Route:
    """A way to serve a class whole."""

    key: tuple[str, ...]
    site: str
    shape: str
    owner: str
    load: float
    usd: float
    out: float
    in_: float

    def replicas(self, world: World) -> Name:
        slice_ = self.key[3] if world.stands != ["*"] else "*"
        return "y", self.site, self.shape, self.owner, slice_

    @property
    def share(self) -> Name:
        return "x", self.key, self.site, self.shape


def solved(world: World, period: str, prices: Prices | None = None) -> float:
    """The optimum; with prices the least of the priced problem."""
    return _model(world, period, prices).minimum()


def fair_prices(world: World, period: str) -> tuple[Prices, dict[tuple[str, tuple[str, ...]], float]]:
    """What the linear relaxation pays: prices of one period, and of its failure rows by domain and row."""
    usd = _model(world, period, None, apart=True).duals()
    failures = {name[1:]: usd[name] for name in usd if name[0] == "failure"}
    demand = {name[1]: usd[name] for name in usd if name[0] == "demand"}
    wires = [(site["site"], t) for site in world.rows("sites") for t in world.hours]
    return Prices(
        demand=demand,
        up={wire: -usd.get(("up", *wire), 0.0) for wire in wires},
        down={wire: -usd.get(("down", *wire), 0.0) for wire in wires},
        limit={name: -usd[("limit", name)] for name, _, _ in limits(world, period)},
        budget=-usd.get(("budget",), 0.0),
    ), failures


def _model(world: World, period: str, prices: Prices | None, *, apart: bool = False) -> Model:
    model = Model()
    routes = list(_routes(world, period))
    _machines(model, world, priced=prices is not None)
    spent = dict(zip(model.columns, model.cost, strict=True))
    penalty = {}
    for row in world.demand(period):
        rate = float(world.services[row["service"]]["unserved_usd_per_1000"])
        penalty[_key(row)] = _mean(row) * 3.6 * world.hours[row["slice"]] * rate
        model.column(("u", _key(row)), penalty[_key(row)], 1)
    for route in routes:
        counted = _counted_usd(world, route) if prices is not None else 0.0
        model.column(route.share, route.usd + counted, 1)
        spent[route.share] = route.usd + counted
        model.row([(route.share, 1), (route.replicas(world), -1)], 0)
    if prices is None:
        (_failures_apart if apart else _failures)(model, world, period, routes)
    for key, usd in penalty.items():
        mine = [route for route in routes if route.key == key]
        terms: Terms = [(("u", key), 1.0), *((route.share, 1.0) for route in mine)]
        if prices is None:
            model.row(terms, 1, 1, ("demand", key))
        else:
            servable = any(model.upper[model.columns[route.replicas(world)]] for route in mine)
            model.state(terms, 1, -min(prices.demand[key], usd) if servable else -usd)
    _serving(model, world, routes, prices)
    if prices is None:
        spent |= _peaks(model, world, routes)
    for name, terms, most in limits(world, period):
        model.state(terms, most, None if prices is None else prices.limit[name], ("limit", name))
    monthly = [row["monthly_usd"] for row in world.rows("budgets") if row["period"] in ("", period)]
    if not np.isnan(monthly).all():
        model.state(
            list(spent.items()), float(np.nanmin(monthly)), None if prices is None else prices.budget, ("budget",)
        )
    return model


def _serving(model: Model, world: World, routes: list[Route], prices: Prices | None) -> None:
    for site in world.rows("sites"):
        for t in world.hours:
            here = [route for route in routes if route.site == site["site"] and route.key[3] == t]
            for name in {route.replicas(world) for route in here}:
                model.row([*((r.share, r.load) for r in here if r.replicas(world) == name), (name, -1)], 0)
            for figure, limit, kind in (("out", site["uplink_mbps"], "up"), ("in_", site["downlink_mbps"], "down")):
                if not np.isnan(limit):
                    terms: Terms = [*((r.share, getattr(r, figure)) for r in here), (("open", site["site"]), -limit)]
                    usd = None if prices is None else getattr(prices, kind)[(site["site"], t)]
                    model.state(terms, 0, usd, (kind, site["site"], t))


def _billed(world: World) -> dict[str, tuple[float, float]]:
    """Sites that pay a peak: USD a Mbit/s, share of the day that is free."""
    listed = ((row, row["transit_usd_per_mbps_month"]) for row in world.rows("sites"))
    return {
        row["site"]: (usd, FREE[row["transit_billing"]])
        for row, usd in listed
        if not np.isnan(usd) and row["transit_billing"] != "mean"
    }


def _counted_usd(world: World, route: Route) -> float:
    """The route's part of the mean over the slices that last longer than the free share of the day."""
    usd, free = _billed(world).get(route.site, (0.0, 0.0))
    lasting = {t: hours / HOURS for t, hours in world.hours.items() if hours / HOURS > free + 1e-12}
    return usd * route.out * lasting.get(route.key[3], 0.0) / sum(lasting.values())


def _peaks(model: Model, world: World, routes: list[Route]) -> dict[Name, float]:
    """A column for the counted peak of every site that pays one; a binary leaves a slice out of it."""
    spent: dict[Name, float] = {}
    for site, (usd, free) in _billed(world).items():
        model.column(("peak", site), usd, np.inf)
        spent[("peak", site)] = usd
        for t in world.hours:
            flow: Terms = [(r.share, r.out) for r in routes if r.site == site and r.key[3] == t]
            model.column(("left out", site, t), 0, 1 if free else 0, whole=True)
            model.row([*flow, (("peak", site), -1), (("left out", site, t), -sum(w for _, w in flow))], 0)
        model.row([(("left out", site, t), hours / HOURS) for t, hours in world.hours.items()], free + 1e-12)
    return spent


def _machines(model: Model, world: World, *, priced: bool) -> None:
    shapes = world.scenario.table("shapes").drop_duplicates("shape").to_dict("records")
    for site in world.rows("sites"):
        p = site["site"]
        model.column(("open", p), site["open_usd_month"], 1, whole=True)
        kw = site["power_kw"]
        if not np.isnan(site["max_kw_per_rack"]):
            kw = min(kw, site["max_kw_per_rack"] * site["rack_units"] / 42)
        held = [
            name
            for owner in world.owners
            for k in world.rows("servers")
            for name in _held(model, world, site, k, owner, kw)
        ]
        use = {k["server"]: k for k in world.rows("servers")}
        model.row([*((h, use[h[2]]["power_kw"]) for h in held), (("open", p), -kw)], 0)
        model.row([*((h, use[h[2]]["rack_units"]) for h in held), (("open", p), -site["rack_units"])], 0)
        for owner in world.owners:
            _replicas(model, world, p, shapes, owner, sizes=(0,) if priced else (0, 2, 4, 8))


def ways(server: dict[str, Any]) -> list[str]:
    """How a new server may be had."""
    return [way for way, usd in (("buy", server["capex_usd"]), ("rent", server["rent_usd_month"])) if not np.isnan(usd)]


def _held(model: Model, world: World, site: Any, k: Any, owner: str, kw: float) -> list[Name]:
    """The columns of one kind of server at one site, for one owner."""
    p = site["site"]
    most = min(kw // k["power_kw"], site["rack_units"] // k["rack_units"])
    hot = not np.isnan(site["max_kw_per_rack"]) and k["power_kw"] > site["max_kw_per_rack"]
    if hot or k["stands_at"] not in ("any", site["kind"]):
        most = 0
    price = world.scenario.document.objective.usd_per_tco2e or 0
    stand = k["power_kw"] * site["usd_per_kw_month"]
    for t, hours in world.hours.items():
        usd, grams = _energy(world, site, t)
        stand += k["idle_kw"] * site["pue"] * hours * (usd + price * grams / 1e6)
    made = price * k["embodied_kgco2e"] / k["months"] / 1000 if price else 0
    rate = world.scenario.document.money.wacc / 12
    factor = rate / (1 - (1 + rate) ** -k["months"])
    paid = {"buy": (k["capex_usd"] + k["install_usd"]) * factor, "rent": k["rent_usd_month"]}
    fleet = sum(row["count"] for row in world.rows("fleet") if (row["site"], row["server"]) == (p, k["server"]))
    names: list[Name] = [("fleet", p, k["server"], owner)]
    model.column(names[0], stand, min(most, fleet), whole=True)
    for way in ways(k):
        names.append((way, p, k["server"], owner))
        model.column(names[-1], stand + made + paid[way] + k["support_usd_month"], most, whole=True)
    return names


def _replicas(model: Model, world: World, p: str, shapes: Any, owner: str, sizes: tuple[int, ...]) -> None:
    """Replicas of one owner at one site: one operating point of each size, and rule 6, in every slice of `stands`."""
    servers = world.rows("servers")
    largest: dict[str, int] = defaultdict(int)
    for k in servers:
        if model.upper[model.columns[(ways(k)[0], p, k["server"], owner)]] >= 1:
            largest[k["gpu"]] = max(largest[k["gpu"]], k["gpus"])
    for t in world.stands:
        groups = defaultdict(list)
        for d in shapes:
            name = (p, d["shape"], owner, t)
            model.column(("y", *name), 0, 64 if d["gpus_per_replica"] <= largest[d["gpu"]] else 0, whole=True)
            model.column(("point", *name), 0, 1, whole=True)
            model.row([(("y", *name), 1), (("point", *name), -64)], 0)
            groups[(d["model"], d["gpu"], d["gpus_per_replica"])].append((("point", *name), 1.0))
        for terms in groups.values():
            model.row(terms, 1)
        for size in sizes:
            for gpu in sorted({k["gpu"] for k in servers}):
                kinds = [k for k in servers if k["gpu"] == gpu and k["gpus"] >= size]
                have = [((way, p, k["server"], owner), -float(k["gpus"])) for k in kinds for way in ("fleet", *ways(k))]
                large = [d for d in shapes if d["gpu"] == gpu and d["gpus_per_replica"] >= size]
                model.row([*have, *((("y", p, d["shape"], owner, t), d["gpus_per_replica"]) for d in large)], 0)


def limits(world: World, period: str) -> list[tuple[str, Terms, float]]:
    """Rules 10 to 12 by name: terms ≤ most."""
    sites, servers = world.rows("sites"), world.rows("servers")
    so_far = [name for name in world.periods if name <= period]

    def held(wanted: tuple[str, ...], at: Any, kinds: Any, weight: Any = lambda _: 1.0) -> Terms:
        return [
            ((way, s["site"], k["server"], owner), float(weight(k)))
            for s in at
            for k in kinds
            for way in ("fleet", *ways(k))
            for owner in world.owners
            if way in wanted
        ]

    found = []
    if world.scenario.has("deliveries"):
        stock: dict[tuple[str, str], float] = defaultdict(float)
        for row in world.rows("deliveries"):
            stock[(row["server"], row["delivery_group"])] += row["quantity"] * (row["period"] <= period)
        for (name, group), most in stock.items():
            kind = [k for k in servers if k["server"] == name]
            here = [s for s in sites if group in ("", s["delivery_group"])]
            found.append((f"stock|{name}|{group}", held(("buy",), here, kind), most))
            if group:
                others = [s for s in sites if s["delivery_group"] != group]
                found.append((f"stock|{name}|", held(("buy",), others, kind), 0.0))
        absent = [k for k in servers if k["server"] not in {name for name, _ in stock}]
        found += [(f"stock|{k['server']}|", held(("buy",), sites, [k]), 0.0) for k in absent]
    dates = {row["period"]: row["start_date"] for row in world.rows("periods")}
    for row in world.rows("export"):
        by = "gpu" if row["gpu"] else "server"
        if row["from_date"] and row["from_date"] > dates.get(period, "9"):
            continue
        kind = [k for k in servers if k[by] == row[by]]
        here = [s for s in sites if s["country"] == row["country"]]
        terms = held(("fleet", "buy", "rent"), here, kind, lambda k: k["gpus"])
        found.append((f"export|{by}|{row[by]}|{row['country']}", terms, float(row["max_gpus"])))
    capex = {row["period"]: row["capex_usd"] for row in world.rows("budgets") if not np.isnan(row["capex_usd"])}
    if "" in capex:
        capex[world.periods[0]] = capex.pop("")
    if all(name in capex for name in so_far):
        terms = held(("buy",), sites, servers, lambda k: k["capex_usd"])
        found.append((f"capex|{period}", terms, sum(capex[name] for name in so_far)))
    installs = world.scenario.document.limits.installs_per_period
    if installs is not None:
        edge = [s for s in sites if s["kind"] == "edge"]
        terms = [*held(("buy",), sites, servers), *held(("rent",), edge, servers)]
        found.append((f"installs|{period}", terms, float(installs * len(so_far))))
    if len(world.owners) > 1:
        for row in world.rows("fleet"):
            terms = [(("fleet", row["site"], row["server"], owner), 1.0) for owner in world.owners]
            found.append((f"fleet|{row['site']}|{row['server']}", terms, float(row["count"])))
    return found


def _key(row: Any) -> tuple[str, ...]:
    return row["region"], row["model"], row["service"], row["slice"]


def _mean(row: Any) -> float:
    return float(row["requests_per_s"] if np.isnan(row["mean_requests_per_s"]) else row["mean_requests_per_s"])


def _energy(world: World, site: Any, t: str) -> tuple[float, float]:
    """USD and grams of a kWh: the row for site and slice, else the site's own."""
    for row in world.rows("energy"):
        if (row["site"], row["slice"]) == (site["site"], t):
            return row["usd_per_kwh"], row["gco2_per_kwh"]
    return site["usd_per_kwh"], site["gco2_per_kwh"]


def _failures(model: Model, world: World, period: str, routes: list[Route]) -> None:
    """(13) what a failing domain serves goes to survivors, beside what these serve; none can be lost that has any."""
    backups = list(_routes(world, period, "backup_latency_budget_ms"))
    for name, down in _domains(world).items():
        taken: dict[Name, list[Route]] = defaultdict(list)
        for key in {route.key for route in routes}:
            there = [r for r in backups if r.key == key and r.site not in down and model.upper_of(r.replicas(world))]
            lost = [(r.share, 1.0) for r in routes if r.key == key and r.site in down]
            if there and lost:
                for r in there:
                    model.column((name, *r.share), 0, 1)
                    model.row([((name, *r.share), 1), (r.replicas(world), -1)], 0)
                    taken[(*r.replicas(world), key[3])].append(r)
                model.row([*lost, *(((name, *r.share), -1.0) for r in there)], 0, 0)
        for group, moved in taken.items():
            site, t = group[1], group[-1]
            here = [r for r in routes if r.site == site and r.key[3] == t]
            terms = [(r.share, r.load) for r in here if r.replicas(world) == group[:-1]]
            model.row([*terms, *(((name, *r.share), r.load) for r in moved), (group[:-1], -1)], 0)
        for site_row in world.rows("sites"):
            for t in world.hours:
                here = [r for r in routes if r.site == site_row["site"] and r.key[3] == t]
                moved = [
                    r
                    for group, listed in taken.items()
                    for r in listed
                    if group[1] == site_row["site"] and group[-1] == t
                ]
                for figure, limit in (("out", site_row["uplink_mbps"]), ("in_", site_row["downlink_mbps"])):
                    if moved and not np.isnan(limit):
                        terms = [(r.share, getattr(r, figure)) for r in here]
                        terms += [((name, *r.share), getattr(r, figure)) for r in moved]
                        model.row(terms, float(limit))


def _failures_apart(model: Model, world: World, period: str, routes: list[Route]) -> None:
    """(13) relaxed: what survivors serve then has nothing to do with what they served before, but for the replicas."""
    backups = list(_routes(world, period, "backup_latency_budget_ms"))
    for name, down in _domains(world).items():
        for key in {route.key for route in routes}:
            there = [r for r in backups if r.key == key and r.site not in down and model.upper_of(r.replicas(world))]
            inside = any(r.key == key and r.site in down and model.upper_of(r.replicas(world)) for r in routes)
            if there or not inside:
                also = [r for r in routes if r.key == key and r.site not in down]
                moved = {r.share: r for r in (*there, *also)}
                for share in moved:
                    model.column((name, *share), 0, 1)
                terms: Terms = [(("u", key), 1.0), *(((name, *share), 1.0) for share in moved)]
                model.row(terms, 1, 1, ("failure", name, key))
        taken: dict[Name, dict[Name, float]] = defaultdict(dict)
        for r in (*backups, *routes):
            if (name, *r.share) in model.columns:
                taken[(*r.replicas(world), r.key[3])][(name, *r.share)] = r.load
        for group, loads in taken.items():
            model.row([*loads.items(), (group[:-1], -1)], 0)


def _domains(world: World) -> dict[str, set[str]]:
    """Domains that may fail, with their sites."""
    kinds = world.scenario.document.reliability.n_minus_1
    found: dict[str, set[str]] = defaultdict(set)
    for row in world.rows("domains"):
        if row["kind"] in kinds:
            found[row["domain"]].add(row["site"])
    return found


def _routes(world: World, period: str, budget: str = "latency_budget_ms") -> Any:
    """Everything admissible within a budget."""
    scenario, pairs = world.scenario, world.pairs
    busy_kw: dict[str, float] = defaultdict(float)
    for k in world.rows("servers"):
        busy_kw[k["gpu"]] = max(busy_kw[k["gpu"]], (k["power_kw"] - k["idle_kw"]) / k["gpus"])
    for row in world.demand(period):
        service = world.services[row["service"]]
        for site in world.rows("sites"):
            at = pairs.regions.index(row["region"]), pairs.sites.index(site["site"])
            if pairs.rtt_state[at] == 0 or (pairs.mbps_state[at] == 0 and service["kbyte_in"] > 14):
                continue
            way = pairs.rtt_p95_ms[at] + (8 * service["kbyte_in"] / pairs.mbps[at] if pairs.mbps_state[at] else 0)
            for d in scenario.table("shapes").to_dict("records"):
                latency = way + d["ttft_p95_ms"]
                if (d["model"], d["profile"]) != (row["model"], service["profile"]):
                    continue
                if latency > service[budget]:
                    continue
                kw = _mean(row) / d["requests_per_s"] * d["gpus_per_replica"] * busy_kw[d["gpu"]]
                yield Route(
                    _key(row),
                    site["site"],
                    d["shape"],
                    world.owner(row["service"]),
                    row["requests_per_s"] / d["requests_per_s"],
                    _route_usd(world, row, service, site, kw, latency),
                    *(8 * row["requests_per_s"] * service[name] / 1000 for name in ("kbyte_out", "kbyte_in")),
                )


def _route_usd(world: World, row: Any, service: Any, site: Any, kw: float, latency: float) -> float:
    """A month of the whole class, without a billed peak."""
    document, hours = world.scenario.document, world.hours[row["slice"]]
    month, transit = _mean(row) * 3600 * hours, site["transit_usd_per_mbps_month"]
    per_kwh, grams = _energy(world, site, row["slice"])
    price = document.objective.usd_per_tco2e
    usd = kw * site["pue"] * hours * (per_kwh + (price * grams / 1e6 if price else 0))
    if np.isnan(transit):
        usd += month * service["kbyte_out"] / 1e6 * site["egress_usd_per_gb"]
    elif site["transit_billing"] == "mean":
        usd += hours / HOURS * 8 * row["requests_per_s"] * service["kbyte_out"] / 1000 * transit
    return float(usd + document.money.latency_usd_per_million_request_ms * month / 1e6 * latency)
