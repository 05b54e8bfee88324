"""What one more of everything scarce is worth: an indication by the certificate's prices, checked by planning anew.

Stock, export, capex, money and bandwidth have a multiplier of their own. What stays within a site (kW, rack units,
GPUs) has none: its worth is what the site's own subproblem earns more, at the same prices, with room for one more
server. Both are means over the periods by their months.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from placement.explain.case import Case, How, again
from placement.explain.changes import UNITS, Change, Kind, applied, change, in_words
from placement.frames import Row, keyed, texts
from placement.problem import Names, build_rollout
from placement.problem.offers import may_stand
from placement.scenario import Scenario
from solvers.bound.evaluate import Evaluator
from solvers.bound.layout import layout_of
from solvers.problem import Problem
from solvers.relax import base_problem
from solvers.solution import Multipliers

Float = NDArray[np.float64]

_Steps = Callable[[str, Row], tuple[tuple[Change, ...], float]]

LEAST_USD = 0.01
KINDS_OF_SERVERS = 4
"""Kinds of servers whose room is tried at every site: those that stand most, each a build of the problem or two."""


class NoPricesError(ValueError):
    """There is no certificate to read prices from."""


@dataclass(frozen=True)
class Worth:
    """What `units` more of a limit would be worth a month, each; `checked_usd` by planning anew, NaN where not done."""

    kind: Kind
    unit: str
    changes: tuple[Change, ...]
    words: str
    units: float
    usd_per_unit: float
    checked_usd: float = float("nan")
    message: str = ""


@dataclass(frozen=True)
class WorthAnswer:
    """Everything that is worth a cent or more, the dearest kind of answer by what the whole step would earn."""

    question = "worth"
    cost_usd: float
    rows: tuple[Worth, ...]


def explain_worth(case: Case, how: How, check: int = 0) -> WorthAnswer:
    """What more would be worth, with the first `check` of them planned anew.

    Raises:
        NoPricesError: the plan has no certificate for some period.
    """
    prices = _prices(case)
    how.say("prices of rows")
    rows = [*_by_multiplier(case, prices), *_by_site(case, prices, how)]
    rows = sorted((r for r in rows if r.usd_per_unit >= LEAST_USD * _cent(r)), key=_rank)
    checked = [_checked(case, row, how) for row in rows[:check]]
    return WorthAnswer(case.cost_usd, (*checked, *rows[check:]))


def _rank(row: Worth) -> tuple[float, str]:
    return -row.usd_per_unit * row.units, row.words


def _cent(row: Worth) -> float:
    """A dollar of capex is worth cents at most: what counts is what the step earns."""
    return 1.0 / row.units


def _prices(case: Case) -> list[Multipliers]:
    """The certificate's prices. A row that the plan leaves, or that has no pair, is worth its penalty, none is more."""
    found = [c.multipliers for c in case.certificates if c is not None]
    if case.plans is None or len(found) < len(case.built.names):
        raise NoPricesError("there is no plan with a certificate, so no prices to tell what more would be worth")
    prices = []
    for price, problem, plan in zip(found, case.built.rollout.periods, case.plans, strict=True):
        left = problem.unservable | (plan.unserved > 1e-6)
        usd = np.where(left, problem.unserved_usd, np.minimum(price.demand_usd, problem.unserved_usd))
        prices.append(replace(price, demand_usd=usd))
    return prices


def _by_multiplier(case: Case, prices: Sequence[Multipliers]) -> Iterator[Worth]:
    """Limits over many sites, and bandwidth."""
    servers = keyed(case.scenario.table("servers"), "server")
    for h, (names, price) in enumerate(zip(case.built.names, prices, strict=True)):
        weight, problem = float(case.weights[h]), base_problem(case.built.rollout.periods[h])
        for number, (name, usd) in enumerate(zip(names.limits, price.limit_usd.tolist(), strict=True)):
            step = _step(name, names.period, servers)
            if step is not None and usd > 0:
                # where there is none at all any price is sound, so that it says nothing
                each = usd if problem.limit_rhs[number] > 0 else min(usd, _first_unit_usd(problem, price, number))
                yield _worth(case, (step,), step.amount, weight * each)
        if price.budget > 0:
            one = change("monthly", (names.period,), 1000.0)
            yield _worth(case, (one,), one.amount, weight * price.budget)
    links: tuple[tuple[Kind, str], ...] = (("uplink", "uplink_usd"), ("downlink", "downlink_usd"))
    for kind, column in links:
        total = sum(w * getattr(price, column).sum(axis=1) for w, price in zip(case.weights, prices, strict=True))
        for site, usd in zip(case.built.names[0].sites, np.asarray(total).tolist(), strict=True):
            if usd > 0:
                yield _worth(case, (change(kind, (site,), 1.0),), 1.0, usd)


def _first_unit_usd(problem: Problem, price: Multipliers, limit: int) -> float:
    """What a unit of a limit of nothing earns, on the average of those that the best site would take for free."""
    free = replace(price, limit_usd=np.where(np.arange(len(price.limit_usd)) == limit, 0.0, price.limit_usd))
    before = _profit(problem, price)
    with Evaluator(layout_of(problem)) as evaluator:
        answer = evaluator.sweep(free).answer
        gain = np.maximum(answer.profit, 0.0) - before
        row = problem.limit_matrix.getrow(limit).toarray().reshape(-1)
        taken = np.bincount(problem.offer_site, row * answer.servers, problem.sites)
    return float(np.divide(gain, taken, out=np.zeros(len(gain)), where=taken > 0).max(initial=0.0))


