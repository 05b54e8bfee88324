"""The tiny scenario becomes the arrays that were worked out by hand (tests/tiny.py)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tiny

from placement.problem import Names, build_rollout
from placement.scenario import load
from placement.topology import build_pairs
from solvers.problem import Problem

SERVER_USD = 100 + 10 + 100 + 21.9
PARIS_ENERGY, BERLIN_ENERGY = 17.52, 26.28
PARIS_EGRESS, BERLIN_EGRESS = 5.256, 7.884


def built(folder: Path, changed: Mapping[str, str | None] | None = None) -> tuple[Problem, Names]:
    scenario = load(tiny.write(folder, dict(changed or {})))
    found = build_rollout(scenario, build_pairs(scenario).pairs)
    assert not found.rollout.periods[0].rules.any
    return found.rollout.periods[0], found.names[0]


def pair(problem: Problem, names: Names, region: str, site: str, shape: str = "m8-one") -> int | None:
    for n in range(problem.pairs):
        block = problem.pair_block[n]
        where = names.sites[problem.block_site[block]], names.shapes[problem.block_shape[block]].shape
        if names.demands[problem.pair_demand[n]].region == region and where == (site, shape):
            return n
    return None


def test_loads_and_costs_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    problem, names = built(tmp_path)
    assert names.sites == ("alpha", "beta")
    assert [d.region for d in names.demands] == ["berlin", "paris"]
    paris = pair(problem, names, "paris", "beta")
    berlin = pair(problem, names, "berlin", "beta")
    assert paris is not None and berlin is not None
    assert problem.pair_load[[paris, berlin]] == pytest.approx([0.8, 0.6])
    assert problem.pair_usd[[paris, berlin]] == pytest.approx(
        [PARIS_ENERGY + PARIS_EGRESS, BERLIN_ENERGY + BERLIN_EGRESS]
    )
    assert problem.offer_usd == pytest.approx([SERVER_USD, SERVER_USD])
    assert problem.open_usd == pytest.approx([50, 40])
    # 1 USD per 1000 requests: 4 and 6 requests/s for 730 hours
    assert problem.unserved_usd == pytest.approx([6 * 3.6 * 730, 4 * 3.6 * 730])
    assert problem.out_mbps == pytest.approx([6 * 0.08, 8 * 0.08])
    assert problem.in_mbps == pytest.approx([6 * 0.04, 8 * 0.04])


def test_a_pair_beyond_its_latency_budget_does_not_exist(tmp_path: Path) -> None:
    problem, names = built(tmp_path)
    assert pair(problem, names, "berlin", "alpha") is None  # 180 + 50 > 200


def test_a_sum_equal_to_the_budget_is_within_it(tmp_path: Path) -> None:
    exactly = tiny.edited("services.csv", "chat,chat,200", "chat,chat,230")
    problem, names = built(tmp_path, exactly)
    assert pair(problem, names, "berlin", "alpha") is not None


def test_decimals_that_floats_cannot_add_are_still_compared_exactly(tmp_path: Path) -> None:
    # 0.1 + 50.2 is 50.300000000000004 in floats; the table's author wrote a budget of 50.3
    text = tiny.FILES["measurements/pairs.csv"].replace("8;8;8", "0.1;0.1;0.1").replace("berlin,beta", "berlin,near")
    near = "near,Berlin,DE,52.52,13.40,10,42,1000,0.05,50,100,0.1,1.5\n"
    changed = {
        "measurements/pairs.csv": text,
        "sites.csv": tiny.FILES["sites.csv"] + near,
        **tiny.edited("shapes.csv", ",50,40,", ",50.2,40,"),
        **tiny.edited("services.csv", "chat,chat,200", "chat,chat,50.3"),
    }
    problem, names = built(tmp_path, changed)
    assert pair(problem, names, "berlin", "near") is not None


def test_an_unmeasured_pair_is_not_admissible(tmp_path: Path) -> None:
    text = tiny.FILES["measurements/pairs.csv"].replace("2025-12-31T00:00:00Z,paris,beta,icmp,3,3,30;30;30\n", "")
    problem, names = built(tmp_path, {"measurements/pairs.csv": text})
    assert pair(problem, names, "paris", "alpha") is not None
    assert pair(problem, names, "paris", "beta") is None


def test_a_large_request_needs_a_known_bandwidth(tmp_path: Path) -> None:
    problem, names = built(tmp_path, tiny.edited("services.csv", "200,5,10", "200,15,10"))  # 14 kB are free
    assert problem.pairs == 0
    assert problem.unservable.all()
    assert problem.constant_usd == pytest.approx(10 * 3.6 * 730)
    assert len(names.demands) == 2


def test_residency_keeps_a_class_at_home(tmp_path: Path) -> None:
    changed = {
        "residency.csv": "residency,country\nhome,@own\n",
        **tiny.edited(
            "services.csv",
            "kbyte_out,unserved_usd_per_1000\nchat,chat,200,5,10,1",
            "kbyte_out,unserved_usd_per_1000,residency\nchat,chat,200,5,10,1,home",
        ),
    }
    problem, names = built(tmp_path, changed)
    assert pair(problem, names, "paris", "alpha") is not None
    assert pair(problem, names, "paris", "beta") is None
    assert pair(problem, names, "berlin", "beta") is not None


def test_of_shapes_of_one_size_only_those_that_trade_off_are_kept(tmp_path: Path) -> None:
    rows = (
        "m8-slow,m8,g96,1,fp8,chat,throughput,20,90,40,16,by hand\n"  # more capacity, more TTFT: kept
        "m8-worse,m8,g96,1,bf16,chat,balanced,9,60,40,16,by hand\n"  # beaten by m8-one
        "m8-two,m8,g96,2,bf16,chat,balanced,9,60,40,16,by hand\n"  # another size: another group
    )
    problem, names = built(tmp_path, {"shapes.csv": tiny.FILES["shapes.csv"] + rows})
    shapes = [name.shape for name in names.shapes]
    assert shapes == ["m8-one", "m8-slow", "m8-two"]
    at_beta = problem.block_site == 1
    choice = dict(zip(np.array(shapes)[problem.block_shape[at_beta]], problem.block_choice[at_beta], strict=True))
    assert choice["m8-one"] == choice["m8-slow"] >= 0
    assert choice["m8-two"] == -1


def test_stock_export_and_capex_become_rows(tmp_path: Path) -> None:
    changed = {
        "deliveries.csv": "period,delivery_group,server,quantity\n,,s2,3\n",
        "export.csv": "gpu,server,country,max_gpus,from_date,reason\n"
        "g96,,FR,2,2025-01-01,example\ng96,,DE,0,2027-01-01,not yet\n",
        "budgets.csv": "period,capex_usd,monthly_usd\n,9600,900\n",
    }
    problem, names = built(tmp_path, changed)
    assert names.limits == ("stock|s2|", "export|gpu|g96|FR", "capex|")
    assert problem.limit_matrix.toarray().tolist() == [[1, 1], [2, 0], [4800, 4800]]
    assert problem.limit_rhs.tolist() == [3, 2, 9600]
    assert problem.monthly_budget_usd == pytest.approx(900, rel=2e-6)


def test_a_server_that_is_not_delivered_has_no_stock(tmp_path: Path) -> None:
    changed = {"deliveries.csv": "period,delivery_group,server,quantity\n,,s2,0\n"}
    problem, names = built(tmp_path, changed)
    assert names.limits == ("stock|s2|",)
    assert problem.limit_rhs.tolist() == [0]


def test_the_fleet_costs_energy_and_place_but_no_capex(tmp_path: Path) -> None:
    problem, names = built(tmp_path, {"fleet.csv": "site,server,count\nbeta,s2,1\n"})
    kept = [o for o, offer in enumerate(names.offers) if not offer.new]
    assert [names.offers[o].site for o in kept] == ["beta"]
    assert problem.offer_usd[kept] == pytest.approx([100 + 21.9])
    assert problem.offer_max[kept].tolist() == [1]


def test_racks_that_cool_less_than_the_power_limit_the_site(tmp_path: Path) -> None:
    text = (
        tiny.FILES["sites.csv"]
        .replace("usd_per_kwh,pue", "usd_per_kwh,pue,max_kw_per_rack")
        .replace("0.1,1.5", "0.1,1.5,2")
    )
    problem, _ = built(tmp_path, {"sites.csv": text})
    assert problem.site_limit[:, 0].tolist() == [2, 2]  # 42 rack units are one rack of 2 kW


def test_without_a_stated_penalty_it_is_three_times_the_dearest_way(tmp_path: Path) -> None:
    text = tiny.FILES["services.csv"].replace(",unserved_usd_per_1000", "").replace("200,5,10,1", "200,5,10")
    problem, _ = built(tmp_path, {"services.csv": text})
    berlin = 3 * (BERLIN_ENERGY + BERLIN_EGRESS + 0.6 * SERVER_USD / 2)
    paris = 3 * (PARIS_ENERGY + PARIS_EGRESS + 0.8 * SERVER_USD / 2)
    assert problem.unserved_usd == pytest.approx([berlin, paris])


def test_row_order_of_the_tables_changes_nothing(tmp_path: Path) -> None:
    def reversed_rows(name: str) -> str:
        head, *rows = tiny.FILES[name].strip().splitlines()
        return "\n".join([head, *reversed(rows)]) + "\n"

    one, _ = built(tmp_path / "one")
    changed = {name: reversed_rows(name) for name in tiny.FILES if name.endswith(".csv")}
    other, _ = built(tmp_path / "other", changed)
    for name in ("pair_usd", "pair_load", "offer_usd", "unserved_usd", "site_limit", "block_max"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
