"""Rules 10 to 12 of the second opinion: stock, export, money, installations, the fleet that tenants share."""

from collections import defaultdict
from typing import Any

import numpy as np
from audit_milp import Terms
from audit_model_machines import ways
from audit_model_world import World


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
