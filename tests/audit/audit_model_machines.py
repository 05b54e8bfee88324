"""Rules 6 to 8 of the second opinion: sites that open, servers that stand there, replicas that they hold."""

from collections import defaultdict
from typing import Any

import numpy as np
from audit_milp import Model, Name
from audit_model_world import World, energy_of


def machines(model: Model, world: World, *, priced: bool) -> None:
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
        usd, grams = energy_of(world, site, t)
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
