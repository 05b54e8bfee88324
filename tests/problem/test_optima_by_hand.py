"""What a scenario's roll-out costs at best, worked out on paper and solved from the arrays that it becomes.

All at beta, the tiny scenario costs 328.84 (tests/tiny.py): one server of 2 GPUs, 2 replicas.
"""

from pathlib import Path

import pytest
import tiny
from scenes import RENT_COLUMN, SERVER_USD, Changes, built, old_plan, with_column, with_keys

from placement.problem import Built, Previous
from solvers.exact.rollout import solve_rollout_exact
from solvers.solution import Status


def optimum(found: Built) -> float:
    solution = solve_rollout_exact(found.rollout, gap=1e-9)
    assert solution.status is Status.OPTIMAL
    return solution.objective_usd


def test_periods_weigh_by_their_months(tmp_path: Path) -> None:
    demand = "region,model,service,requests_per_s,mean_requests_per_s,period\nparis,m8,chat,8,4,p1\n"
    demand += "paris,m8,chat,8,4,p2\nberlin,m8,chat,6,6,p2\n"
    periods = "period,start_date,months\np1,2026-01-01,6\np2,2026-07-01,12\n"
    found = built(tmp_path, {"demand.csv": demand, "periods.csv": periods})
    alone = SERVER_USD + 40 + 17.52 + 5.256  # paris by itself at beta
    assert optimum(found) == pytest.approx((6 * alone + 12 * tiny.TOTAL) / 18)


def test_the_cheaper_way_to_hold_a_server_is_taken(tmp_path: Path) -> None:
    assert optimum(built(tmp_path / "dear", RENT_COLUMN)) == pytest.approx(tiny.TOTAL)
    cheap = with_column("servers.csv", "rent_usd_month", (70,))
    assert optimum(built(tmp_path / "cheap", cheap)) == pytest.approx(tiny.TOTAL - 30)


def test_n_minus_1_over_metros_costs_a_second_site(tmp_path: Path) -> None:
    domains: Changes = {"domains.csv": "domain,site,kind\nparis,alpha,metro\nfrankfurt,beta,metro\n"}
    backup = with_column("services.csv", "backup_latency_budget_ms", (230,))
    found = built(tmp_path, domains, backup, with_keys("[reliability]", 'n_minus_1 = ["metro"]'))
    assert optimum(found) == pytest.approx(tiny.TOTAL + SERVER_USD + 50)


def test_a_job_beside_full_replicas_takes_a_server_and_its_energy(tmp_path: Path) -> None:
    jobs: Changes = {"jobs.csv": "job,kind,model,gpu,gpus,hours,preemptible\nt1,finetune,m8,g96,2,100,yes\n"}
    assert optimum(built(tmp_path, jobs)) == pytest.approx(tiny.TOTAL + SERVER_USD + 12)


def test_a_dedicated_tenant_takes_a_server_though_another_has_room(tmp_path: Path) -> None:
    services = "service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000,tenant,dedicated\n"
    demand = tiny.FILES["demand.csv"].replace("paris,m8,chat,8,4", "paris,m8,bank,4,4")
    shared: Changes = {
        "services.csv": services + "chat,chat,200,5,10,1,,no\nbank,chat,200,5,10,1,bank,no\n",
        "demand.csv": demand,
    }
    apart = {**shared, "services.csv": services + "chat,chat,200,5,10,1,,no\nbank,chat,200,5,10,1,bank,yes\n"}
    together = SERVER_USD + 40 + 26.28 + 17.52 + 7.884 + 5.256  # 0.6 and 0.4: one replica carries both but for 1e-6
    assert optimum(built(tmp_path / "together", shared)) == pytest.approx(together)
    assert optimum(built(tmp_path / "apart", apart)) == pytest.approx(together + SERVER_USD)


def test_moves_cost_what_they_are_priced_at(tmp_path: Path) -> None:
    old_plan(tmp_path / "old")
    keys = with_keys("[stability]", 'previous_plan = "old"', "usd_per_move = 12")
    assert optimum(built(tmp_path, keys, previous=Previous({}))) == pytest.approx(tiny.TOTAL + 24)
    stood = Previous({("beta", "m8-one", "", ""): 1})
    assert optimum(built(tmp_path, keys, previous=stood)) == pytest.approx(tiny.TOTAL + 12)


def test_a_pin_and_a_job_without_a_place_make_no_plan(tmp_path: Path) -> None:
    tight: Changes = {"sites.csv": tiny.FILES["sites.csv"].replace("48.86,2.35,10,42", "48.86,2.35,0.5,42")}
    pins: Changes = {"pins.csv": "model,site,min_replicas,max_replicas,reason\nm8,alpha,1,,law\n"}
    assert solve_rollout_exact(built(tmp_path, tight, pins).rollout).status is Status.INFEASIBLE


def test_what_must_be_served_outweighs_its_cost(tmp_path: Path) -> None:
    worthless: Changes = {"services.csv": tiny.FILES["services.csv"].replace("200,5,10,1", "200,5,10,0")}
    assert optimum(built(tmp_path / "off", worthless)) == pytest.approx(0)
    half = built(tmp_path / "half", worthless, with_keys("[limits]", "min_served_share = 0.5"))
    # 5 of the 10 mean requests/s, one server at beta: egress 5/10 of 13.14; paris' 4 keep 0.8 replicas busy at the
    # design rate and cost 17.52, a request/s as much as one of berlin
    assert optimum(half) == pytest.approx(SERVER_USD + 40 + (43.80 + 13.14) / 2, rel=1e-5)
