"""The arrays that solvers take and the auditor's own reading of the tables say the same of random worlds.

Neither uses the other. Where they part, one of them reads a rule differently, and a verified gap is worth less.
"""

from dataclasses import replace

import numpy as np
import pytest
from audit_oracle import FEATURES, world

from placement.audit.case import open_cases
from placement.audit.grid import Grid
from placement.audit.limits import limit_rows, monthly_budget_usd
from placement.audit.penalties import Penalties
from placement.problem import build_rollout

SEEDS = [1000 * feature + seed for feature in FEATURES for seed in (1, 2, 103)]


def both(seed, *, priced):
    """Every period as an auditor's case, and as a problem with its names; with or without stated penalties."""
    told = world(seed)
    services = told.scenario.table("services")
    if not priced:
        services = services.assign(unserved_usd_per_1000=np.nan)
    scenario = replace(told.scenario, tables={**told.scenario.tables, "services": services})
    unknown = told.pairs.mbps_state == 0
    pairs = replace(told.pairs, mbps=np.where(unknown, np.nan, told.pairs.mbps))
    built = build_rollout(scenario, pairs)
    return list(zip(open_cases(scenario, pairs), built.rollout.periods, built.names, strict=True))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("priced", [True, False], ids=["stated", "default"])
def test_penalties_and_what_nobody_can_serve_are_the_same(seed, priced):
    for case, problem, names in both(seed, priced=priced):
        penalties = Penalties(Grid(case))
        exact = [penalties.usd((row.region, row.model, row.service, row.slice)) for row in names.demands]
        assert problem.unserved_usd == pytest.approx([float(usd) for usd in exact], rel=1e-10)
        assert problem.constant_usd == pytest.approx(float(penalties.constant_usd), rel=1e-10)
        in_order = np.array([float(penalties.usd(key)) for key in penalties.grid.keys])
        # Chances are taken 1e-12 too high in a bound: a default penalty is lower by that part of what lateness costs.
        assert penalties.least_usd[penalties.servable] == pytest.approx(in_order[penalties.servable], rel=1e-9)
        assert (penalties.least_usd <= in_order).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_limits_and_the_price_of_holding_a_server_are_the_same(seed):
    for case, problem, names in both(seed, priced=True):
        rows = {row.name: row for row in limit_rows(case)}
        for limit, name in enumerate(names.limits):
            expected = [float(rows[name].weight(offer.site, offer.server, offer.way)) for offer in names.offers]
            assert problem.limit_matrix[limit].toarray().ravel() == pytest.approx(expected)
            assert problem.limit_rhs[limit] == pytest.approx(float(rows[name].most))
        budget = monthly_budget_usd(case)
        assert problem.monthly_budget_usd == pytest.approx(np.inf if budget is None else float(budget), rel=2e-6)
        servers = case.facts.servers
        held = [case.prices.held_usd(offer.site, servers[offer.server], offer.way) for offer in names.offers]
        assert problem.offer_usd == pytest.approx([float(usd) for usd in held], rel=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_route_costs_is_the_same_and_none_is_planned_that_the_auditor_refuses(seed):
    for case, problem, names in both(seed, priced=True):
        facts, network = case.facts, case.network
        for n in range(problem.pairs):
            row, block = names.demands[problem.pair_demand[n]], problem.pair_block[n]
            key, site = (row.region, row.model, row.service, row.slice), names.sites[problem.block_site[block]]
            shape, service = names.shapes[problem.block_shape[block]].shape, facts.services[row.service]
            ttft, on_way = facts.shapes[shape].ttft_ms[service.profile], network.network_ms(row.region, service, site)
            assert on_way is not None
            assert on_way + ttft <= service.latency_budget_ms
            late = 1 - network.met(row.region, service, site, ttft)
            exact = case.prices.route_usd(key, site, shape, on_way + ttft, late)
            if not case.prices.peak_usd(key, site):  # which the arrays may hold, where the flow is its own peak
                assert problem.pair_usd[n] == pytest.approx(float(exact), rel=1e-10)
