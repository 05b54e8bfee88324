"""Parts of a plan as the rows of plan.json and routes.parquet, sorted by their names."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa

from placement.plan.backup import Backup
from placement.plan.document import Domain, Job, Move, Reliability, Replicas, Servers, Unserved
from placement.plan.exact import cents, exact
from placement.plan.folder import ROUTES
from placement.plan.ledger import job_usd
from placement.plan.month import Month
from placement.plan.prices import Prices
from placement.plan.reasons import Holdings, Reasons
from placement.plan.shares import BILLION
from placement.plan.steps import Machines, Place, Size, safe_steps
from placement.problem.names import Names
from placement.scenario import Scenario
from solvers.problem import Problem
from solvers.solution import Placement


def server_rows(month: Month) -> Iterator[Servers]:
    """What stands in the period."""
    for s in month.standing:
        yield Servers(
            site=s.site,
            server=s.server,
            tenant=s.tenant or None,
            period=month.period or None,
            count=s.count,
            new=s.new,
            rented=s.rented,
        )


def replica_rows(problem: Problem, names: Names, placement: Placement) -> Iterator[Replicas]:
    """Replicas of the period; `slice` is null where they stand in all."""
    for (site, shape, tenant, slice_name), count in sorted(replica_counts(problem, names, placement).items()):
        yield Replicas(
            site=site,
            shape=shape,
            tenant=tenant or None,
            slice=slice_name or None,
            period=names.period or None,
            count=count,
        )


def replica_counts(problem: Problem, names: Names, placement: Placement) -> dict[tuple[str, str, str, str], int]:
    """Replicas by (site, shape, tenant, slice), "" for all slices."""
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    found = {}
    for b in np.flatnonzero(placement.replicas).tolist():
        shape = names.shapes[problem.block_shape[b]]
        slice_name = "" if stands[b] < 0 else names.slices[stands[b]]
        found[names.sites[problem.block_site[b]], shape.shape, shape.tenant, slice_name] = int(placement.replicas[b])
    return found


def job_rows(prices: Prices, month: Month) -> Iterator[Job]:
    """Where and when the period's jobs run."""
    for option in month.jobs:
        yield Job(
            job=option.job,
            site=option.site,
            period=month.period or None,
            slices=option.slices,
            transfer_hours=option.transfer_hours,
            usd_month=cents(job_usd(prices, option, month.months)),
        )


def move_rows(
    scenario: Scenario, prices: Prices, month: Month, old: Mapping[Place, int], new: Mapping[Place, int]
) -> Iterator[Move]:
    """(14) The steps from `old` replicas to the `new` ones of the first period."""
    shapes = {
        name: Size(row["gpu"], round(4 * row["gpus_per_replica"]), row["model"]) for name, row in prices.shapes.items()
    }
    servers: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for s in month.standing:
        row = prices.servers[s.server]
        servers.setdefault((s.site, row["gpu"], s.tenant), []).append((int(row["gpus"]), s.count))
    slices = month.slices if scenario.document.limits.replicas_follow_slices else ("",)
    steps = safe_steps(old, new, shapes, frozenset(prices.sites), Machines(servers, slices))
    for number, step in enumerate(steps, 1):
        site, shape, tenant, slice_name = step.place
        yield Move(
            step=number,
            action=step.action,
            site=site,
            shape=shape,
            tenant=tenant or None,
            slice=slice_name or None,
            count=step.count,
            seconds=move_seconds(prices, site, shape) if step.action == "add" else 0.0,
        )


def move_seconds(prices: Prices, site: str, shape: str) -> float:
    """How long the weights of a shape take over the uplink of a site, s."""
    return float(8000 * exact(prices.shapes[shape]["weights_gb"]) / exact(prices.sites[site]["uplink_mbps"]))


