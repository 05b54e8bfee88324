"""Rule 13 of the second opinion: N-1 with all its rows, and relaxed as a certificate prices it."""

from collections import defaultdict

import numpy as np
from audit_milp import Model, Name, Terms
from audit_model_routes import Route, routes_of
from audit_model_world import World


def failures(model: Model, world: World, period: str, routes: list[Route]) -> None:
    """(13) what a failing domain serves goes to survivors, beside what these serve; none can be lost that has any."""
    backups = list(routes_of(world, period, "backup_latency_budget_ms"))
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


def failures_apart(model: Model, world: World, period: str, routes: list[Route]) -> None:
    """(13) relaxed: what survivors serve then has nothing to do with what they served before, but for the replicas."""
    backups = list(routes_of(world, period, "backup_latency_budget_ms"))
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
