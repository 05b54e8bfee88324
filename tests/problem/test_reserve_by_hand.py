"""(13) Domains that may fail and who may stand in, on the tiny scenario, on paper."""

from pathlib import Path

import pytest
import tiny
from scenes import blocks, built, only, routes, with_column, with_keys

from placement.problem.reserve import ReserveError
from placement.scenario import ScenarioError

DOMAINS = {
    "domains.csv": "domain,site,kind\nparis,alpha,metro\nfrankfurt,beta,metro\neurope,alpha,grid\neurope,beta,grid\n"
}
METRO = with_keys("[reliability]", 'n_minus_1 = ["metro"]')
BACKUP = with_column("services.csv", "backup_latency_budget_ms", (230,))  # berlin to alpha: 180 + 50 ms
TIGHT = with_column("services.csv", "backup_latency_budget_ms", (70,))  # only berlin to beta and paris to alpha


def test_only_domains_of_the_kinds_that_are_named_may_fail(tmp_path: Path) -> None:
    found = built(tmp_path, DOMAINS, METRO)
    rule = only(found).rules.reserve
    assert rule is not None and rule.policy == "planned"
    assert found.names[0].domains == ("frankfurt", "paris")
    assert rule.domain_site.tolist() == [[False, True], [True, False]]


def test_all_domains_may_fail_where_all_are_named(tmp_path: Path) -> None:
    keys = with_keys("[reliability]", 'n_minus_1 = ["all"]', 'failover = "priority"')
    found = built(tmp_path, DOMAINS, keys)
    rule = only(found).rules.reserve
    assert rule is not None and rule.policy == "priority"
    assert found.names[0].domains == ("europe", "frankfurt", "paris")
    assert rule.domain_site.tolist() == [[True, True], [False, True], [True, False]]


def test_domains_without_the_key_are_no_rule(tmp_path: Path) -> None:
    assert only(built(tmp_path, DOMAINS)).rules.reserve is None


def test_a_kind_that_no_domain_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((ReserveError, ScenarioError), match="carrier"):
        built(tmp_path, DOMAINS, with_keys("[reliability]", 'n_minus_1 = ["metro", "carrier"]'))


def test_with_one_budget_the_backup_pairs_are_the_primary_arrays_themselves(tmp_path: Path) -> None:
    problem = only(built(tmp_path, DOMAINS, METRO))
    rule = problem.rules.reserve
    assert rule is not None
    assert rule.pair_demand is problem.pair_demand
    assert rule.pair_block is problem.pair_block
    assert rule.pair_load is problem.pair_load
    assert problem.block_max.tolist() == [1, 2]


def test_a_looser_backup_budget_lets_more_sites_stand_in(tmp_path: Path) -> None:
    found = built(tmp_path, DOMAINS, METRO, BACKUP)
    problem, rule = only(found), only(found).rules.reserve
    assert rule is not None
    primary = [("berlin", "", "beta"), ("paris", "", "alpha"), ("paris", "", "beta")]
    assert routes(found, problem.pair_demand, problem.pair_block) == primary
    assert routes(found, rule.pair_demand, rule.pair_block) == [("berlin", "", "alpha"), *primary]
    assert rule.pair_load == pytest.approx([0.6, 0.6, 0.8, 0.8])
    # alpha may come to hold both: 0.8 primary and 0.6 in reserve take 2 replicas, not the 1 that primary alone fills
    assert problem.block_max.tolist() == [2, 2]
    assert problem.offer_max.tolist() == [1, 1]
    assert rule.exempt(problem.demands, problem.block_site[rule.pair_block]).tolist() == [[False, False]] * 2


def test_a_tighter_backup_budget_exempts_those_whom_nobody_else_reaches(tmp_path: Path) -> None:
    found = built(tmp_path, DOMAINS, METRO, TIGHT)
    problem, rule = only(found), only(found).rules.reserve
    assert rule is not None
    assert routes(found, rule.pair_demand, rule.pair_block) == [("berlin", "", "beta"), ("paris", "", "alpha")]
    assert problem.pairs == 3
    exempt = rule.exempt(problem.demands, problem.block_site[rule.pair_block])
    assert exempt.tolist() == [[True, False], [False, True]]  # frankfurt, paris by (berlin, paris)


def test_a_block_that_only_stands_in_exists(tmp_path: Path) -> None:
    rows = tiny.FILES["measurements/pairs.csv"].splitlines(keepends=True)
    far = "".join(row.replace("10;10;10", "170;170;170") for row in rows)  # paris reaches alpha in 220 ms
    found = built(tmp_path, DOMAINS, METRO, BACKUP, {"measurements/pairs.csv": far})
    problem = only(found)
    assert ("alpha", "m8-one", "") in blocks(found)
    assert problem.pair_site.tolist() == [1, 1]
    assert {(site, way) for site, way in ((o.site, o.way) for o in found.names[0].offers)} >= {("alpha", "buy")}


def test_a_row_that_asks_for_nothing_still_has_its_way_out(tmp_path: Path) -> None:
    demand = "region,model,service,requests_per_s,mean_requests_per_s\nparis,m8,chat,0,0\nberlin,m8,chat,6,6\n"
    problem = only(built(tmp_path, DOMAINS, METRO, {"demand.csv": demand}))
    rule = problem.rules.reserve
    assert rule is not None
    assert not rule.exempt(problem.demands, problem.block_site[rule.pair_block])[:, 1].any()


def test_residency_holds_for_backups_too(tmp_path: Path) -> None:
    services = with_column("services.csv", "residency", ("home",), BACKUP["services.csv"])
    found = built(tmp_path, DOMAINS, METRO, services, {"residency.csv": "residency,country\nhome,@own\n"})
    rule = only(found).rules.reserve
    assert rule is not None
    assert routes(found, rule.pair_demand, rule.pair_block) == [("berlin", "", "beta"), ("paris", "", "alpha")]
