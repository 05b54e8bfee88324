"""The bound of worlds small enough to price by hand, one rule at a time.

One site, one region, one server of one GPU that is bought for 100 USD a month (4800 USD over 48 months without
interest); 5 requests/s keep half of it busy. A row at 1000 USD that is served on one server proves 1000 - (1000 - 100).
"""

import numpy as np
import pytest
from audit_arrays import nothing_more
from audit_world import scenario
from numpy.typing import NDArray

from placement.audit import verify_bound
from placement.audit.bound import VerifiedBound
from placement.audit.case import open_cases
from placement.audit.grid import Grid
from placement.audit.limits import limit_rows
from placement.audit.penalties import Penalties
from placement.topology.pairs import Pairs

SITE = (
    "site,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb,usd_per_kwh,pue,gco2_per_kwh,"
    "kind,transit_usd_per_mbps_month,transit_billing\n{site},DE,50,8,9,9,1000,0,0,1,400,{kind},{transit},{billing}"
)
SERVER = (
    "server,gpu,gpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,install_usd,months,rent_usd_month,"
    "stands_at,embodied_kgco2e\ns,g,1,1,1,4800,0.5,0,0,48,{rent},{stands_at},4800"
)
SERVICE = "service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000,tenant,dedicated\n"
DEMAND = "region,model,service,slice,period,requests_per_s\n"
SHAPE = (
    "shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,ttft_p95_ms,memory_gb,weights_gb"
)
THREE = "slice,start_utc,hours_per_day\nday,00:00,18\nnight,18:00,4.8\npeak,22:48,1.2"
TWO = "slice,start_utc,hours_per_day\nday,00:00,12\nnight,12:00,12"
Row = tuple[str, str, str, str, float]
"""Model, service, slice, period, requests/s."""


def told(rows, *, rent="", stands_at="edge", kind="edge", transit="", billing="", toml=None, **tables):
    """The scenario of these demand rows; other tables by name."""
    texts = dict.fromkeys(("residency", "export", "deliveries", "budgets", "fleet", "energy", "slices"))
    texts |= {
        "sites": SITE.format(site="p", kind=kind, transit=transit, billing=billing),
        "regions": "region,country,latitude,longitude,users\nr,DE,50,8,1",
        "services": SERVICE + "chat,chat,100,1,1000,1000,,\nbank,chat,100,1,1000,1000,acme,yes",
        "demand": DEMAND + "\n".join(f"r,{m},{s},{t},{h},{rate}" for m, s, t, h, rate in rows),
        "gpus": "gpu,memory_gb,mig_slices,tdp_w\ng,96,4,600",
        "servers": SERVER.format(rent=rent, stands_at=stands_at),
        "shapes": SHAPE + "".join(f"\n{m},{m},g,1,fp8,chat,near,10,10,90,9" for m in ("m", "n")),
        **tables,
    }
    money = {"money": {"wacc": 0.0, "latency_usd_per_million_request_ms": 0.0}, "limits": {}}
    return scenario(texts, {**money, **(toml or {})})


def pairs() -> Pairs:
    """5 ms, 100 Mbit/s."""
    one = np.ones((1, 1))
    names = ("rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms")
    figures = dict.fromkeys(names, 5 * one)
    states = {name: np.full((1, 1), 2, np.int8) for name in ("rtt_state", "mbps_state")}
    kind = np.ones((1, 1), np.int8)
    return Pairs(("r",), ("p",), rtt_provenance=kind, mbps_provenance=kind,
                 samples=np.ones((1, 1), np.int64), mbps=100 * one, loss=0 * one,
                 jitter_ms=0 * one, observed_at_s=one, **figures, **states)  # fmt: skip


