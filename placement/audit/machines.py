"""Rules 6 to 8 and 10 to 12: what stands where, and what may be bought."""

from collections import defaultdict
from fractions import Fraction

from placement.audit.case import Case
from placement.audit.facts import Facts
from placement.audit.hosting import misfit
from placement.audit.limits import limit_rows
from placement.audit.plan_files import PlanFiles, Replicas, Standing
from placement.audit.report import Findings


def check_machines(case: Case, plan: PlanFiles, findings: Findings) -> tuple[Standing, ...]:
    """All rules on servers and replicas. Returns the servers whose names the scenario knows."""
    facts = case.facts
    servers = tuple(row for row in plan.servers if _known_server(facts, row, findings))
    replicas = tuple(row for row in plan.replicas if _known_replicas(facts, row, findings))
    check_gpus(facts, servers, replicas, findings)
    check_shapes(facts, replicas, findings)
    check_power(facts, servers, findings)
    check_fleet(facts, servers, findings)
    check_limits(case, servers, findings)
    return servers


def check_gpus(facts: Facts, servers: tuple[Standing, ...], replicas: tuple[Replicas, ...], findings: Findings) -> None:
    """(6) for each site, GPU and size s: Σ_{g_d ≥ s} g_d·y_pd ≤ Σ_{G_k ≥ s} G_k·n_pk.

    Only sizes of the plan's own replicas are looked at: between two of them the left side stays and the right falls.
    """
    have: dict[tuple[str, str], list[tuple[Fraction, int]]] = defaultdict(list)  # GPUs of one, how many
    need: dict[tuple[str, str], list[tuple[Fraction, int]]] = defaultdict(list)
    for row in servers:
        server = facts.servers[row.server]
        have[(row.site, server.gpu)].append((server.gpus, row.count))
    for held in replicas:
        shape = facts.shapes[held.shape]
        need[(held.site, shape.gpu)].append((shape.gpus, held.count))
    for (site, gpu), taken in sorted(need.items()):
        for size in sorted({gpus for gpus, _ in taken}):
            used = sum(gpus * count for gpus, count in taken if gpus >= size)
            room = sum(gpus * count for gpus, count in have[(site, gpu)] if gpus >= size)
            where = f"{gpu} at {site}, replicas of {float(size):g} GPUs or more"
            findings.at_most("6 GPUs", used, room, where, "GPUs")


def check_shapes(facts: Facts, replicas: tuple[Replicas, ...], findings: Findings) -> None:
    """(6) one operating point per (site, model, GPU, size); MIG only where parts make a GPU; memory fits."""
    points: dict[tuple[str, str, str, Fraction], list[str]] = defaultdict(list)
    for row in replicas:
        shape = facts.shapes[row.shape]
        if row.count > 0:
            points[(row.site, shape.model, shape.gpu, shape.gpus)].append(row.shape)
        where = f"{row.shape} at {row.site}"
        broken = misfit(facts, shape)
        for rule in ("6 MIG", "6 memory"):
            findings.check(rule, broken is None or broken[0] != rule, where, broken[1] if broken else "")
        if broken is not None and broken[0] == "6 GPUs":
            findings.check("6 GPUs", False, where, broken[1])
    for (site, model, gpu, gpus), shapes in sorted(points.items()):
        findings.check(
            "6 one operating point",
            len(shapes) == 1,
            f"{model} on {float(gpus):g} {gpu} at {site}",
            f"runs as {', '.join(sorted(shapes))}",
        )


def check_power(facts: Facts, servers: tuple[Standing, ...], findings: Findings) -> None:
    """(7, 8) kW as site and racks allow, no server hotter than a rack, rack units."""
    kw: dict[str, Fraction] = defaultdict(Fraction)
    units: dict[str, Fraction] = defaultdict(Fraction)
    for row in servers:
        server, site = facts.servers[row.server], facts.sites[row.site]
        kw[row.site] += server.power_kw * row.count
        units[row.site] += server.rack_units * row.count
        if row.count > 0:
            findings.at_most(
                "7 kW per rack", server.power_kw, site.max_kw_per_rack, f"{row.server} at {row.site}", "kW"
            )
    for name in sorted(kw):
        site = facts.sites[name]
        findings.at_most("7 power", kw[name], site.power_kw, name, "kW")
        if site.max_kw_per_rack is not None:
            cooled = site.max_kw_per_rack * site.rack_units / 42
            findings.at_most("7 kW per rack", kw[name], cooled, f"the racks of {name}", "kW")
        findings.at_most("8 rack units", units[name], site.rack_units, name, "U")


def check_fleet(facts: Facts, servers: tuple[Standing, ...], findings: Findings) -> None:
    """(10) what is not new stands there today."""
    for row in servers:
        stands = facts.fleet.get((row.site, row.server), 0)
        findings.at_most("10 fleet", row.count - row.new, stands, f"{row.server} at {row.site}", "servers kept")


def check_limits(case: Case, servers: tuple[Standing, ...], findings: Findings) -> None:
    """(10–12) stock, export and capex, each row as the tables give it."""
    rule_of = {"stock": ("10 inventory", "servers"), "export": ("11 export", "GPUs"), "capex": ("12 capex", "USD")}
    for row in limit_rows(case):
        used = Fraction(0)
        for held in servers:
            used += row.weight(held.site, held.server, True) * held.new
            used += row.weight(held.site, held.server, False) * (held.count - held.new)
        rule, unit = rule_of[row.name.split("|")[0]]
        findings.at_most(rule, used, row.most, row.name, unit)


def _known_server(facts: Facts, row: Standing, findings: Findings) -> bool:
    where = f"{row.server} at {row.site}"
    site = findings.check("format", row.site in facts.sites, where, f"there is no site {row.site!r}")
    return findings.check("format", row.server in facts.servers, where, f"there is no server {row.server!r}") and site


def _known_replicas(facts: Facts, row: Replicas, findings: Findings) -> bool:
    where = f"{row.shape} at {row.site}"
    site = findings.check("format", row.site in facts.sites, where, f"there is no site {row.site!r}")
    return findings.check("format", row.shape in facts.shapes, where, f"there is no shape {row.shape!r}") and site
