"""Ways to hold servers, kinds of site and dedicated tenants (6, 10) on the tiny scenario, on paper."""

from pathlib import Path

import numpy as np
import pytest
import tiny
from scenes import (
    RENT_COLUMN,
    SERVER_USD,
    STANDING_USD,
    blocks,
    built,
    in_periods,
    offers,
    only,
    routes,
    row_of,
    with_column,
    with_keys,
)

from placement.problem.tenants import TenantError
from placement.scenario import ScenarioError

RENT_USD = 180 + 10 + STANDING_USD  # and support
FLEET = {"fleet.csv": "site,server,count\nbeta,s2,1\n"}


def test_a_server_with_capex_and_rent_can_be_bought_and_rented(tmp_path: Path) -> None:
    found = built(tmp_path, RENT_COLUMN, FLEET)
    assert offers(found) == [
        ("alpha", "s2", "buy", ""),
        ("alpha", "s2", "rent", ""),
        ("beta", "s2", "fleet", ""),
        ("beta", "s2", "buy", ""),
        ("beta", "s2", "rent", ""),
    ]
    each = [SERVER_USD, RENT_USD, STANDING_USD, SERVER_USD, RENT_USD]
    assert only(found).offer_usd == pytest.approx(each)
    assert found.rollout.stays.tolist() == [True, False, False, True, False]
    assert found.rollout.capex_usd.tolist() == [4800, 0, 0, 4800, 0]


def test_a_server_without_capex_can_only_be_rented(tmp_path: Path) -> None:
    text = tiny.FILES["servers.csv"].replace("2,4800,", "2,,")
    found = built(tmp_path, with_column("servers.csv", "rent_usd_month", (180,), text))
    assert {way for _, _, way, _ in offers(found)} == {"rent"}
    assert only(found).offer_usd == pytest.approx([RENT_USD, RENT_USD])


def test_rent_draws_no_stock_and_no_capex_but_is_export_and_install(tmp_path: Path) -> None:
    found = built(
        tmp_path,
        RENT_COLUMN,
        {
            "deliveries.csv": "period,delivery_group,server,quantity\n,,s2,3\n",
            "budgets.csv": "period,capex_usd,monthly_usd\n,9600,\n",
            "export.csv": "gpu,server,country,max_gpus,from_date,reason\ng96,,FR,2,2025-01-01,law\n",
        },
        with_keys("[limits]", "installs_per_period = 3"),
    )
    buy, rent = ("alpha", "s2", "buy", ""), ("alpha", "s2", "rent", "")
    assert set(row_of(found, "stock|s2|")[0]) == {buy, ("beta", "s2", "buy", "")}
    assert set(row_of(found, "capex|")[0]) == {buy, ("beta", "s2", "buy", "")}
    assert row_of(found, "export|gpu|g96|FR")[0] == {buy: 2.0, rent: 2.0}
    assert len(row_of(found, "installs|")[0]) == 4


def test_the_offers_are_the_same_in_every_period(tmp_path: Path) -> None:
    found = built(tmp_path, in_periods("p1", "p2"), RENT_COLUMN, FLEET)
    assert found.names[0].offers == found.names[1].offers


def test_a_server_stands_at_sites_of_its_kind_only(tmp_path: Path) -> None:
    sites = with_column("sites.csv", "kind", ("edge", "cloud"))
    servers = tiny.FILES["servers.csv"] + "c2,g96,2,1,1,2,4800,0.2,10,0,48\na2,g96,2,1,1,2,4800,0.2,10,0,48\n"
    found = built(tmp_path, sites, with_column("servers.csv", "stands_at", ("", "cloud", "any"), servers))
    there = {(site, server) for site, server, _, _ in offers(found)}
    assert there == {("alpha", "s2"), ("alpha", "a2"), ("beta", "c2"), ("beta", "a2")}


def test_a_site_whose_kind_no_server_takes_holds_nothing(tmp_path: Path) -> None:
    found = built(tmp_path, with_column("sites.csv", "kind", ("edge", "cloud")))
    assert blocks(found) == [("alpha", "m8-one", "")]
    assert only(found).unservable.tolist() == [True, False]  # berlin reaches only beta


def test_what_is_rented_in_a_cloud_is_no_install(tmp_path: Path) -> None:
    sites = with_column("sites.csv", "kind", ("edge", "cloud"))
    servers = with_column("servers.csv", "stands_at", ("any",), RENT_COLUMN["servers.csv"])
    found = built(tmp_path, sites, servers, with_keys("[limits]", "installs_per_period = 1"))
    counted = row_of(found, "installs|")[0]
    assert ("beta", "s2", "rent", "") not in counted and ("alpha", "s2", "rent", "") in counted
    assert found.rollout.installed.tolist() == [True, True, True, False]


