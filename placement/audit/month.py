"""The plan of one period against the case of that period, cleared of every name that the scenario does not know."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Protocol, TypeAlias, TypeVar

from placement.audit.case import Case
from placement.audit.facts import Facts, Key
from placement.audit.plan_files import PlanFiles
from placement.audit.plan_rows import BILLION, JobRow, Replicas, RouteRow, Standing, Unserved
from placement.audit.report import Findings

Block: TypeAlias = tuple[str, str, str]
"""Where replicas stand: site, shape, tenant ("" for anybody's)."""


class _OfPeriod(Protocol):
    @property
    def period(self) -> str: ...


Row = TypeVar("Row", bound=_OfPeriod)


@dataclass(frozen=True)
class Month:
    """One period of a plan."""

    case: Case
    servers: tuple[Standing, ...]
    replicas: tuple[Replicas, ...]
    routes: tuple[RouteRow, ...]  # of the normal day
    backups: Mapping[str, tuple[RouteRow, ...]]  # by the domain that fails
    unserved: tuple[Unserved, ...]
    jobs: tuple[JobRow, ...]

    @property
    def facts(self) -> Facts:
        return self.case.facts

    def block(self, route: RouteRow) -> Block:
        """The replicas that a route ends at: those of its class's own tenant."""
        return route.site, route.shape, self.facts.tenant(route.key)

    @cached_property
    def standing(self) -> dict[tuple[Block, str], int]:
        """Replicas by block and slice."""
        return standing_by_slice(self.replicas, tuple(self.facts.hours))

    @cached_property
    def busy(self) -> dict[tuple[Block, str], Fraction]:
        """(4) replicas kept busy on the normal day, by block and slice."""
        return self.load(self.routes)

    @cached_property
    def wires(self) -> tuple[dict[tuple[str, str], Fraction], dict[tuple[str, str], Fraction]]:
        """(9) Mbit/s up and down on the normal day, by site and slice."""
        return self.flow(self.routes)

    def load(self, routes: tuple[RouteRow, ...]) -> dict[tuple[Block, str], Fraction]:
        """Σ_i λ_it·x_ipdt / q_d by block and slice."""
        facts, rates = self.facts, self.facts.rates
        parts: dict[tuple[Block, str, str], int] = defaultdict(int)  # block, slice, profile: share · rate
        for route in routes:
            profile = facts.services[route.key[2]].profile
            parts[(self.block(route), route.key[3], profile)] += route.share_ppb * rates.units[route.key]
        busy: dict[tuple[Block, str], Fraction] = defaultdict(Fraction)
        for (block, name, profile), rate in parts.items():
            busy[(block, name)] += rates.value(rate) / BILLION / facts.shapes[block[1]].requests_per_s[profile]
        return dict(busy)

    def flow(
        self, routes: tuple[RouteRow, ...]
    ) -> tuple[dict[tuple[str, str], Fraction], dict[tuple[str, str], Fraction]]:
        """Σ 8·λ·kbyte_out/1000 and the same of kbyte_in, by site and slice."""
        facts, rates = self.facts, self.facts.rates
        parts: dict[tuple[str, str, str], int] = defaultdict(int)  # site, slice, service: share · rate
        for route in routes:
            parts[(route.site, route.key[3], route.key[2])] += route.share_ppb * rates.units[route.key]
        up: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        down: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        for (site, name, service), rate in parts.items():
            megabits = rates.value(rate * 8) / 1000 / BILLION
            up[(site, name)] += megabits * facts.services[service].kbyte_out
            down[(site, name)] += megabits * facts.services[service].kbyte_in
        return dict(up), dict(down)


def standing_by_slice(replicas: tuple[Replicas, ...], slices: tuple[str, ...]) -> dict[tuple[Block, str], int]:
    """Replicas by block and slice; a row without a slice stands in every one."""
    found: dict[tuple[Block, str], int] = defaultdict(int)
    for row in replicas:
        for name in (row.slice,) if row.slice else slices:
            found[((row.site, row.shape, row.tenant), name)] += row.count
    return dict(found)


def months_of(cases: tuple[Case, ...], plan: PlanFiles, findings: Findings) -> tuple[Month, ...]:
    """The plan by period; rows of a period or of names that the scenario does not have are violations and left out."""
    names = {case.period.name for case in cases}
    servers, replicas = _by_period(plan.servers, names, findings), _by_period(plan.replicas, names, findings)
    routes, unserved = _by_period(plan.routes, names, findings), _by_period(plan.unserved, names, findings)
    jobs = _by_period(plan.jobs, names, findings)
    found = []
    for case in cases:
        facts, within = case.facts, findings.within(case.period.name)
        normal, backups = _parted(_known_routes(facts, routes[case.period.name], within))
        found.append(
            Month(
                case,
                tuple(row for row in servers[case.period.name] if _known_server(facts, row, within)),
                tuple(row for row in replicas[case.period.name] if _known_replicas(facts, row, within)),
                normal,
                backups,
                unserved[case.period.name],
                tuple(row for row in jobs[case.period.name] if _known_job(facts, row, within)),
            )
        )
    return tuple(found)


def _by_period(rows: tuple[Row, ...], names: set[str], findings: Findings) -> dict[str, tuple[Row, ...]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.period].append(row)
    for name in sorted(found.keys() - names):
        findings.check("format", False, f"period {name!r}", f"the scenario has no such period: {found[name][0]!r:.200}")
    return {name: tuple(found[name]) for name in names}


def _parted(routes: Iterator[RouteRow]) -> tuple[tuple[RouteRow, ...], dict[str, tuple[RouteRow, ...]]]:
    """Routes of the normal day, and those of each failure."""
    found: dict[str, list[RouteRow]] = defaultdict(list)
    for route in routes:
        found[route.failure].append(route)
    normal = tuple(found.pop("", ()))
    return normal, {name: tuple(rows) for name, rows in sorted(found.items())}


def spell(key: Key) -> str:
    """A class in a slice, as the messages name it."""
    return "/".join(part for part in key if part)


def spell_route(route: RouteRow) -> str:
    """A route, as the messages name it."""
    return f"{spell(route.key)} to {route.shape} at {route.site}"


def spell_block(block: Block, slice_name: str = "") -> str:
    """Replicas of a shape at a site, as the messages name them."""
    site, shape, tenant = block
    return f"{shape} at {site}" + (f" of {tenant}" if tenant else "") + (f" in {slice_name}" if slice_name else "")


def _known_routes(facts: Facts, routes: tuple[RouteRow, ...], findings: Findings) -> Iterator[RouteRow]:
    """Routes whose class, site and shape exist and whose shape runs the model for the service's profile."""
    for route in routes:
        if route.site not in facts.sites:
            findings.check("format", False, spell_route(route), f"there is no site {route.site!r}")
        elif route.shape not in facts.shapes:
            findings.check("format", False, spell_route(route), f"there is no shape {route.shape!r}")
        elif route.key not in facts.demand:
            if route.failure:  # rule 1 names those of the normal day
                findings.check("13 domain", False, spell_route(route), "the scenario has no such demand")
        elif _runs(facts, route, findings):
            yield route


def _runs(facts: Facts, route: RouteRow, findings: Findings) -> bool:
    shape, profile = facts.shapes[route.shape], facts.services[route.key[2]].profile
    runs, fits = shape.model == route.key[1], profile in shape.requests_per_s
    if runs and fits:
        findings.counted("4 replica capacity", 2)
        return True
    where = spell_route(route)
    findings.check("4 replica capacity", runs, where, f"the shape runs {shape.model}")
    findings.check("4 replica capacity", fits, where, f"the shape has no capacity for the profile {profile}")
    return False


def _known_server(facts: Facts, row: Standing, findings: Findings) -> bool:
    where = f"{row.server} at {row.site}"
    site = findings.check("format", row.site in facts.sites, where, f"there is no site {row.site!r}")
    kind = findings.check("format", row.server in facts.servers, where, f"there is no server {row.server!r}")
    tenant = findings.check("6 tenants", row.tenant in facts.tenants, where, _no_tenant(row.tenant))
    return site and kind and tenant


def _known_replicas(facts: Facts, row: Replicas, findings: Findings) -> bool:
    where = f"{row.shape} at {row.site}"
    site = findings.check("format", row.site in facts.sites, where, f"there is no site {row.site!r}")
    shape = findings.check("format", row.shape in facts.shapes, where, f"there is no shape {row.shape!r}")
    tenant = findings.check("6 tenants", row.tenant in facts.tenants, where, _no_tenant(row.tenant))
    return site and shape and tenant and _stands_in(facts, row, where, findings)


def _stands_in(facts: Facts, row: Replicas, where: str, findings: Findings) -> bool:
    if not row.slice:
        return True
    detail = "replicas of one slice, where limits.replicas_follow_slices is not set"
    follow = findings.check("rule off", facts.replicas_follow_slices, where, detail)
    return findings.check("format", row.slice in facts.hours, where, f"there is no slice {row.slice!r}") and follow


def _no_tenant(name: str) -> str:
    return f"no service has dedicated servers for a tenant {name!r}"


def _known_job(facts: Facts, row: JobRow, findings: Findings) -> bool:
    strange = sorted(set(row.slices) - set(facts.hours))
    site = findings.check("format", row.site in facts.sites, f"job {row.job}", f"there is no site {row.site!r}")
    return findings.check("format", not strange, f"job {row.job}", f"there are no slices {strange}") and site
