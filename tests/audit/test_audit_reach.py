"""Which ways to serve a class are admissible over the network, and what each costs, in arrays as in fractions."""

from fractions import Fraction

import numpy as np
import pytest
from audit_opened import case, penalties, served, ways
from audit_world import NAN, TABLES, edited

from placement.audit.grid import Grid

NORTH_CODE = ("north", "m", "code", "day")


@pytest.mark.parametrize(
    ("budget", "rtt", "ttft", "above"),
    [("0.3", 0.1, "0.2", 0.1000000000001), ("300000.3", 100000.1, "200000.2", 100000.1000001)],
)
def test_a_latency_that_is_the_budget_to_the_last_digit_is_admissible(budget, rtt, ttft, above):
    """0.1 + 0.2 ms is 0.3 ms, and 100000.1 + 200000.2 ms is 300000.3 ms, which floats do not say."""
    assert rtt + float(ttft) > float(budget)
    tight = edited("services", "chat,chat,100,10", f"chat,chat,{budget},0") | {
        "shapes": TABLES["shapes"].replace("chat,near,10,30", f"chat,near,10,{ttft}")
    }
    for rtt_ms, admissible in ((rtt, True), (above, False)):
        grid = Grid(case(tight, network={"rtt_p95_ms": np.array([[rtt_ms, NAN], [NAN, 5.0]])}))
        found = {(key, shape) for key, shape, *_ in ways(grid, "alba")}
        assert ((("north", "m", "chat", "day"), "one") in found) == admissible


def test_latencies_that_are_not_near_the_budget_are_not_settled_as_fractions(monkeypatch):
    grid = Grid(case(edited("services", "chat,chat,100,", "chat,chat,100.1,")))  # south's one-far is at 100 ms exactly
    monkeypatch.setattr(type(grid.case.network), "network_ms", None)
    assert sum(1 for site in grid.sites for _ in ways(grid, site)) == 8 + 5 + 4


def test_a_request_of_just_the_free_size_needs_no_known_bandwidth():
    for kbyte, admissible in (("14", True), ("14.001", False)):
        grid = Grid(case(edited("services", "chat,chat,100,10,", f"chat,chat,100,{kbyte},")))
        assert (("south", "m", "chat", "day") in served(grid, "brest")) == admissible
        service = grid.case.facts.services["chat"]
        assert (grid.case.network.network_ms("south", service, "brest") is not None) == admissible


@pytest.mark.parametrize("mbps", [0.0, -1.0])
def test_a_bandwidth_of_nothing_is_unknown_and_a_small_request_needs_none(mbps):
    """South's chat, 10 kB, still finds brest; north's code, 100 kB, finds no way to alba, and brest alone is left."""
    network = {"mbps": np.array([[mbps, 50.0], [80.0, mbps]]), "mbps_state": np.array([[2, 1], [0, 2]], np.int8)}
    grid = Grid(case(network=network))
    reached = {site: [key in served(grid, site) for key in grid.keys] for site in grid.sites}
    assert reached == {"alba": [True, True, False, False, False], "brest": [True, True, True, True, False]}
    services = grid.case.facts.services
    assert grid.case.network.network_ms("south", services["chat"], "brest") == 10
    assert grid.case.network.network_ms("north", services["code"], "alba") is None


def test_a_bandwidth_below_a_megabit_is_known():
    network = {"mbps": np.array([[0.5, 50.0], [80.0, 90.0]])}
    grid = Grid(case(edited("services", "code,code,200,", "code,code,1720,"), network=network))
    # 2·20 + 800/.5 + 80 = 1720 ms for code on quarter
    assert (NORTH_CODE, "quarter") in {(key, shape) for key, shape, *_ in ways(grid, "alba")}


def test_a_region_that_the_pairs_do_not_hold_can_be_served_nowhere():
    """South is not the pairs' last region, whose figures would let brest serve it."""
    found = penalties(network={"regions": ("north", "west")})
    assert found.constant_usd == Fraction("4525.9494375") + 4 * 5913


