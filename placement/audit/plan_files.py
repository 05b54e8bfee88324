"""Reads a plan folder without trusting it: whatever is wrong becomes a violation named `format`, never a traceback."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from placement.audit.json_text import JsonError, read_json
from placement.audit.plan_reader import Reader
from placement.audit.plan_rows import (
    BILLION,
    BudgetMet,
    ClassMet,
    DomainRow,
    EarnedRow,
    Economics,
    GoalRow,
    JobRow,
    Move,
    PeriodRow,
    Replicas,
    RouteRow,
    Standing,
    Unserved,
)
from placement.audit.report import Findings
from placement.audit.route_table import read_routes

R = TypeVar("R")

MILLION = 10**6

SCHEMA = "nearserve-plan-3"
SAME_ROWS = ("nearserve-plan-2", SCHEMA)
"""Schemas whose rows of servers and replicas are read alike."""
COST_KINDS = (
    "servers",
    "support",
    "power_space",
    "idle_energy",
    "load_energy",
    "open_sites",
    "egress",
    "latency",
    "late",
    "jobs",
    "moves",
    "carbon",
    "unserved",
)
COST_KEYS = {*COST_KINDS, "total"}
SERVERS = {"site", "server", "tenant", "period", "count", "new", "rented"}
REPLICAS = {"site", "shape", "tenant", "slice", "period", "count"}
UNSERVED = {"region", "model", "service", "slice", "period", "share_ppb", "usd_month", "reason"}
JOBS = {"job", "site", "period", "slices", "transfer_hours", "usd_month"}
MOVES = {"step", "action", "site", "shape", "tenant", "slice", "count", "seconds"}
DOMAINS = {"domain", "period", "rerouted_share", "lost_share"}
PERIODS = {"period", "months", "cost", "served_share", "capex_usd", "gpus", "dpus"}
CLASS_MET = {"region", "model", "service", "served_share", "met_ppm"}
CARBON = {"energy_tco2e", "embodied_tco2e", "total_tco2e"}
ECONOMICS = {"horizon_months", "monthly_rate", "revenue_usd_month", "npv_usd", "payback_months", "sites"}
EARNED_USD = ("revenue_usd_month", "npv_usd", "cost_usd_month", "capex_usd")
EARNED = {*EARNED_USD, "site", "payback_months"}
KEYS = {
    "schema",
    "scenario",
    "status",
    "objective_usd_month",
    "bound_claimed_usd_month",
    "bound_verified_usd_month",
    "gap",
    "cost",
    "latency",
    "budget_met",
    "served_share",
    "servers",
    "replicas",
    "jobs",
    "moves",
    "reliability",
    "carbon",
    "goals",
    "periods",
    "economics",
    "unserved",
    "shadow_prices",
    "provenance",
}


@dataclass(frozen=True)
class PlanFiles:
    """What the files say, as far as it could be read; None where a figure is null or unreadable."""

    scenario: str = ""
    status: str = ""
    objective_usd_month: Fraction | None = None
    bound_claimed_usd_month: Fraction | None = None
    bound_verified_usd_month: Fraction | None = None
    gap: Fraction | None = None
    cost: Mapping[str, Fraction] = field(default_factory=dict)
    latency_ms: Mapping[str, Fraction | None] = field(default_factory=dict)
    budget_met: BudgetMet = field(default_factory=BudgetMet)
    served_share: Fraction | None = None
    servers: tuple[Standing, ...] = ()
    replicas: tuple[Replicas, ...] = ()
    jobs: tuple[JobRow, ...] = ()
    moves: tuple[Move, ...] = ()
    failover: str | None = None  # None: the plan knows of no failures
    domains: tuple[DomainRow, ...] = ()
    carbon: Mapping[str, Fraction | None] | None = None
    goals: tuple[GoalRow, ...] = ()
    periods: tuple[PeriodRow, ...] = ()
    economics: Economics | None = None
    unserved: tuple[Unserved, ...] = ()
    inputs_sha256: Mapping[str, str] = field(default_factory=dict)
    routes: tuple[RouteRow, ...] = ()


def read_plan(folder: Path, findings: Findings) -> PlanFiles | None:
    """The files of a plan folder; None when plan.json or routes.parquet cannot be read at all."""
    try:
        document = read_json(folder / "plan.json")
    except JsonError as error:
        findings.check("format", False, "plan.json", str(error))
        return None
    routes = read_routes(folder / "routes.parquet", findings)
    if not isinstance(document, dict):
        findings.check("format", False, "plan.json", "is not an object")
        return None
    return None if routes is None else _plan(Reader(document, findings), routes)


def _plan(read: Reader, routes: tuple[RouteRow, ...]) -> PlanFiles:
    at = read.document.get
    read.keys("plan.json", read.document, KEYS)
    read.ok(at("schema") == SCHEMA, "schema", f"is {at('schema')!r:.40}, not {SCHEMA!r}")
    read.ok(at("status") in ("OPTIMAL", "FEASIBLE"), "status", f"{at('status')!r:.40} is no status of a plan")
    latency = read.part("latency", {"p50_ms", "p95_ms", "p99_ms"})
    provenance = read.part("provenance", None)
    for where, row in read.rows("shadow_prices", {"limit", "usd_month"}):
        read.text(row["limit"], where)
        read.number(row["usd_month"], where)
    carbon = read.maybe_part("carbon", CARBON)
    failover, domains = _reliability(read)
    return PlanFiles(
        scenario=read.text(at("scenario"), "scenario"),
        status=str(at("status")),
        objective_usd_month=read.number(at("objective_usd_month"), "objective_usd_month"),
        bound_claimed_usd_month=read.maybe_number(at("bound_claimed_usd_month"), "bound_claimed_usd_month"),
        bound_verified_usd_month=read.maybe_number(at("bound_verified_usd_month"), "bound_verified_usd_month"),
        gap=read.maybe_number(at("gap"), "gap"),
        cost=read.figures(read.part("cost", COST_KEYS), "cost"),
        latency_ms={name: read.maybe_number(latency[name], f"latency.{name}") for name in latency},
        budget_met=_budget_met(read),
        served_share=read.number(at("served_share"), "served_share"),
        servers=_once(read, _servers(read), lambda r: (r.period, r.site, r.server, r.tenant)),
        replicas=_once(read, _replicas(read), lambda r: (r.period, r.site, r.shape, r.tenant, r.slice)),
        jobs=tuple(row for _, row in _jobs(read)),
        moves=tuple(_moves(read)),
        failover=failover,
        domains=domains,
        carbon=None
        if carbon is None
        else {name: read.maybe_number(carbon[name], f"carbon.{name}") for name in sorted(carbon)},
        goals=tuple(_goals(read)),
        periods=tuple(_periods(read)),
        economics=_economics(read),
        unserved=_once(read, _unserved(read), lambda r: (r.period, *r.key)),
        inputs_sha256=_hashes(read, provenance.get("inputs_sha256")),
        routes=routes,
    )


def _budget_met(read: Reader) -> BudgetMet:
    said = read.part("budget_met", {"met_ppm", "inferred_share", "classes"})
    if not said:
        return BudgetMet()
    found = []
    for where, row in read.rows_of(said["classes"], "budget_met.classes", CLASS_MET):
        names = [read.text(row[name], where) for name in ("region", "model", "service")]
        share, met = read.number(row["served_share"], where), read.count(row["met_ppm"], where, MILLION)
        if all(names) and share is not None and met is not None:
            found.append((where, ClassMet((names[0], names[1], names[2]), share, met)))
    met = said["met_ppm"]
    return BudgetMet(
        met_ppm=None if met is None else read.count(met, "budget_met.met_ppm", MILLION),
        inferred_share=read.maybe_number(said["inferred_share"], "budget_met.inferred_share"),
        classes=_once(read, found, lambda row: row.name),
    )


def _servers(read: Reader) -> Iterator[tuple[str, Standing]]:
    for where, row in read.rows("servers", SERVERS):
        count, new, rented = (read.count(row[name], f"{where}.{name}") for name in ("count", "new", "rented"))
        site, server = read.text(row["site"], where), read.text(row["server"], where)
        tenant, period = read.maybe_text(row["tenant"], where), read.maybe_text(row["period"], where)
        if count is None or new is None or rented is None or not site or not server or tenant is None or period is None:
            continue
        new_fit = read.ok(new <= count, where, f"{new} new of only {count}")
        if read.ok(rented <= new, where, f"{rented} rented of only {new} new") and new_fit:
            yield where, Standing(site, server, count, new, rented, tenant, period)


def _replicas(read: Reader) -> Iterator[tuple[str, Replicas]]:
    for where, row in read.rows("replicas", REPLICAS):
        count = read.count(row["count"], f"{where}.count")
        site, shape = read.text(row["site"], where), read.text(row["shape"], where)
        others = [read.maybe_text(row[name], f"{where}.{name}") for name in ("slice", "tenant", "period")]
        known = [name for name in others if name is not None]
        if count is not None and site and shape and len(known) == len(others):
            yield where, Replicas(site, shape, count, *known)


def _unserved(read: Reader) -> Iterator[tuple[str, Unserved]]:
    for where, row in read.rows("unserved", UNSERVED):
        share = read.count(row["share_ppb"], f"{where}.share_ppb", BILLION)
        usd = read.number(row["usd_month"], f"{where}.usd_month")
        texts = [read.text(row[name], f"{where}.{name}") for name in ("region", "model", "service", "reason")]
        name, period = read.maybe_text(row["slice"], f"{where}.slice"), read.maybe_text(row["period"], where)
        if share is not None and all(texts) and name is not None and period is not None:
            yield where, Unserved((texts[0], texts[1], texts[2], name), share, usd, period)


def _jobs(read: Reader) -> Iterator[tuple[str, JobRow]]:
    for where, row in read.rows("jobs", JOBS):
        job, site = read.text(row["job"], where), read.text(row["site"], where)
        period = read.maybe_text(row["period"], where)
        slices = [read.text(name, f"{where}.slices") for name in read.listed(row["slices"], f"{where}.slices")]
        hours, usd = (read.number(row[name], f"{where}.{name}") for name in ("transfer_hours", "usd_month"))
        if job and site and period is not None and all(slices) and hours is not None and usd is not None:
            yield where, JobRow(job, site, tuple(slices), hours, usd, period)


def _moves(read: Reader) -> Iterator[Move]:
    for where, row in read.rows("moves", MOVES):
        step, count = read.count(row["step"], f"{where}.step"), read.count(row["count"], f"{where}.count")
        site, shape = read.text(row["site"], where), read.text(row["shape"], where)
        action, seconds = read.text(row["action"], where), read.number(row["seconds"], f"{where}.seconds")
        name, tenant = read.maybe_text(row["slice"], where), read.maybe_text(row["tenant"], where)
        acts = read.ok(action in ("add", "drain"), where, f"{action!r:.40} is neither add nor drain")
        if step is None or count is None or seconds is None or name is None or tenant is None:
            continue
        if acts and site and shape:
            yield Move(step, action, site, shape, count, seconds, name, tenant)


def _reliability(read: Reader) -> tuple[str | None, tuple[DomainRow, ...]]:
    said = read.maybe_part("reliability", {"failover", "domains", "price_usd_month"})
    if said is None:
        return None, ()
    if not said:
        return "", ()
    read.maybe_number(said["price_usd_month"], "reliability.price_usd_month")
    found = []
    for where, row in read.rows_of(said["domains"], "reliability.domains", DOMAINS):
        domain, period = read.text(row["domain"], where), read.maybe_text(row["period"], where)
        rerouted, lost = (read.number(row[name], f"{where}.{name}") for name in ("rerouted_share", "lost_share"))
        if domain and period is not None and rerouted is not None and lost is not None:
            found.append((where, DomainRow(domain, rerouted, lost, period)))
    return read.text(said["failover"], "reliability.failover"), _once(read, found, lambda r: (r.domain, r.period))


def _goals(read: Reader) -> Iterator[GoalRow]:
    for where, row in read.rows("goals", {"goal", "unit", "value", "bound_claimed", "gap_claimed"}):
        goal, value = read.text(row["goal"], where), read.number(row["value"], f"{where}.value")
        read.text(row["unit"], f"{where}.unit")
        for name in ("bound_claimed", "gap_claimed"):
            read.maybe_number(row[name], f"{where}.{name}")
        if goal and value is not None:
            yield GoalRow(goal, value)


def _periods(read: Reader) -> Iterator[PeriodRow]:
    for where, row in read.rows("periods", PERIODS):
        name = read.text(row["period"], where)
        cost = read.figures(read.within(row["cost"], f"{where}.cost", COST_KEYS), f"{where}.cost")
        figures = [read.number(row[key], f"{where}.{key}") for key in ("months", "served_share", "capex_usd")]
        counts = [read.count(row[key], f"{where}.{key}") for key in ("gpus", "dpus")]
        (months, share, capex), (gpus, dpus) = figures, counts
        if not name or months is None or share is None or capex is None or gpus is None or dpus is None:
            continue
        yield PeriodRow(name, months, cost, share, capex, gpus, dpus)


def _economics(read: Reader) -> Economics | None:
    said = read.maybe_part("economics", ECONOMICS)
    if not said:
        return None
    horizon = read.count(said["horizon_months"], "economics.horizon_months")
    rate = read.number(said["monthly_rate"], "economics.monthly_rate")
    revenue, npv = (read.number(said[name], f"economics.{name}") for name in ("revenue_usd_month", "npv_usd"))
    payback = read.maybe_number(said["payback_months"], "economics.payback_months")
    sites = []
    for where, row in read.rows_of(said["sites"], "economics.sites", EARNED):
        site, figures = read.text(row["site"], where), [read.number(row[name], where) for name in EARNED_USD]
        known = [figure for figure in figures if figure is not None]
        site_payback = read.maybe_number(row["payback_months"], where)
        if site and len(known) == len(EARNED_USD):
            sites.append((where, EarnedRow(site, known[0], known[1], site_payback, known[2], known[3])))
    if horizon is None or rate is None or revenue is None or npv is None:
        return None
    return Economics(horizon, rate, EarnedRow("", revenue, npv, payback), _once(read, sites, lambda row: row.site))


def _hashes(read: Reader, value: object) -> dict[str, str]:
    if isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return value
    read.ok(False, "provenance.inputs_sha256", "is not an object of hashes")
    return {}


def _once(read: Reader, found: Iterable[tuple[str, R]], key: Callable[[R], object]) -> tuple[R, ...]:
    """The rows, each key once; one that is there already is a violation and left out."""
    first: dict[object, R] = {}
    for where, row in found:
        name = key(row)
        if read.ok(name not in first, where, f"{row!r:.200} is listed twice"):
            first[name] = row
    return tuple(first.values())


def read_standing(document: object) -> tuple[tuple[Standing, ...], tuple[Replicas, ...]] | None:
    """Servers and replicas in the first period of another plan's document; None where any of it cannot be read."""
    if not isinstance(document, dict):
        return None
    read = Reader(document, Findings())
    read.ok(document.get("schema") in SAME_ROWS, "schema", "is another")
    servers = tuple(row for _, row in _servers(read))
    replicas = tuple(row for _, row in _replicas(read))
    periods = [row.get("period") for row in read.listed(document.get("periods"), "periods") if isinstance(row, dict)]
    first = read.maybe_text(periods[0] if periods else None, "periods[0]")
    if read.findings.violations:
        return None
    return tuple(row for row in servers if row.period == first), tuple(row for row in replicas if row.period == first)