def _step(name: str, period: str, servers: dict[str, Row]) -> Change | None:
    """A change of a limit that is of use: a server, the GPUs of the smallest one, the price of the cheapest."""
    kind, *about = name.split("|")
    if kind == "stock":
        return change("stock", (*about, period), 1)
    if kind == "export":
        by, what, _ = about
        return change("export", about, min(int(row["gpus"]) for row in servers.values() if row[by] == what))
    if kind == "capex":
        prices = [float(row["capex_usd"]) for row in servers.values() if row["capex_usd"] > 0]
        return change("capex", (period,), min(prices)) if prices else None
    return None


def _worth(case: Case, changes: tuple[Change, ...], units: float, usd: float) -> Worth:
    one = changes[0]
    unit = "GPU" if one.kind == "fleet" else UNITS[one.kind]
    most = max(case.cost_usd, 0.0) / units  # a plan cannot save more than all that it costs
    each = min(max(float(usd), 0.0), most)
    words = in_words(changes[:1], case.scenario) + (", with power and place" if len(changes) > 1 else "")
    return Worth(one.kind, unit, changes, words, float(units), each)


def _by_site(case: Case, prices: Sequence[Multipliers], how: How) -> Iterator[Worth]:
    """kW, rack units and GPUs of every site, each by the kind of server that makes the most of them."""
    servers = keyed(case.scenario.table("servers"), "server")
    before = _profits(case, case.scenario, prices)
    stands = may_stand(case.scenario)
    ways: tuple[tuple[str, _Steps], ...]
    ways = (("kW", _more_power), ("rack units", _more_units), ("GPUs", _more_gpus))
    for kind, steps in ways:
        best: dict[str, Worth] = {}
        for server in _kinds_of_servers(case):
            how.say(f"room for one {server} more at every site: {kind}")
            column = texts(case.scenario.table("servers"), "server").index(server)
            sites = [s for p, s in enumerate(case.built.names[0].sites) if stands[p, column]]
            more = {site: steps(site, servers[server]) for site in sites}
            every = [one for changes, _ in more.values() for one in changes]
            gain = _profits(case, applied(case.scenario, every), prices) - before
            for p, site in enumerate(case.built.names[0].sites):
                if site in more and more[site][1] > 0:
                    changes, units = more[site]
                    found = _worth(case, changes, units, float(gain[p]) / units)
                    if site not in best or found.usd_per_unit > best[site].usd_per_unit:
                        best[site] = found
        yield from best.values()


def _more_power(site: str, server: Row) -> tuple[tuple[Change, ...], float]:
    one = change("power", (site,), float(server["power_kw"]))
    return (one,), one.amount


def _more_units(site: str, server: Row) -> tuple[tuple[Change, ...], float]:
    one = change("rack_units", (site,), float(server["rack_units"]))
    return (one,), one.amount


def _more_gpus(site: str, server: Row) -> tuple[tuple[Change, ...], float]:
    """A server that stands there already, with its power and its place."""
    own = change("fleet", (site, server["server"]), 1)
    return (own, *_more_power(site, server)[0], *_more_units(site, server)[0]), float(server["gpus"])


def _kinds_of_servers(case: Case) -> list[str]:
    """Kinds of servers, those that stand most in the plan first."""
    count: dict[str, float] = dict.fromkeys(sorted({offer.server for offer in case.built.names[0].offers}), 0.0)
    for plan, names in zip(case.plans or (), case.built.names, strict=bool(case.plans)):
        for number in np.flatnonzero(plan.servers).tolist():
            count[names.offers[number].server] += float(plan.servers[number])
    return sorted(count, key=lambda name: (-count[name], name))[:KINDS_OF_SERVERS]


def _profits(case: Case, scenario: Scenario, prices: Sequence[Multipliers]) -> Float:
    """What every site earns at the prices, P: the mean over the periods."""
    built = case.built if scenario is case.scenario else build_rollout(scenario, case.pairs, previous=case.previous)
    total = np.zeros(len(built.names[0].sites))
    for h, (problem, names) in enumerate(zip(built.rollout.periods, built.names, strict=True)):
        own = _renamed(prices[h], case.built.names[h], names)
        total += float(case.weights[h]) * _profit(base_problem(problem), own)
    return total


def _renamed(price: Multipliers, old: Names, new: Names) -> Multipliers:
    """The prices for a problem whose limits are others; a limit that was not there costs nothing."""
    usd = dict(zip(old.limits, price.limit_usd.tolist(), strict=True))
    return replace(price, limit_usd=np.array([usd.get(name, 0.0) for name in new.limits], np.float64))


def _profit(problem: Problem, prices: Multipliers) -> Float:
    with Evaluator(layout_of(problem)) as evaluator:
        return np.maximum(evaluator.sweep(prices).answer.profit, 0.0)


def _checked(case: Case, row: Worth, how: How) -> Worth:
    """The row with what planning anew, with the change made, says."""
    how.say(row.words)
    after = again(case, applied(case.scenario, row.changes), how)
    if after.plans is None:
        return replace(row, message=after.message or "no plan keeps the hard rules then")
    return replace(row, checked_usd=(case.cost_usd - after.cost_usd) / row.units)