def test_a_site_that_the_pairs_do_not_hold_can_serve_nobody():
    found = penalties(network={"sites": ("alba", "basel")})
    assert found.constant_usd == penalties(network={"rtt_state": np.array([[2, 0], [0, 0]], np.int8)}).constant_usd


@pytest.mark.parametrize(
    ("uncertainty", "ends", "shown"),
    [
        ({}, (40.0, 50.0, 60.0), 0),
        ({"late_usd_per_1000": 7}, (40.0, 50.0, 60.0), 5),  # beyond the upper end on all five ways to brest
        ({"late_usd_per_1000": 7, "percentile": 0.5}, (40.0, 50.0, 90.0), 6),  # between the middle and the upper end
        ({"late_usd_per_1000": 7, "percentile": 0.05}, (50.0, 90.0, 99.0), 6),  # between the lower end and the middle
        ({"late_usd_per_1000": 7, "percentile": 0.05}, (0.0, 0.0, 60.0), 10),
    ],
)
def test_the_arrays_price_every_route_as_the_fractions_do(uncertainty, ends, shown):
    names = ("rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms")
    network = {name: np.array([[20.0, end], [NAN, 10.0]]) for name, end in zip(names, ends, strict=True)}
    told = case(document={"uncertainty": uncertainty}, network=network)
    routes, risky = 0, 0
    for site in Grid(told).sites:
        for key, shape, usd, load in ways(Grid(told), site):
            service = told.facts.services[key[2]]
            latency = told.network.network_ms(key[0], service, site)
            latency += told.facts.shapes[shape].ttft_ms[service.profile]
            late = 1 - told.network.met(key[0], service, site, told.facts.shapes[shape].ttft_ms[service.profile])
            route = told.prices.route_usd(key, site, shape, latency, late)
            # of brest's peak of 2 USD a Mbit/s at least the mean over 18 and 6 hours
            share = Fraction(18 if key[3] == "day" else 6, 24)
            peak = share * told.prices.peak_usd(key, site)
            assert usd == pytest.approx(float(route + peak), rel=1e-10)
            assert usd <= float(route + peak) * (1 + 1e-15) or not late
            assert not (late and uncertainty) or usd > float(route + peak - told.prices.late_usd(key, late))
            expected = told.facts.demand[key].requests_per_s / told.facts.shapes[shape].requests_per_s[service.profile]
            assert load == pytest.approx(float(expected), rel=1e-12)
            routes += 1
            risky += bool(late and uncertainty)
    # north at alba: chat on quarter, one, two by day and by night, code on quarter, one; at brest chat on one, two by
    # day and by night, code on one; south's chat at brest on quarter, one, one-far (100 ms exactly), two
    # a way of 50 ms instead of 60 opens code on quarter, one of 0.01 ms also chat on quarter and one-far
    assert (routes, risky) == (8 + max(shown, 5) + 4, shown)


def test_the_arrays_price_wires_as_the_rule_does():
    found = Grid(case()).ways
    code = found.members.index(("north", "code", "eu"))
    assert found.out_mbps[:, code] == pytest.approx([0.4, 0])
    assert found.in_mbps[:, code] == pytest.approx([0.8, 0])
    grid = Grid(case())
    routes, up, down = grid.at("alba"), np.array([3.0, 0.0]), np.array([0.0, 0.0])
    paid = routes.wires_usd(up, down)[routes.row == grid.keys.index(NORTH_CODE)]
    assert paid.tolist() == pytest.approx([3 * 0.4, 3 * 0.4])  # on quarter and on one
    paid = routes.wires_usd(down, up + 1)[routes.row == grid.keys.index(NORTH_CODE)]
    assert paid.tolist() == pytest.approx([4 * 0.8, 4 * 0.8])
