"""Rule 13, proved by arithmetic on the published rows: every domain fails once, one at a time.

For a domain e and a class i in a slice, in parts per billion: X = Σ x over sites in e is lost, and the rows of that
failure bring it back, Σ z = X exactly, at sites outside of e. What flows on the survivors stays. Only a class without
any admissible backup outside of e is exempt: its rows are absent, and X is lost.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from placement.audit.case import Case
from placement.audit.facts import Facts, Key, rows
from placement.audit.month import Month, spell, spell_block, spell_route
from placement.audit.plan_files import PlanFiles
from placement.audit.plan_rows import BILLION, DomainRow, RouteRow
from placement.audit.report import Findings
from placement.audit.serving import check_latency, check_linking, check_residency
from placement.scenario import Scenario

SHARE_TOLERANCE = Fraction(1, 10**9)

Place: TypeAlias = tuple[str, str]
"""Where a share of a class goes: site, shape."""


@dataclass(frozen=True)
class Failure:
    """What the failure of a domain does, by class and slice, parts per billion."""

    domain: str
    lost: Mapping[Key, int]  # what its sites carry on a normal day
    exempt: frozenset[Key]  # of those, what nobody else may take


def failing_domains(scenario: Scenario) -> dict[str, frozenset[str]]:
    """Domains of the kinds that may fail, with their sites; none where the rule is off."""
    kinds = scenario.document.reliability.n_minus_1
    sites: dict[str, set[str]] = defaultdict(set)
    failing = set()
    for row in rows(scenario, "domains"):
        sites[row["domain"]].add(row["site"])
        if "all" in kinds or row["kind"] in kinds:
            failing.add(row["domain"])
    return {name: frozenset(sites[name]) for name in sorted(failing)}


@dataclass
class _Standing:
    """Sites that could stand in for a class: those found so far, and the search for more."""

    found: list[str]
    more: Iterator[str]

    def outside(self, down: frozenset[str]) -> bool:
        """Whether one of them is not among `down`; no further is searched than it takes to say."""
        if any(site not in down for site in self.found):
            return True
        for site in self.more:
            self.found.append(site)
            if site not in down:
                return True
        return False


@dataclass(frozen=True)
class Backups:
    """Which sites could stand in for a class at all, by the tables; the same in every period."""

    case: Case
    _standing: dict[tuple[str, str, str, str], _Standing] = field(default_factory=dict)
    _ttft: dict[tuple[str, str], dict[str, Fraction]] = field(default_factory=dict)
    _least: dict[tuple[str, str], Fraction] = field(default_factory=dict)
    _allowed: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def sites(self, facts: Facts, key: Key) -> frozenset[str]:
        """Sites that may and could serve the class within its backup budget, on some shape that they could hold."""
        standing = self._of(facts, key)
        standing.found.extend(standing.more)
        return frozenset(standing.found)

    def outside(self, facts: Facts, key: Key, down: frozenset[str]) -> bool:
        """Whether such a site is not among `down`: of thousands of sites the first few mostly say so."""
        return self._of(facts, key).outside(down)

    def _of(self, facts: Facts, key: Key) -> _Standing:
        name = self.case.residency.set_of(facts, key)
        kind = (key[0], key[1], key[2], name)
        if kind not in self._standing:
            self._standing[kind] = _Standing([], self._standing_in(facts, key, name))
        return self._standing[kind]

    def _standing_in(self, facts: Facts, key: Key, name: str) -> Iterator[str]:
        service = facts.services[key[2]]
        budget, quickest = service.backup_latency_budget_ms, self._quickest(key[1], service.profile)
        may = self._may(name, facts.countries[key[0]])
        within_ms = float((budget - self._least[(key[1], service.profile)]) / service.round_trips)
        for site in self.case.network.nearest(key[0], within_ms):
            if site in may and site in quickest:
                network = self.case.network.of_class(key, site)[0]
                if network is not None and network + quickest[site] <= budget:
                    yield site

    def _may(self, name: str, home: str) -> frozenset[str]:
        """(3) sites that the set `name` allows for users of the country `home`."""
        if (name, home) not in self._allowed:
            allows, sites = self.case.residency.allows_set, self.case.facts.sites.items()
            self._allowed[(name, home)] = frozenset(
                p for p, site in sites if allows(name, home, site.country, site.vendor)
            )
        return self._allowed[(name, home)]

    def _quickest(self, model: str, profile: str) -> dict[str, Fraction]:
        """The least time to first token of any shape that a site could hold, by site."""
        if (model, profile) not in self._ttft:
            hosting, least = self.case.hosting, dict[str, Fraction]()
            for name, shape in self.case.facts.shapes.items():
                if shape.model != model or profile not in shape.ttft_ms:
                    continue
                ttft = shape.ttft_ms[profile]
                for site in self.case.facts.sites:
                    if ttft < least.get(site, ttft + 1) and hosting.can_hold(site, name):
                        least[site] = ttft
            self._ttft[(model, profile)] = least
            self._least[(model, profile)] = min(least.values(), default=Fraction(0))
        return self._ttft[(model, profile)]


def check_failures(month: Month, backups: Backups, findings: Findings) -> tuple[Failure, ...]:
    """(13) replayed for every domain. Returns what each failure does."""
    domains = failing_domains(month.case.scenario)
    for name in sorted(month.backups.keys() - domains.keys()):
        rule = "13 domain" if domains else "rule off"
        detail = "no domain of the kinds that may fail has this name"
        findings.check(rule, False, f"failure of {name}", detail if domains else "no domain of the scenario may fail")
    by_site, found = _by_site(month), []
    for name, down in domains.items():
        within = findings.within(f"failure of {name}")
        failure = _failure(month.facts, name, down, by_site, backups)
        extra = month.backups.get(name, ())
        _check_rows(month, failure, down, extra, within)
        _check_sums(failure, extra, within)
        _check_survivors(month, extra, within)
        found.append(failure)
    _check_policy(month, domains, tuple(found), findings)
    return tuple(found)


def _by_site(month: Month) -> dict[str, list[RouteRow]]:
    found: dict[str, list[RouteRow]] = defaultdict(list)
    for route in month.routes:
        if route.share_ppb:
            found[route.site].append(route)
    return found


def _failure(
    facts: Facts, name: str, down: frozenset[str], by_site: Mapping[str, list[RouteRow]], backups: Backups
) -> Failure:
    lost: dict[Key, int] = defaultdict(int)
    for site in down:
        for route in by_site.get(site, ()):
            lost[route.key] += route.share_ppb
    return Failure(name, dict(lost), frozenset(key for key in lost if not backups.outside(facts, key, down)))


def _check_rows(
    month: Month, failure: Failure, down: frozenset[str], extra: tuple[RouteRow, ...], findings: Findings
) -> None:
    """Rows end at survivors and belong to classes that lose something; rules 2, 3 and 5 hold for each."""
    for route in extra:
        where = spell_route(route)
        findings.check("13 domain", route.site not in down, where, "the site fails with the domain")
        findings.check("13 domain", route.key in failure.lost, where, "the class loses nothing")
    check_latency(month.case, extra, findings)
    check_residency(month.case, extra, findings)
    check_linking(month, extra, findings)


def _check_sums(failure: Failure, extra: tuple[RouteRow, ...], findings: Findings) -> None:
    """Σ z = X exactly; nothing for a class that is exempt, and no other class may be left out."""
    taken: dict[Key, int] = defaultdict(int)
    for route in extra:
        taken[route.key] += route.share_ppb
    for key, lost in sorted(failure.lost.items()):
        if key in failure.exempt:
            detail = "has backup rows, though no site outside of the domain may serve it within its backup budget"
            findings.check("13 exempt", key not in taken, spell(key), detail)
        elif key not in taken:
            detail = f"{lost} ppb are lost, though a site outside of the domain may serve it within its backup budget"
            findings.check("13 exempt", False, spell(key), detail)
        else:
            detail = f"{lost} ppb fail, and {taken[key]} ppb are brought back"
            excess = Fraction(abs(taken[key] - lost), BILLION)
            findings.check("13 reserve", taken[key] == lost, spell(key), detail, excess)


def _check_survivors(month: Month, extra: tuple[RouteRow, ...], findings: Findings) -> None:
    """Σ_i λ·(x + z)/q ≤ y and the network rows, wherever the failure adds something; elsewhere x alone is checked."""
    for (block, name), load in sorted(month.load(extra).items()):
        busy = month.busy.get((block, name), Fraction(0)) + load
        room = month.standing.get((block, name), 0)
        findings.at_most("13 replica capacity", busy, room, spell_block(block, name), "replicas busy")
    for way, before, added in zip(("uplink", "downlink"), month.wires, month.flow(extra), strict=True):
        for (site, name), megabits in sorted(added.items()):
            used = before.get((site, name), Fraction(0)) + megabits
            limit = getattr(month.facts.sites[site], f"{way}_mbps")
            findings.at_most(f"13 {way}", used, limit, site + (f" in {name}" if name else ""), "Mbit/s")


def _check_policy(
    month: Month, domains: Mapping[str, frozenset[str]], failures: tuple[Failure, ...], findings: Findings
) -> None:
    """What the feed of the chosen policy can express."""
    policy = month.case.scenario.document.reliability.failover
    if policy == "proportional":
        _check_proportional(month, domains, failures, findings)
    elif policy == "priority":
        _check_priority(month, domains, findings)


def _check_proportional(
    month: Month, domains: Mapping[str, frozenset[str]], failures: tuple[Failure, ...], findings: Findings
) -> None:
    """z_b = x_b·X/Σx over the surviving primaries, each to one part per billion."""
    normal: dict[Key, dict[Place, int]] = defaultdict(dict)
    for route in month.routes:
        normal[route.key][(route.site, route.shape)] = route.share_ppb
    for failure in failures:
        within, down = findings.within(f"failure of {failure.domain}"), domains[failure.domain]
        taken: dict[Key, dict[Place, int]] = defaultdict(dict)
        for route in month.backups.get(failure.domain, ()):
            taken[route.key][(route.site, route.shape)] = route.share_ppb
        for key, lost in sorted(failure.lost.items()):
            if key in failure.exempt:
                continue
            alive = {place: share for place, share in normal[key].items() if place[0] not in down}
            total = sum(alive.values())
            odd = [
                f"{taken[key].get(place, 0)} ppb on {place[1]} at {place[0]}"
                for place in sorted(alive.keys() | taken[key].keys())
                if abs(taken[key].get(place, 0) * total - alive.get(place, 0) * lost) > total
            ]
            detail = f"{'; '.join(odd)}: not in proportion to what survives" if total else "nothing of it survives"
            within.check("13 policy", bool(total) and not odd, spell(key), detail)


def _check_priority(month: Month, domains: Mapping[str, frozenset[str]], findings: Findings) -> None:
    """All of X goes to one place, and the choices over all domains follow one order of preference.

    A place is preferred to another when it is chosen while the other stands; there is an order if this has no cycle.
    """
    chosen: dict[Key, dict[str, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for name in domains:
        for route in month.backups.get(name, ()):
            if route.share_ppb:
                chosen[route.key][name].append((route.site, route.shape))
    for key, by_domain in sorted(chosen.items()):
        split = {name: places for name, places in by_domain.items() if len(places) > 1}
        for name, places in split.items():
            where = findings.within(f"failure of {name}")
            where.check("13 policy", False, spell(key), f"goes to {len(places)} places, and priority knows one")
        if not split:
            choice = {name: places[0] for name, places in by_domain.items()}
            circle = _circle(choice, domains)
            told = " before ".join(f"{shape} at {site}" for site, shape in circle)
            findings.check("13 policy", not circle, spell(key), f"no order of preference has {told}")


def _circle(choice: Mapping[str, Place], domains: Mapping[str, frozenset[str]]) -> list[Place]:
    """A circle of places each preferred to the next; empty where there is an order."""
    after: dict[Place, set[Place]] = {place: set() for place in choice.values()}
    for name, place in choice.items():
        after[place] |= {other for other in after if other != place and other[0] not in domains[name]}
    left = dict(after)
    while free := [place for place in left if not any(place in others for others in left.values())]:
        for place in free:
            del left[place]
    if not left:
        return []
    walk = [min(left)]  # every place left has one before it: going back comes round
    while (before := min(place for place, others in left.items() if walk[-1] in others)) not in walk:
        walk.append(before)
    circle = walk[walk.index(before) :]
    return [*reversed(circle), circle[-1]]


def check_shares(
    month: Month, failures: tuple[Failure, ...], told: Mapping[str, DomainRow], findings: Findings
) -> None:
    """What the plan says of each failure in the period: mean requests rerouted and lost, as shares of all."""
    requests, asked = month.case.prices.requests, month.case.prices.all_requests
    for name in sorted(told.keys() - {failure.domain for failure in failures}):
        findings.check("13 shares", False, f"failure of {name}", "no domain of the kinds that may fail has this name")
    for failure in failures:
        lost = requests.value(sum(failure.lost[key] * requests.units[key] for key in failure.exempt)) / BILLION
        hit = requests.value(sum(share * requests.units[key] for key, share in failure.lost.items())) / BILLION
        row, where = told.get(failure.domain), f"failure of {failure.domain}"
        if row is None:
            findings.check("13 shares", False, where, "the plan says nothing of it")
            continue
        for what, said, value in (("rerouted", row.rerouted_share, hit - lost), ("lost", row.lost_share, lost)):
            share = value / asked if asked else Fraction(0)
            detail = f"the plan says {what} {float(said):.9g}, recomputed {float(share):.9g}"
            findings.check("13 shares", abs(said - share) <= SHARE_TOLERANCE, where, detail, abs(said - share))


def check_reliability(plan: PlanFiles, scenario: Scenario, findings: Findings) -> None:
    """The plan speaks of failures exactly where the scenario has them, and names the policy."""
    document = scenario.document.reliability
    on = bool(document.n_minus_1)
    if not on:
        findings.check("rule off", plan.failover is None, "reliability", "no domain of the scenario may fail")
    else:
        detail = f"the plan fails over by {plan.failover!r}, the scenario asks for {document.failover!r}"
        findings.check("13 policy", plan.failover == document.failover, "reliability", detail)