def unserved_rows(reasons: Reasons, month: Month, holdings: Holdings) -> Iterator[Unserved]:
    """What is left of every demand row of the period, with the rule that blocks it."""
    left = sorted(month.left, key=lambda entry: _name(month, entry.demand))
    rows = [month.demands[entry.demand] for entry in left]
    for entry, row, reason in zip(left, rows, reasons.blocking(rows, holdings), strict=True):
        yield Unserved(
            region=row.region,
            model=row.model,
            service=row.service,
            slice=row.slice or None,
            period=month.period or None,
            share_ppb=entry.share_ppb,
            usd_month=cents(Fraction(entry.share_ppb, BILLION) * entry.penalty_usd),
            reason=reason,
        )


def reliability(
    told: Sequence[tuple[Problem, Month, Backup]], names: Sequence[Names], prices: Prices, price_usd: float | None
) -> Reliability | None:
    """(13) What each domain's failure reroutes and loses, in every period; None where the rule is off."""
    reserve = told[0][0].rules.reserve
    if reserve is None:
        return None
    domains = []
    for (_, month, backup), period in zip(told, names, strict=True):
        requests, _ = month.requests(prices)
        asked = sum(requests.tolist()) * BILLION
        amount = backup.hit_ppb.astype(object) * requests[backup.hit_demand]
        for e, domain in sorted(enumerate(period.domains), key=lambda item: item[1]):
            mine = backup.hit_domain == e
            rerouted = sum(amount[mine & backup.hit_saved].tolist())
            lost = sum(amount[mine & ~backup.hit_saved].tolist())
            domains.append(
                Domain(
                    domain=domain,
                    period=month.period or None,
                    rerouted_share=float(Fraction(rerouted, asked)) if asked else 0.0,
                    lost_share=float(Fraction(lost, asked)) if asked else 0.0,
                )
            )
    price = None if price_usd is None else float(round(price_usd, 2))
    return Reliability(failover=reserve.policy, domains=tuple(domains), price_usd_month=price)


def routes_table(told: Sequence[tuple[Problem, Month, Backup, Names]]) -> pa.Table:
    """routes.parquet by period, demand row, failure (none first), site and shape."""
    parts = [_routes(*part) for part in told]
    return pa.concat_tables(parts) if parts else pa.table({name: [] for name in ROUTES.names}, schema=ROUTES)


def _routes(problem: Problem, month: Month, backup: Backup, names: Names) -> pa.Table:
    flow = month.flow
    demand = np.concatenate([flow.demand, backup.demand])
    site = np.concatenate([flow.site, problem.block_site[backup.block]])
    shape = np.concatenate([flow.shape, problem.block_shape[backup.block]])
    failure = np.concatenate([np.zeros(len(flow.demand), np.int64), backup.domain + 1])
    ppb = np.concatenate([flow.ppb, backup.ppb])
    domains = ("", *names.domains)
    rank_shape = _ranks([(d.shape, d.tenant) for d in month.shapes])
    keys = (
        rank_shape[shape],
        _ranks(month.sites)[site],
        _ranks(domains)[failure],
        _ranks([_name(month, i) for i in range(len(month.demands))])[demand],
    )
    order = np.lexsort(keys)
    rows = [month.demands[i] for i in demand[order].tolist()]
    columns = {
        "region": [row.region for row in rows],
        "model": [row.model for row in rows],
        "service": [row.service for row in rows],
        "slice": [row.slice or None for row in rows],
        "period": [month.period or None] * len(rows),
        "site": [month.sites[p] for p in site[order].tolist()],
        "shape": [month.shapes[d].shape for d in shape[order].tolist()],
        "failure": [domains[e] or None for e in failure[order].tolist()],
        "share_ppb": ppb[order],
    }
    return pa.table(columns, schema=ROUTES)


def _name(month: Month, i: int) -> tuple[str, str, str, str]:
    row = month.demands[i]
    return row.region, row.model, row.service, row.slice


def _ranks(names: Sequence[tuple[str, ...]] | Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Place of every name in sorted order."""
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return rank
