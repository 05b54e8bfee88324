"""Rules 6 to 8 and 10 to 12 of one period: what stands where, and what may be had."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TypeAlias

from placement.audit.facts import Facts
from placement.audit.hosting import misfit
from placement.audit.jobs import Gang
from placement.audit.limits import limit_rows
from placement.audit.month import Month
from placement.audit.plan_rows import Replicas, Standing
from placement.audit.report import Findings

Pool: TypeAlias = tuple[str, str, str]
"""GPUs that replicas share: site, GPU, tenant ("" for anybody's)."""

Packed: TypeAlias = list[tuple[Fraction, Fraction]]
"""(size, GPUs in all): of servers or replicas of one size."""


def check_machines(month: Month, gangs: tuple[Gang, ...], findings: Findings) -> None:
    """All rules on servers and replicas; `gangs` are the jobs that take GPUs beside them."""
    facts = month.facts
    check_gpus(month, gangs, findings)
    check_shapes(facts, month.replicas, findings)
    check_operating_points(month, findings)
    check_ways(facts, month.servers, findings)
    check_power(facts, month.servers, findings)
    check_fleet(facts, month.servers, findings)
    check_limits(month, findings)


def room_of(facts: Facts, servers: Iterable[Standing]) -> dict[Pool, Packed]:
    """GPUs that stand, by pool and size of server."""
    found: dict[Pool, Packed] = defaultdict(list)
    for row in servers:
        server = facts.servers[row.server]
        found[(row.site, server.gpu, row.tenant)].append((server.gpus, server.gpus * row.count))
    return dict(found)


def pool_of(facts: Facts, site: str, shape: str, tenant: str) -> Pool:
    """The GPUs that a replica stands on."""
    return site, facts.shapes[shape].gpu, tenant


def check_packing(where: str, taken: Packed, room: Packed, findings: Findings, rule: str = "6 GPUs") -> None:
    """(6) for each size s: Σ_{g ≥ s} g·y ≤ Σ_{G ≥ s} G·n.

    Only sizes that are taken are looked at: between two of them the left side stays and the right falls.
    """
    for size in sorted({size for size, gpus in taken if gpus > 0}):
        used = sum((gpus for own, gpus in taken if own >= size), Fraction(0))
        most = sum((gpus for own, gpus in room if own >= size), Fraction(0))
        findings.at_most(rule, used, most, f"{where}, replicas of {float(size):g} GPUs or more", "GPUs")


def check_gpus(month: Month, gangs: tuple[Gang, ...], findings: Findings) -> None:
    """(6) in every slice: replicas and the gangs of jobs within the servers of their own tenant."""
    facts, room = month.facts, room_of(month.facts, month.servers)
    taken: dict[tuple[Pool, str], Packed] = defaultdict(list)
    for ((site, shape, tenant), name), count in month.standing.items():
        gpus = facts.shapes[shape].gpus
        taken[(pool_of(facts, site, shape, tenant), name)].append((gpus, gpus * count))
    for gang in gangs:
        for name in gang.slices:
            taken[((gang.site, gang.gpu, ""), name)].append((gang.size, gang.gpus))
    by_slice = facts.replicas_follow_slices or bool(gangs)
    for (pool, name), packed in sorted(taken.items(), key=lambda entry: entry[0]):
        if by_slice or name == facts.day[0]:  # without those every slice says the same
            check_packing(spell_pool(pool, name if by_slice else ""), packed, room.get(pool, []), findings)


def spell_pool(pool: Pool, slice_name: str = "") -> str:
    """GPUs at a site, as the messages name them."""
    site, gpu, tenant = pool
    return f"{gpu} at {site}" + (f" of {tenant}" if tenant else "") + (f" in {slice_name}" if slice_name else "")


def check_shapes(facts: Facts, replicas: tuple[Replicas, ...], findings: Findings) -> None:
    """(6) MIG only where parts make a GPU; memory fits; the size exists."""
    for row in replicas:
        where = f"{row.shape} at {row.site}"
        broken = misfit(facts, facts.shapes[row.shape])
        for rule in ("6 MIG", "6 memory"):
            findings.check(rule, broken is None or broken[0] != rule, where, broken[1] if broken else "")
        if broken is not None and broken[0] == "6 GPUs":
            findings.check("6 GPUs", False, where, broken[1])


def check_operating_points(month: Month, findings: Findings) -> None:
    """(6) one operating point per (site, model, GPU, size) of an owner in a slice."""
    points: dict[tuple[str, str, str, str, Fraction], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for ((site, name, tenant), slice_name), count in month.standing.items():
        shape = month.facts.shapes[name]
        if count > 0:
            points[(site, tenant, shape.model, shape.gpu, shape.gpus)][slice_name].add(name)
    for (site, _, model, gpu, gpus), by_slice in sorted(points.items()):
        crowded = [slice_name for slice_name, shapes in sorted(by_slice.items()) if len(shapes) > 1]
        where = f"{model} on {float(gpus):g} {gpu} at {site}"
        detail = f"runs as {', '.join(sorted(by_slice[crowded[0]]))}" if crowded else ""
        findings.check("6 one operating point", not crowded, where, detail)


def check_ways(facts: Facts, servers: tuple[Standing, ...], findings: Findings) -> None:
    """(10) a server is bought or rented only where it has that price, and stands only at its kind of site."""
    for row in servers:
        server, where = facts.servers[row.server], f"{row.server} at {row.site}"
        for way, count in row.by_way[1:]:
            if count > 0:
                offered = way in server.new_ways
                findings.check("10 ways", offered, where, f"{count} held by {way}, which the tables do not offer")
        if row.count > 0:
            kind = facts.sites[row.site].kind
            detail = f"stands at {server.stands_at} sites, and this one is {kind}"
            findings.check("10 site kind", server.stands_at in (kind, "any"), where, detail)


def check_power(facts: Facts, servers: tuple[Standing, ...], findings: Findings) -> None:
    """(7, 8) kW as site and racks allow, no server hotter than a rack, rack units; whoever owns them."""
    for row in servers:
        server, site = facts.servers[row.server], facts.sites[row.site]
        if row.count > 0:
            where = f"{row.server} at {row.site}"
            findings.at_most("7 kW per rack", server.power_kw, site.max_kw_per_rack, where, "kW")
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in servers:
        counts[row.site][row.server] += row.count
    for name in sorted(counts):
        site, (kw, units) = facts.sites[name], drawn(facts, counts[name])
        findings.at_most("7 power", kw, site.power_kw, name, "kW")
        if site.max_kw_per_rack is not None:
            cooled = site.max_kw_per_rack * site.rack_units / 42
            findings.at_most("7 kW per rack", kw, cooled, f"the racks of {name}", "kW")
        findings.at_most("8 rack units", units, site.rack_units, name, "U")


def drawn(facts: Facts, counts: Mapping[str, int]) -> tuple[Fraction, Fraction]:
    """kW and rack units of so many servers of each kind."""
    kinds = [(facts.servers[name], count) for name, count in counts.items()]
    return (
        sum((server.power_kw * count for server, count in kinds), Fraction(0)),
        sum((server.rack_units * count for server, count in kinds), Fraction(0)),
    )


def check_fleet(facts: Facts, servers: tuple[Standing, ...], findings: Findings) -> None:
    """(10) what is neither bought nor rented stands there today, tenants' servers together."""
    kept: dict[tuple[str, str], int] = defaultdict(int)
    for row in servers:
        kept[(row.site, row.server)] += row.held("fleet")
    for (site, server), count in sorted(kept.items()):
        findings.at_most("10 fleet", count, facts.fleet.get((site, server), 0), f"{server} at {site}", "servers kept")


def check_limits(month: Month, findings: Findings) -> None:
    """(10–12) stock, export and capex so far, each row as the tables give it."""
    rule_of = {
        "stock": ("10 inventory", "servers"),
        "export": ("11 export", "GPUs"),
        "capex": ("12 capex", "USD"),
        "installs": ("10 installs", "servers"),
        "fleet": ("10 fleet", "servers kept"),
    }
    for row in limit_rows(month.case):
        used = Fraction(0)
        for held in month.servers:
            for way, count in held.by_way:
                if count:
                    used += row.weight(held.site, held.server, way) * count
        rule, unit = rule_of[row.name.split("|")[0]]
        findings.at_most(rule, used, row.most, row.name, unit)