def arrays(world, usd=1000.0, limits=None, budget=0.0) -> dict[str, NDArray]:
    """A certificate with one price for all rows, or one by slice, and prices for limits."""
    cases = open_cases(world, pairs())
    slices = list(cases[0].facts.hours)
    found = {
        "schema": np.array("nearserve-certificate-6"),
        "period": np.array([case.period.name for case in cases]),
        "site": np.array(["p"]),
        "slice": np.array(slices),
    }
    for h, case in enumerate(cases):
        keys = sorted(case.facts.demand)
        stated = [row.name for row in limit_rows(case)]
        priced = [(limits or {}).get(name, 0.0) for name in stated]
        columns = zip(("region", "model", "service", "slice"), np.array(keys).T, strict=True)
        found |= {f"p{h}_demand_{name}": column for name, column in columns}
        found |= {f"p{h}_limit": np.array(stated, np.str_)}
        of_slice = [usd.get(key[3], 0.0) if isinstance(usd, dict) else usd for key in keys]
        leaf = {
            "demand_usd": np.array(of_slice, np.float64),
            "uplink_usd": np.zeros((1, len(slices))),
            "downlink_usd": np.zeros((1, len(slices))),
            "limit_usd": np.array(priced, np.float64),
            "budget": np.array(budget),
            **nothing_more(),
        }
        found |= {f"p{h}_{name}": value for name, value in leaf.items()}
    return found


def proved(world, **prices) -> VerifiedBound:
    return verify_bound(arrays(world, **prices), world, pairs())


def bound(world, **prices) -> float:
    usd = proved(world, **prices).bound_usd_month
    assert usd is not None
    return usd


ONE = [("m", "chat", "", "", 5)]


@pytest.mark.parametrize(("rent", "usd"), [("", 100), ("60", 60), ("150", 100)])
def test_a_new_server_is_bought_or_rented_whichever_is_cheaper(rent, usd):
    assert bound(told(ONE, rent=rent)) == pytest.approx(usd)


def test_a_priced_capex_budget_makes_buying_dearer_and_leaves_renting():
    """At .05 USD a USD buying costs 100 + 240, renting 150; of the budget of 1000 USD 50 are given away."""
    world = told(ONE, rent="150", budgets="period,capex_usd,monthly_usd\n,1000,")
    assert bound(world, limits={"capex|": 0.05}) == pytest.approx(150 - 50)


def test_stock_binds_what_is_bought_and_not_what_is_rented():
    world = told(ONE, rent="150", deliveries="period,delivery_group,server,quantity\n,,s,1")
    assert bound(world, limits={"stock|s|": 20.0}) == pytest.approx(120 - 20)
    assert bound(world, limits={"stock|s|": 80.0}) == pytest.approx(150 - 80)


PERIODS = "period,start_date,months\nh1,2027-01-01,6\nh2,2027-07-01,3"
GROWTH = [("m", "chat", "", "h1", 5), ("m", "chat", "", "h2", 15)]


def test_periods_count_by_their_months():
    """In h2 15 requests/s need two servers: (6·100 + 3·200)/9."""
    assert bound(told(GROWTH, periods=PERIODS)) == pytest.approx(1200 / 9)


def test_stock_that_has_arrived_is_given_away_in_every_period_from_then_on():
    """At 10 USD a server: h1 110 less 10 for its one, h2 220 less 30 for the three there: (6·100 + 3·190)/9."""
    world = told(GROWTH, periods=PERIODS, deliveries="period,delivery_group,server,quantity\nh1,,s,1\nh2,,s,2")
    assert bound(world, limits={"stock|s|": 10.0}) == pytest.approx((600 + 570) / 9)


def test_capex_installs_and_export_are_those_of_the_period():
    """h1: capex 9600, 3 installs, no export rule yet; h2: 9600 + 4800, 6 installs, 4 GPUs.

    At .01 a USD, 1 an install, 2 a GPU: h1 100 + 48 + 1 - 96 - 3 = 50, h2 2·(100 + 48 + 1 + 2) - 144 - 6 - 8 = 144.
    """
    world = told(
        GROWTH,
        periods=PERIODS,
        budgets="period,capex_usd,monthly_usd\nh1,9600,\nh2,4800,",
        export="gpu,server,country,max_gpus,from_date,reason\ng,,DE,4,2027-07-01,x",
        toml={"limits": {"installs_per_period": 3}},
    )
    prices = {"capex|h1": 0.01, "capex|h2": 0.01, "installs|h1": 1.0, "installs|h2": 1.0, "export|gpu|g|DE": 2.0}
    assert bound(world, limits=prices) == pytest.approx((6 * 50 + 3 * 144) / 9)


