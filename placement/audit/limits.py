"""Rules 10 to 12 as rows over the servers of one period, derived from the tables, named as certificates name them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from placement.audit.case import Case
from placement.audit.exact import exact, known
from placement.audit.facts import Server, Way, rows
from placement.audit.periods import Period

Weight: TypeAlias = Callable[[str, str, Way], Fraction | int]


@dataclass(frozen=True)
class LimitRow:
    """Σ weight(site, server, way)·n ≤ most, over all tenants' servers of the period."""

    name: str
    most: Fraction
    weight: Weight


def limit_rows(case: Case) -> tuple[LimitRow, ...]:
    """All rows, each name once: where a table states one twice, the tighter counts."""
    tightest: dict[str, LimitRow] = {}
    for row in (*_stock(case), *_export(case), *_capex(case), *_installs(case), *_fleet(case)):
        tightest[row.name] = min(tightest.get(row.name, row), row, key=lambda stated: stated.most)
    return tuple(tightest[name] for name in sorted(tightest))


def monthly_budget_usd(case: Case) -> Fraction | None:
    """(12) the least monthly budget that the tables state for the period; None where they state none."""
    of_period = (row for row in rows(case.scenario, "budgets") if _speaks(case, row["period"]))
    return min((usd for row in of_period if (usd := known(row["monthly_usd"])) is not None), default=None)


def capex_most_usd(case: Case) -> Fraction | None:
    """(12) what may be newly bought in the period: the capex of its own budgets; None where they state none."""
    return _own_capex_usd(case, case.period)


def _own_capex_usd(case: Case, period: Period) -> Fraction | None:
    of_period = (row for row in rows(case.scenario, "budgets") if period.own(row["period"]))
    stated = [usd for row in of_period if (usd := known(row["capex_usd"])) is not None]
    return sum(stated, Fraction(0)) if stated else None


def capex_usd(server: Server, way: Way) -> Fraction:
    """What a server takes of the capex budget: nothing unless it is bought."""
    return server.capex_usd or Fraction(0) if way == "buy" else Fraction(0)


def is_install(case: Case, site: str, way: Way) -> bool:
    """Whether someone has to set it up: a new server, unless it is rented in a cloud."""
    return way != "fleet" and not (way == "rent" and case.facts.sites[site].kind == "cloud")


def _speaks(case: Case, period: str) -> bool:
    return not case.period.name or period in ("", case.period.name)


def _stock(case: Case) -> Iterator[LimitRow]:
    """(10) bought servers of a kind ≤ all delivered so far: to a group of sites, or to anyone where no group is named.

    With stock of its own a group may draw on the common one too; the total binds all of them. Rented ones draw none.
    """
    if not case.scenario.has("deliveries"):
        return
    delivered: dict[str, dict[str, Fraction]] = {name: {} for name in case.facts.servers}
    for row in rows(case.scenario, "deliveries"):
        of_kind = delivered.setdefault(row["server"], {})
        quantity = exact(row["quantity"]) if case.period.begun(row["period"]) else Fraction(0)
        of_kind[row["delivery_group"]] = of_kind.get(row["delivery_group"], Fraction(0)) + quantity
    for server, groups in delivered.items():
        common = groups.get("")
        for group in sorted(groups.keys() - {""}):
            yield LimitRow(f"stock|{server}|{group}", groups[group] + (common or 0), _of_group(case, server, {group}))
        if common is None:
            yield LimitRow(f"stock|{server}|", Fraction(0), _of_others(case, server, set(groups)))
        else:
            yield LimitRow(f"stock|{server}|", sum(groups.values(), Fraction(0)), _of_others(case, server, set()))


def _of_group(case: Case, kind: str, groups: set[str]) -> Weight:
    sites = case.facts.sites
    return lambda site, server, way: int(way == "buy" and server == kind and sites[site].delivery_group in groups)


def _of_others(case: Case, kind: str, groups: set[str]) -> Weight:
    sites = case.facts.sites
    return lambda site, server, way: int(way == "buy" and server == kind and sites[site].delivery_group not in groups)


def _export(case: Case) -> Iterator[LimitRow]:
    """(11) GPUs of a kind in a country, however they are held, from the rule's date on."""
    for row in rows(case.scenario, "export"):
        if not case.period.in_force(row["from_date"]):
            continue
        by = "gpu" if row["gpu"] else "server"
        name = f"export|{by}|{row[by]}|{row['country']}"
        yield LimitRow(name, exact(row["max_gpus"]), _of_country(case, by, row[by], row["country"]))


def _of_country(case: Case, by: str, what: str, country: str) -> Weight:
    def weight(site: str, server: str, way: Way) -> Fraction:
        del way  # the fleet counts as well
        kind = case.facts.servers[server]
        named = (kind.gpu if by == "gpu" else server) == what
        return kind.gpus if named and case.facts.sites[site].country == country else Fraction(0)

    return weight


def _capex(case: Case) -> Iterator[LimitRow]:
    """(12) capex of all bought so far ≤ the budgets so far; no row where one of those periods has no limit.

    Money that names no period is there from the first on and limits every period, whatever else is stated.
    """
    servers, period = case.facts.servers, case.period
    stated = [
        (row["period"], usd) for row in rows(case.scenario, "budgets") if (usd := known(row["capex_usd"])) is not None
    ]
    so_far = [_own_capex_usd(case, earlier) for earlier in case.periods[: period.number + 1]]
    if None in so_far and not any(name == "" for name, _ in stated):
        return
    most = sum((usd for name, usd in stated if period.begun(name)), Fraction(0))
    yield LimitRow(f"capex|{period.name}", most, lambda _, server, way: capex_usd(servers[server], way))


def _installs(case: Case) -> Iterator[LimitRow]:
    """(10) new servers at edge sites ≤ installs a period · periods so far."""
    most = case.scenario.document.limits.installs_per_period
    if most is not None:
        name, periods = f"installs|{case.period.name}", case.period.number + 1
        yield LimitRow(name, Fraction(most * periods), lambda site, server, way: int(is_install(case, site, way)))


def _fleet(case: Case) -> Iterator[LimitRow]:
    """(10) servers kept ≤ those that stand there, where tenants share a site's fleet between them."""
    if len(case.facts.tenants) < 2:
        return
    for (at, kind), count in sorted(case.facts.fleet.items()):
        yield LimitRow(f"fleet|{at}|{kind}", Fraction(count), _of_fleet(at, kind))


def _of_fleet(at: str, kind: str) -> Weight:
    return lambda site, server, way: int(way == "fleet" and (site, server) == (at, kind))