def test_the_default_penalty_takes_the_dearest_new_way_that_may_stand_there(tmp_path: Path) -> None:
    services = tiny.FILES["services.csv"].replace(",unserved_usd_per_1000", "").replace("200,5,10,1", "200,5,10")
    sites = with_column("sites.csv", "kind", ("edge", "cloud"))
    servers = with_column("servers.csv", "stands_at", ("any",), RENT_COLUMN["servers.csv"])
    dear_cloud = servers["servers.csv"] + "c2,g96,2,1,1,2,48000,0.2,10,0,48,,cloud\n" if servers["servers.csv"] else ""
    found = built(tmp_path, {"services.csv": services}, sites, {"servers.csv": dear_cloud})
    berlin = 3 * (26.28 + 7.884 + 0.6 * (1000 + 10 + STANDING_USD) / 2)  # at beta: c2, bought for 1000 a month
    # at alpha the dearest is the rented s2, at beta c2; beta is the dearer way for paris
    paris = 3 * (17.52 + 5.256 + 0.8 * (1000 + 10 + STANDING_USD) / 2)
    assert only(found).unserved_usd == pytest.approx([berlin, paris])


TWO_TENANTS = {
    "services.csv": """service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000,tenant,dedicated
chat,chat,200,5,10,1,,
bank,chat,200,5,10,1,bank,yes
shop,chat,200,5,10,1,shop,no
""",
    "demand.csv": tiny.FILES["demand.csv"] + "paris,m8,bank,4,4\nparis,m8,shop,2,2\n",
}


def test_a_dedicated_tenant_has_shapes_and_servers_of_its_own(tmp_path: Path) -> None:
    found = built(tmp_path, TWO_TENANTS)
    problem, names = only(found), found.names[0]
    assert [(shape.shape, shape.tenant) for shape in names.shapes] == [("m8-one", ""), ("m8-one", "bank")]
    assert problem.shape_gpu.tolist() == [0, 1]
    assert problem.server_gpu.tolist() == [0, 1] and problem.server_gpus.tolist() == [2, 2]
    assert offers(found) == [
        (site, "s2", "buy", tenant)
        for site, tenant in (("alpha", ""), ("alpha", "bank"), ("beta", ""), ("beta", "bank"))
    ]
    assert problem.server_gpu[problem.offer_server].tolist() == [0, 1, 0, 1]
    owner = {
        (names.demands[i].service, names.shapes[d].tenant)
        for i, d in zip(problem.pair_demand, problem.block_shape[problem.pair_block], strict=True)
    }
    assert owner == {("chat", ""), ("shop", ""), ("bank", "bank")}


def test_rows_over_servers_count_those_of_all_tenants(tmp_path: Path) -> None:
    stock = {"deliveries.csv": "period,delivery_group,server,quantity\n,,s2,3\n"}
    found = built(tmp_path, TWO_TENANTS, stock)
    assert set(row_of(found, "stock|s2|")[0]) == set(offers(found))


def test_tenants_share_the_fleet_of_a_site(tmp_path: Path) -> None:
    found = built(tmp_path, TWO_TENANTS, FLEET)
    shared = {("beta", "s2", "fleet", ""): 1.0, ("beta", "s2", "fleet", "bank"): 1.0}
    assert row_of(found, "fleet|beta|s2") == (shared, 1)


def test_a_dedicated_service_without_a_tenant_is_an_error(tmp_path: Path) -> None:
    services = with_column("services.csv", "dedicated", ("yes",))
    with pytest.raises((TenantError, ScenarioError), match="tenant"):
        built(tmp_path, services)


def test_operating_points_exclude_each_other_within_a_tenant_only(tmp_path: Path) -> None:
    slow = "m8-slow,m8,g96,1,fp8,chat,throughput,20,90,40,16,by hand\n"
    found = built(tmp_path, TWO_TENANTS, {"shapes.csv": tiny.FILES["shapes.csv"] + slow})
    problem, names = only(found), found.names[0]
    choices: dict[int, set[str]] = {}
    for b in range(problem.blocks):
        choices.setdefault(int(problem.block_choice[b]), set()).add(names.shapes[problem.block_shape[b]].tenant)
    assert sorted(choices) == [0, 1, 2, 3]  # two sites, two owners
    assert all(len(tenants) == 1 for tenants in choices.values())


def test_pairs_still_end_at_both_sites(tmp_path: Path) -> None:
    problem = only(found := built(tmp_path, TWO_TENANTS))
    assert len(routes(found, problem.pair_demand, problem.pair_block)) == problem.pairs == 7
    assert np.unique(problem.block_site).tolist() == [0, 1]