def test_a_monthly_budget_is_that_of_its_period_and_one_without_a_period_holds_in_all():
    """At .5 USD a USD everything costs half as much again: h1 150 less 100, h2 300 less 120 of the tighter one."""
    world = told(GROWTH, periods=PERIODS, budgets="period,capex_usd,monthly_usd\n,,400\nh1,,200\nh2,,240")
    assert bound(world, budget=0.5) == pytest.approx((6 * 50 + 3 * 180) / 9)


def test_the_constant_is_the_mean_over_the_periods_too():
    """In h2 nobody runs model x: 5·3600·730 requests at 1 USD each."""
    world = told([*GROWTH[:1], ("x", "chat", "", "h2", 5)], periods=PERIODS)
    found = proved(world)
    assert found.constant_usd_month == pytest.approx(3 * 5 * 3600 * 730 / 9)
    assert found.bound_usd_month == pytest.approx(found.constant_usd_month + 6 * 100 / 9)


SUN = [("m", "chat", "day", "", 10), ("n", "chat", "night", "", 10)]
FOLLOW = {"limits": {"replicas_follow_slices": True}}


def test_replicas_that_follow_the_slices_share_the_server_that_others_need_twice():
    """Two models, each at half of the day, 80 USD each: one server for both, at 100; around the clock none pays."""
    assert bound(told(SUN, slices=TWO), usd=80.0) == pytest.approx(160)
    assert bound(told(SUN, slices=TWO, toml=FOLLOW), usd=80.0) == pytest.approx(100)


def test_an_operating_point_may_be_another_in_every_slice():
    """By day 12 requests/s fill a server at the large batch; by night only the small one is fast enough.

    Small: 6 requests/s for both services. Large: 12, and 60 ms too slow for bank's 40 ms. 130 USD by day, 50 by night.
    One point around the clock: 130 + 0 on the large, or 65 + 50 on the small, with two servers 130 + 50 - 200; both
    together 130 + 50 - 100 where they follow.
    """
    tables = {
        "services": SERVICE + "chat,chat,100,1,1,1000,,\nbank,chat,40,1,1,1000,,",
        "shapes": SHAPE + "\nlarge,m,g,1,fp8,chat,large,12,60,90,9\nsmall,m,g,1,fp8,chat,small,6,10,90,9",
        "slices": TWO,
    }
    rows = [("m", "chat", "day", "", 12), ("m", "bank", "night", "", 6)]
    prices = {"day": 130.0, "night": 50.0}
    assert bound(told(rows, **tables), usd=prices) == pytest.approx(180 - 30)
    assert bound(told(rows, **tables, toml=FOLLOW), usd=prices) == pytest.approx(180 - 80)


OWNED = [("m", "chat", "", "", 5), ("m", "bank", "", "", 5)]


def test_a_dedicated_tenant_shares_no_server():
    """80 USD each, half a server each: a common one pays, one of its own does not."""
    shared = told(OWNED, services=SERVICE + "chat,chat,100,1,1000,1000,,\nbank,chat,100,1,1000,1000,acme,no")
    assert bound(shared, usd=80.0) == pytest.approx(100)
    assert bound(told(OWNED), usd=80.0) == pytest.approx(160)


def test_the_fleet_that_owners_share_is_kept_apart_by_its_price():
    """One server stands there. Without a price each owner fills it; at 70 USD each is left with 10, 70 are given."""
    world = told(OWNED, fleet="site,server,count\np,s,1")
    assert bound(world, usd=80.0) == pytest.approx(0, abs=1e-9)
    assert bound(world, usd=80.0, limits={"fleet|p|s": 70.0}) == pytest.approx(160 - 20 - 70)


SPIKE = [("m", "chat", t, "", 5) for t in ("day", "night", "peak")]


