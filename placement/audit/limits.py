"""Rules 10 to 12 as rows over servers, derived from the tables, named as certificates name them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from placement.audit.case import Case
from placement.audit.exact import exact, known
from placement.audit.facts import rows


@dataclass(frozen=True)
class LimitRow:
    """Σ weight(site, server, new)·n ≤ most."""

    name: str
    most: Fraction
    weight: Callable[[str, str, bool], Fraction | int]


def limit_rows(case: Case) -> tuple[LimitRow, ...]:
    """All rows, each name once: where a table states one twice, the tighter counts."""
    tightest: dict[str, LimitRow] = {}
    for row in (*_stock(case), *_export(case), *_capex(case)):
        tightest[row.name] = min(tightest.get(row.name, row), row, key=lambda stated: stated.most)
    return tuple(tightest[name] for name in sorted(tightest))


def monthly_budget_usd(case: Case) -> Fraction | None:
    """(12) the least monthly budget that the tables state; None where they state none."""
    stated = [usd for row in rows(case.scenario, "budgets") if (usd := known(row["monthly_usd"])) is not None]
    return min(stated, default=None)


def _stock(case: Case) -> Iterator[LimitRow]:
    """(10) new servers of a kind ≤ those delivered: to a group of sites, or to anyone where no group is named.

    With stock of its own a group may draw on the common one too; the total binds all of them.
    """
    if not case.scenario.has("deliveries"):
        return
    delivered: dict[str, dict[str, Fraction]] = {name: {} for name in case.facts.servers}
    for row in rows(case.scenario, "deliveries"):
        of_kind = delivered.setdefault(row["server"], {})
        of_kind[row["delivery_group"]] = of_kind.get(row["delivery_group"], Fraction(0)) + exact(row["quantity"])
    for server, groups in delivered.items():
        common = groups.get("")
        for group in sorted(groups.keys() - {""}):
            yield LimitRow(f"stock|{server}|{group}", groups[group] + (common or 0), _of_group(case, server, {group}))
        if common is None:
            yield LimitRow(f"stock|{server}|", Fraction(0), _of_others(case, server, set(groups)))
        else:
            yield LimitRow(f"stock|{server}|", sum(groups.values(), Fraction(0)), _of_others(case, server, set()))


def _of_group(case: Case, kind: str, groups: set[str]) -> Callable[[str, str, bool], int]:
    return lambda site, server, new: int(new and server == kind and case.facts.sites[site].delivery_group in groups)


def _of_others(case: Case, kind: str, groups: set[str]) -> Callable[[str, str, bool], int]:
    return lambda site, server, new: int(new and server == kind and case.facts.sites[site].delivery_group not in groups)


def _export(case: Case) -> Iterator[LimitRow]:
    """(11) GPUs of a kind in a country, fleet and new alike, from the rule's date on."""
    today = case.scenario.document.planning_date
    for row in rows(case.scenario, "export"):
        if row["from_date"] and today is not None and str(row["from_date"]) > today.isoformat():
            continue
        by = "gpu" if row["gpu"] else "server"
        name = f"export|{by}|{row[by]}|{row['country']}"
        yield LimitRow(name, exact(row["max_gpus"]), _of_country(case, by, row[by], row["country"]))


def _of_country(case: Case, by: str, what: str, country: str) -> Callable[[str, str, bool], Fraction]:
    def weight(site: str, server: str, new: bool) -> Fraction:
        del new  # the fleet counts as well
        kind = case.facts.servers[server]
        named = (kind.gpu if by == "gpu" else server) == what
        return kind.gpus if named and case.facts.sites[site].country == country else Fraction(0)

    return weight


def _capex(case: Case) -> Iterator[LimitRow]:
    """(12) capex of new servers in the period."""
    servers = case.facts.servers
    for row in rows(case.scenario, "budgets"):
        usd = known(row["capex_usd"])
        if usd is not None:
            yield LimitRow(
                f"capex|{row['period']}", usd, lambda _, server, new: new * case.prices.capex_usd(servers[server])
            )