@pytest.mark.parametrize(("billing", "part", "usd"), [
    ("p95", "peak", 0), ("peak", "peak", 120 / 20), ("mean", "peak", 120 / 20),
    ("p95", "day", 120 * 18 / 22.8), ("peak", "day", 120 * 18 / 24), ("mean", "day", 120 * 18 / 24),
    ("p95", "night", 120 * 4.8 / 22.8),
])  # fmt: skip
def test_transit_is_charged_on_a_mean_of_the_slices_that_are_surely_counted(billing, part, usd):
    """40 Mbit/s at 3 USD; 1.2 hours are 5 % of the day, which 95/5 may leave out."""
    world = told(SPIKE, slices=THREE, transit="3", billing=billing)
    assert bound(world, usd={part: 1000.0}) == pytest.approx(100 + usd)


def test_a_slice_of_more_than_five_percent_is_counted():
    longer = THREE.replace("4.8", "4.79").replace("1.2", "1.21")
    world = told(SPIKE, slices=longer, transit="3", billing="p95")
    assert bound(world, usd={"peak": 1000.0}) == pytest.approx(100 + 120 * 1.21 / 24)


def test_carbon_is_priced_in_servers_and_routes():
    """At 100 USD: .5 kW idle .146 t, making a new one .1 t, half a busy GPU .073 t; the fleet is made already."""
    toml = {"objective": {"usd_per_tco2e": 100.0}}
    assert bound(told(ONE, toml=toml)) == pytest.approx(100 + 14.6 + 10 + 7.3)
    assert bound(told(ONE, toml=toml, fleet="site,server,count\np,s,1")) == pytest.approx(14.6 + 7.3)


@pytest.mark.parametrize(("stands_at", "kind", "stands"), [
    ("edge", "edge", True), ("edge", "cloud", False), ("cloud", "edge", False), ("cloud", "cloud", True),
    ("any", "edge", True), ("any", "cloud", True),
])  # fmt: skip
def test_a_server_stands_at_sites_of_its_kind_alone(stands_at, kind, stands):
    found = proved(told(ONE, stands_at=stands_at, kind=kind))
    assert found.bound_usd_month == pytest.approx(100 if stands else 5 * 3600 * 730)
    assert found.constant_usd_month == pytest.approx(0 if stands else 5 * 3600 * 730)


FREE = SERVICE + "chat,chat,100,1,1000,,,"
KEY = ("r", "m", "chat", "")


@pytest.mark.parametrize(("changes", "usd"), [
    ({}, 50), ({"rent": "60"}, 50), ({"rent": "150"}, 75), ({"transit": "3", "billing": "peak"}, 50 + 120),
    ({"transit": "3", "billing": "p95"}, 50 + 120), ({"transit": "3", "billing": "mean"}, 50 + 120),
    ({"toml": {"objective": {"usd_per_tco2e": 100.0}}}, 50 + (14.6 + 10) / 2 + 7.3),
])  # fmt: skip
def test_a_default_penalty_is_three_times_the_dearest_way_of_new_servers(changes, usd):
    """Half a server, bought or rented, whichever is dearer; what the row alone adds to transit; priced carbon."""
    (case,) = open_cases(told(ONE, services=FREE, **changes), pairs())
    assert float(Penalties(Grid(case)).usd(KEY)) == pytest.approx(3 * usd)


def test_transit_by_the_mean_of_the_day_counts_in_a_penalty_as_long_as_the_slice_lasts():
    (case,) = open_cases(told(SPIKE, services=FREE, slices=THREE, transit="3", billing="mean"), pairs())
    assert float(Penalties(Grid(case)).usd((*KEY[:3], "peak"))) == pytest.approx(3 * (50 + 6))


def test_a_default_penalty_is_that_of_its_period():
    cases = open_cases(told(GROWTH, services=FREE, periods=PERIODS), pairs())
    assert [float(Penalties(Grid(case)).usd(KEY)) for case in cases] == pytest.approx([3 * 50, 3 * 150])


def test_where_no_server_may_stand_by_its_kind_there_is_no_way_to_take_a_penalty_from():
    (case,) = open_cases(told(ONE, services=FREE, kind="cloud"), pairs())
    assert float(Penalties(Grid(case)).usd(KEY)) == pytest.approx(5 * 3.6 * 730)
